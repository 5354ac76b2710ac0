"""The catalogue: one file per task; importing this package registers every loss."""

from losskit.losses import binary, counts, regression

__all__ = ["binary", "counts", "regression"]
