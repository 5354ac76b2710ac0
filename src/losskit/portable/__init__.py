"""Losses, penalties and labels as plain JSON, for files that hold no code.

Writing gives dicts, lists, texts and numbers; reading checks all of them, so that what strangers
wrote is a loss of known operations or a ValueError that names the place. `losskit.fit.files.saving`
keeps them in files.
"""

from losskit.portable.labels import labels_from_json, labels_to_json
from losskit.portable.losses import loss_from_json, loss_to_json
from losskit.portable.penalties import penalty_from_json, penalty_to_json

__all__ = [
    "labels_from_json", "labels_to_json", "loss_from_json", "loss_to_json", "penalty_from_json",
    "penalty_to_json",
]  # fmt: skip
