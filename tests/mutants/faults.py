"""The faults: what is broken, and the law that must turn red."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from pytest import MonkeyPatch

import losskit
from laws import bounds, derivatives, prediction_scale, reductions, sql_form, values, written
from laws.domains import law_targets_outside_are_refused
from laws.test_accuracy import law_accuracy
from losskit import call, compute, interface, links, optimum, reduction
from losskit.backends import numba as numba_backend
from losskit.backends import numpy as numpy_backend
from losskit.backends import sql
from losskit.formula import diff, exp, fold, log, log1p, maximum, sigmoid, where
from losskit.formula.primitives import PRIMITIVES, apply, slope

Law = Callable[[losskit.Loss], None]


@dataclasses.dataclass(frozen=True)
class Fault:
    """A way to break losskit, a loss to look at, and the law that sees it."""

    name: str
    breaks: Callable[[MonkeyPatch], None]
    law: Law
    loss: str
    parameters: tuple[tuple[str, float], ...] = ()

    def fresh(self) -> losskit.Loss:
        """Return the loss with nothing remembered from before the fault."""
        loss = losskit.get(self.loss, **dict(self.parameters))
        return dataclasses.replace(
            loss, definition=dataclasses.replace(loss.definition, _graphs={}), _forms={}
        )


# --- ways to break ---------------------------------------------------------------------------------


def primitive(op: str, **changes: Any) -> Callable[[MonkeyPatch], None]:
    """Change one entry of the table of primitives."""

    def breaks(patch: MonkeyPatch) -> None:
        patch.setitem(PRIMITIVES, op, dataclasses.replace(PRIMITIVES[op], **changes))

    return breaks


def item(table: Any, key: Any, value: Any) -> Callable[[MonkeyPatch], None]:
    """Change one entry of a table."""
    return lambda patch: patch.setitem(table, key, value)


def attribute(owner: Any, name: str, value: Any) -> Callable[[MonkeyPatch], None]:
    """Change a function."""
    return lambda patch: patch.setattr(owner, name, value)


def _first_term_only(args: Any, changes: Any, node: Any) -> Any:
    return apply(node.op, changes[0], args[1])


def _product_of_changes(args: Any, changes: Any, node: Any) -> Any:
    return apply(node.op, changes[0], args[1]) - apply(node.op, args[0], changes[1])


def _closed_tie(a: Any, b: Any, da: Any, db: Any, order: int) -> Any:
    return where(a >= b, da, db)


def _multiplied(array: Any, weight: Any, scale: float) -> Any:
    if weight is None:
        return array * scale
    return array * (weight if array.ndim == 1 else weight[:, None]) * scale


def _unweighted(array: Any, weight: Any, scale: float) -> Any:
    return array * scale


def _plain_total(data: Any, *_: Any, **__: Any) -> Any:
    return float(np.add.accumulate(np.asarray(data, float))[-1]) if np.size(data) else 0.0, 0.0


def _count_only(numerator: Any, denominator: Any) -> float:
    return sum(numerator) / math.ceil(sum(denominator))


def _last_of_the_trail(first: Any, second: Any, third: Any) -> Any:
    return third


_run = numba_backend.run


def _run_without_weights(*args: Any, **options: Any) -> Any:
    return _run(*args, **{**options, "weight": None})


def _run_unscaled(*args: Any, **options: Any) -> Any:
    return _run(*args, **{**options, "scale": 1.0})


def _joined_high(pairs: Any) -> Any:
    return math.fsum(high for high, _ in pairs), 0.0


def _without_values(frozen: Any, stored: Any) -> losskit.Loss:
    definition = frozen.thaw()
    return losskit.Loss(definition, tuple((p.name, p.default) for p in definition.parameters))


def _sum_of_equals(a: Any, b: Any) -> Any:
    return a if a is b else fold._add(a, b)


def _wrong_neg(a: Any) -> Any:
    return a if a.op == "sub" else fold._neg(a)


def _halved_clip(self: Any, clip: float) -> tuple[float, ...]:
    return (*self.values, 0.0, 1.0) if self.clips else self.values


# --- the laws, called as one-argument functions ----------------------------------------------------


def differences(loss: losskit.Loss) -> None:
    """Derivatives are those of the value."""
    derivatives.law_gradient_and_hessian(loss, derivatives.points(loss, 6))


def accuracy(loss: losskit.Loss) -> None:
    """NumPy's results are the truth."""
    law_accuracy(loss, kernels=())


def kernels(loss: losskit.Loss) -> None:
    """The compiled results are the truth."""
    law_accuracy(loss, kernels=(np.float64,), most=2, count=5)


def predictions(loss: losskit.Loss) -> None:
    """The prediction scale is the raw scale by the chain rule."""
    prediction_scale.law_prediction_scale(loss, ["numpy"], [np.float64])


def compiled(law: Callable[..., None]) -> Law:
    """Return a law for the compiled tier."""
    return lambda loss: law(loss, "numba")


FAULTS = (
    # derivatives
    Fault("softplus' is σ(−x)", primitive("softplus", tangent=slope(lambda x: sigmoid(-x))), differences, "logistic_margin"),
    Fault("σ' without its factor", primitive("sigmoid", tangent=slope(lambda x: sigmoid(x))), differences, "binary_cross_entropy"),
    Fault("product rule loses a term", primitive("mul", tangent=_first_term_only), differences, "squared_error"),
    Fault("product rule subtracts", primitive("mul", tangent=_product_of_changes), differences, "squared_hinge"),
    Fault("mul_exp forgets its exponent", primitive("mul_exp", tangent=_first_term_only), differences, "gaussian_nll"),
    Fault("|x|^p keeps p", primitive("abs_pow", tangent=slope(lambda x, p: p * apply("signed_pow", x, p))), differences, "lp"),
    # kinks
    Fault("a tie takes the first", attribute(diff, "_larger_slope", _closed_tie), differences, "hinge"),
    Fault("curvature at a tie is the larger", attribute(diff, "minimum", maximum), differences, "expectile", (("q", 0.25),)),
    Fault("sign(0) is 1", item(numpy_backend.PRINTER.table, "signed", "({0} * np.where({1} >= 0, 1, -1))"), accuracy, "absolute_error"),
    Fault("where is closed on the other side", item(numpy_backend.PRINTER.table, "gt", "({0} >= {1})"), accuracy, "quantile", (("q", 0.9),)),
    # arithmetic
    Fault("softplus lowered naively", primitive("softplus", lower=lambda x: log(1 + exp(x))), accuracy, "binary_cross_entropy"),
    Fault("σ as 1 − σ(−x)", primitive("sigmoid", lower=lambda x: 1 - 1 / (1 + exp(x))), accuracy, "logistic_margin"),
    Fault("log cosh lowered naively", primitive("log_cosh", lower=lambda x: log((exp(x) + exp(-x)) / 2)), accuracy, "log_cosh"),
    Fault("x − log(1 + x) cancels", primitive("log1p_gap", lower=lambda x: x - log1p(x)), accuracy, "fair"),
    Fault("log1p of a ratio as a difference", primitive("log1p_ratio", lower=lambda a, b: log1p(a) - log1p(b)), accuracy, "msle"),
    Fault("x·e^s overflows early", primitive("mul_exp", lower=lambda x, s: x * exp(s)), accuracy, "gamma"),
    Fault("kernels print log1p as log(1 + x)", item(numba_backend.PRINTER.table, "log1p", "_log(_T(1.0) + {0})"), kernels, "msle"),
    Fault("kernels print expm1 as e^x − 1", item(numba_backend.PRINTER.table, "expm1", "(_exp({0}) - _T(1.0))"), kernels, "linex"),
    # rewriting and links
    Fault("−(a − b) is a − b", item(fold._RULES, "neg", _wrong_neg), written.law_rewriting_changes_nothing, "quantile"),
    Fault("x + x is x", item(fold._RULES, "add", _sum_of_equals), differences, "squared_error"),
    Fault("softplus(logit p) has the wrong sign", item(links._CANCEL, ("softplus", "logit"), lambda args, c, p: apply("log", p)), predictions, "binary_cross_entropy"),
    Fault("e^(c·log p) is p", item(links._CANCEL, ("exp", "log"), lambda args, c, p: p * p), predictions, "poisson"),
    Fault("0·∞ is not 0", primitive("xmul", lower=lambda a, b: a * b), prediction_scale.law_edges, "binary_cross_entropy"),
    Fault("clipping is not applied", attribute(compute.Form, "arguments", _halved_clip), prediction_scale.law_clipping, "binary_cross_entropy"),
    # weights and reductions
    Fault("weights are dropped", attribute(compute, "_weighted", _unweighted), reductions.law_weights_multiply, "huber"),
    Fault("weight 0 multiplies NaN", attribute(compute, "_weighted", _multiplied), reductions.law_left_out_means_left_out, "huber"),
    Fault("the mean's derivative is not divided", attribute(compute, "_scale", lambda *_: 1.0), reductions.law_reductions, "huber"),
    Fault("the mean divides by a whole number", attribute(call, "ratio", _count_only), reductions.law_reductions, "huber"),
    Fault("sums are not compensated", attribute(compute, "total", _plain_total), reductions.law_parts_add_up, "gaussian_nll"),
    Fault("parts lose their low halves", attribute(reduction, "join", _joined_high), reductions.law_parts_add_up, "gaussian_nll"),
    Fault("kernels drop weights", attribute(numba_backend, "run", _run_without_weights), compiled(reductions.law_weights_multiply), "huber"),
    Fault("kernels do not scale", attribute(numba_backend, "run", _run_unscaled), compiled(reductions.law_reductions), "huber"),
    # limits, bounds, constants
    Fault("an infinite score is a large one", attribute(compute, "_limit", _last_of_the_trail), bounds.law_infinite_scores_give_the_limit, "cauchy"),
    Fault("the best constant is the mean", attribute(optimum, "_weighted_quantile", lambda y, w, q: float(np.average(y, weights=w))), bounds.law_best_constant, "absolute_error"),
    Fault("the quantile is mirrored", attribute(optimum, "_weighted_quantile", lambda y, w, q: float(np.quantile(y, 1 - q))), bounds.law_best_constant, "quantile", (("q", 0.9),)),
    Fault("the perfect score is not linked", attribute(optimum, "_link", lambda link, p: p), bounds.law_never_below_its_infimum, "poisson"),
    # validation, values, text
    Fault("targets are not checked", attribute(compute, "_suspicious", lambda *_: False), law_targets_outside_are_refused, "poisson"),
    Fault("pickles lose parameters", attribute(interface, "thaw", _without_values), values.law_a_loss_is_a_value, "huber", (("delta", 2.5),)),
    Fault("SQL takes the smaller", item(sql._TABLE, "positive_part", "least({0}, 0e0)"), sql_form.law_sql, "hinge"),
    Fault("SQL's softplus overflows", item(sql._TABLE, "softplus", "ln(1e0 + exp({0}))"), sql_form.law_sql, "logistic_margin"),
)  # fmt: skip
