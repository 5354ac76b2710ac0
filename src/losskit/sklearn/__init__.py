"""losskit in scikit-learn: scorers, metrics, and gradient-boosted trees of any loss.

>>> import losskit.sklearn
>>> losskit.sklearn.scorer("quantile", q=0.9)
losskit.sklearn.scorer(losskit.quantile(q=0.9))
>>> pinball = losskit.sklearn.metric("quantile", q=0.9)
>>> round(pinball([1.0, 2.0], [1.5, 1.0]), 3)
0.475
"""

from importlib import import_module
from typing import Any

# Public name → its module. The trees stand on private parts of scikit-learn; nothing else here
# should depend on whether these are as they were.
_PUBLIC = {
    "scorer": "losskit.sklearn.scorers",
    "metric": "losskit.sklearn.measures",
    "hist_loss": "losskit.sklearn.hist",
    "HistRegressor": "losskit.sklearn.trees",
    "HistClassifier": "losskit.sklearn.trees",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'losskit.sklearn' has no attribute {name!r}")
    globals()[name] = getattr(import_module(_PUBLIC[name]), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted(_PUBLIC)
