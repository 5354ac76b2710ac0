"""Loss functions, written once as formulas: computed, differentiated, printed and checked.

>>> import losskit
>>> losskit.huber([1.0, 2.0, 9.0], [1.5, 2.0, 2.0])
2.2083333333333335
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public name → the module that has it, imported when the name is first used. Every loss of the
# catalogue is a public name too.
_PUBLIC = {
    "Loss": "losskit.interface",
    "loss": "losskit.catalogue",
    "get": "losskit.catalogue",
    "names": "losskit.catalogue",
    "Domain": "losskit.formula.domain",
    "Unsupported": "losskit.formula.expr",
    "FormulaError": "losskit.formula.expr",
    "Accumulation": "losskit.reduction",
    "evaluate": "losskit.evaluation",
    "conformance": "losskit.audit",
    "linear_cross_entropy": "losskit.linear",
    "listwise": "losskit.ranking.combinators",
    "pairwise": "losskit.ranking.combinators",
    "set_num_threads": "losskit.backends.threads",
    "Regressor": "losskit.fit.estimators.classes",
    "RegressorCV": "losskit.fit.estimators.classes",
    "Classifier": "losskit.fit.estimators.classes",
    "ClassifierCV": "losskit.fit.estimators.classes",
    "load": "losskit.fit.files.archive",
    "translate": "losskit.rosetta",
    "wrap": "losskit.rosetta",
    "fit_table": "losskit.tabular",
    "predict_table": "losskit.tabular",
}

# Packages whose names users write: losskit.metrics.accuracy.
_PACKAGES = (
    "formula", "losses", "metrics", "penalties",
    "torch", "jax", "keras", "sklearn", "ibis", "xgboost", "lightgbm", "catboost",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        globals()[name] = getattr(import_module(_PUBLIC[name]), name)
        return globals()[name]
    if name in _PACKAGES:
        return import_module(f"losskit.{name}")
    if name.startswith("_"):
        raise AttributeError(name)
    from losskit.catalogue import get

    try:
        return get(name)
    except ValueError as error:
        raise AttributeError(f"module 'losskit' has no attribute {name!r}: {error}") from None


def __dir__() -> list[str]:
    from losskit.by_rank import BY_RANK
    from losskit.catalogue import names

    return sorted({*_PUBLIC, *_PACKAGES, *names(), *BY_RANK, "__version__"})
