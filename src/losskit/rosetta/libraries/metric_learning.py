"""PyTorch Metric Learning: losses of a batch of embeddings with labels."""

from losskit.rosetta.facts import Library, Name

_P = "pytorch_metric_learning "
_L = "pytorch_metric_learning.losses."

METRIC_LEARNING = Library(
    "pytorch_metric_learning",
    "PyTorch Metric Learning",
    aliases=("pml", "pytorch-metric-learning"),
    prefixes=("pytorch_metric_learning.losses", "pytorch_metric_learning"),
    packages=("pytorch-metric-learning",),
    order="(embeddings, labels)",
    classes=True,
    names=(
        Name(
            _P + "NTXentLoss",
            also=(_L + "NTXentLoss",),
            more={"temperature": "temperature"},
            defaults={"temperature": 0.07},
        ),
        Name(
            _P + "SupConLoss",
            also=(_L + "SupConLoss",),
            more={"temperature": "temperature"},
            defaults={"temperature": 0.1},
        ),
        Name(
            _P + "MultiSimilarityLoss",
            also=(_L + "MultiSimilarityLoss",),
            more={"alpha": "alpha", "beta": "beta", "base": "base"},
            defaults={"alpha": 2.0, "beta": 50.0, "base": 0.5},
        ),
    ),
)
