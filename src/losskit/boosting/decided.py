"""Parameters of the boosting libraries that the loss decides: why, and what says the same here.

A second voice would be ignored by the library, or wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OBJECTIVE = "the loss is the objective; choose another by loss=, or by .to() of another"
_START = "training starts at the loss's best constant; to start elsewhere pass {0}"
_RATIO = (
    "it is ignored beside a custom objective; use losskit.binary_cross_entropy(pos_weight=…), or "
    "weights of rows"
)
_CLASS_WEIGHTS = "use weights of rows, or losskit.cross_entropy(class_weight=…)"
_OWN_WEIGHTS = f"{_RATIO} (the Classifier takes class_weight='balanced' too)"
_POWER = "the loss says it; use losskit.tweedie(power=…)"

DECIDED: Mapping[str, Mapping[str, str]] = {
    "xgboost": {
        "objective": _OBJECTIVE,
        "base_score": _START.format("base_margin"),
        "disable_default_eval_metric": "the loss is the metric; name others in eval_metric",
        "scale_pos_weight": _RATIO,
        "quantile_alpha": "the loss says it; use losskit.quantile(q=…)",
        "huber_slope": "the loss says it; use losskit.pseudo_huber(delta=…)",
        "tweedie_variance_power": _POWER,
    },
    "lightgbm": {
        **dict.fromkeys(("objective", "objective_type", "app", "application", "loss"), _OBJECTIVE),
        "boost_from_average": _START.format("init_score"),
        "scale_pos_weight": _OWN_WEIGHTS,
        **dict.fromkeys(("is_unbalance", "unbalance", "unbalanced_sets"), _OWN_WEIGHTS),
        "alpha": "the loss says it; use losskit.quantile(q=…) or losskit.huber(delta=…)",
        "fair_c": "the loss says it; use losskit.fair(c=…)",
        "tweedie_variance_power": _POWER,
        "poisson_max_delta_step": "it is of LightGBM's own curvature; choose one by curvature=",
        "sigmoid": "the loss has its own link, whose slope is 1; leave it out",
        "reg_sqrt": "the loss sees targets as they are; fit to their square roots yourself",
    },
    "catboost": {
        **dict.fromkeys(("loss_function", "objective"), _OBJECTIVE),
        "eval_metric": "the loss is the metric, by which training stops early; name others in "
        "custom_metric",
        "boost_from_average": _START.format("a Pool that has a baseline"),
        **dict.fromkeys(("class_weights", "auto_class_weights"), _CLASS_WEIGHTS),
        "scale_pos_weight": _RATIO,
    },
}


def refuse_decided(host: str, params: Mapping[str, Any]) -> None:
    """Raise ValueError at the first parameter that the loss decides; None is none."""
    for name, why in DECIDED[host].items():
        if params.get(name) is not None:
            raise ValueError(f"{name}={params[name]!r:.40} cannot be passed: {why}")
