"""Losses of a batch's embeddings against each other: pairs and triplets are found, not given."""

from losskit.mining.contrast import (
    batch_contrast,
    label_contrast,
    pairwise_contrast,
    similarity_excess,
)
from losskit.mining.tables import DISTANCES
from losskit.mining.triplets import MINING, mined_triplets

__all__ = [
    "DISTANCES",
    "MINING",
    "batch_contrast",
    "label_contrast",
    "mined_triplets",
    "pairwise_contrast",
    "similarity_excess",
]
