"""The catalogue: one file per task; importing this package registers every loss."""

from losskit.losses import (
    binary,
    classes,
    counts,
    embedding,
    multilabel,
    ranking,
    regression,
    sequence,
)

__all__ = [
    "binary",
    "classes",
    "counts",
    "embedding",
    "multilabel",
    "ranking",
    "regression",
    "sequence",
]
