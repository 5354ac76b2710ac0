"""The faults: what is broken, and the law that must turn red."""

from __future__ import annotations

import numpy as np

from laws import bounds, prediction_scale, reductions, sql_form, values, written
from laws.domains import law_targets_outside_are_refused
from losskit import call, catalogue, compute, links, optimum, reduction
from losskit.backends import numba as numba_backend
from losskit.backends import numpy as numpy_backend
from losskit.backends import sql_text
from losskit.formula import diff, exp, fold, log, log1p, maximum, sigmoid
from losskit.formula.primitives import apply, slope
from mutants import ways
from mutants.ways import Fault, attribute, item, primitive

FAULTS = (
    # derivatives
    Fault(
        "softplus' is σ(−x)",
        primitive("softplus", tangent=slope(lambda x: sigmoid(-x))),
        ways.differences,
        "logistic_margin",
    ),
    Fault(
        "σ' without its factor",
        primitive("sigmoid", tangent=slope(lambda x: sigmoid(x))),
        ways.differences,
        "binary_cross_entropy",
    ),
    Fault(
        "product rule loses a term",
        primitive("mul", tangent=ways.first_term_only),
        ways.differences,
        "squared_error",
    ),
    Fault(
        "product rule subtracts",
        primitive("mul", tangent=ways.product_of_changes),
        ways.differences,
        "squared_hinge",
    ),
    Fault(
        "mul_exp forgets its exponent",
        primitive("mul_exp", tangent=ways.first_term_only),
        ways.differences,
        "gaussian_nll",
    ),
    Fault(
        "|x|^p keeps p",
        primitive("abs_pow", tangent=slope(lambda x, p: p * apply("signed_pow", x, p))),
        ways.differences,
        "lp",
    ),
    # kinks
    Fault(
        "a tie takes the first",
        attribute(diff, "_larger_slope", ways.closed_tie),
        ways.differences,
        "hinge",
    ),
    Fault(
        "curvature at a tie is the larger",
        attribute(diff, "minimum", maximum),
        ways.differences,
        "expectile",
        (("q", 0.25),),
    ),
    Fault(
        "sign(0) is 1",
        item(numpy_backend.PRINTER.table, "signed", "({0} * np.where({1} >= 0, 1, -1))"),
        ways.accuracy,
        "absolute_error",
    ),
    Fault(
        "where is closed on the other side",
        item(numpy_backend.PRINTER.table, "gt", "({0} >= {1})"),
        ways.accuracy,
        "quantile",
        (("q", 0.9),),
    ),
    # arithmetic
    Fault(
        "softplus lowered naively",
        primitive("softplus", lower=lambda x: log(1 + exp(x))),
        ways.accuracy,
        "binary_cross_entropy",
    ),
    Fault(
        "σ as 1 − σ(−x)",
        primitive("sigmoid", lower=lambda x: 1 - 1 / (1 + exp(x))),
        ways.accuracy,
        "logistic_margin",
    ),
    Fault(
        "log cosh lowered naively",
        primitive("log_cosh", lower=lambda x: log((exp(x) + exp(-x)) / 2)),
        ways.accuracy,
        "log_cosh",
    ),
    Fault(
        "x − log(1 + x) cancels",
        primitive("log1p_gap", lower=lambda x: x - log1p(x)),
        ways.accuracy,
        "fair",
    ),
    Fault(
        "log1p of a ratio as a difference",
        primitive("log1p_ratio", lower=lambda a, b: log1p(a) - log1p(b)),
        ways.accuracy,
        "msle",
    ),
    Fault(
        "x·e^s overflows early",
        primitive("mul_exp", lower=lambda x, s: x * exp(s)),
        ways.accuracy,
        "gamma",
    ),
    Fault(
        "kernels print log1p as log(1 + x)",
        item(numba_backend.PRINTER.table, "log1p", "_log(_T(1.0) + {0})"),
        ways.kernels,
        "msle",
    ),
    Fault(
        "kernels print expm1 as e^x − 1",
        item(numba_backend.PRINTER.table, "expm1", "(_exp({0}) - _T(1.0))"),
        ways.kernels,
        "linex",
    ),
    # rewriting and links
    Fault(
        "−(a − b) is a − b",
        item(fold._RULES, "neg", ways.wrong_neg),
        written.law_rewriting_changes_nothing,
        "quantile",
    ),
    Fault(
        "x + x is x",
        item(fold._RULES, "add", ways.sum_of_equals),
        ways.differences,
        "squared_error",
    ),
    Fault(
        "softplus(logit p) has the wrong sign",
        item(links._CANCEL, ("softplus", "logit"), lambda args, c, p: apply("log", p)),
        ways.predictions,
        "binary_cross_entropy",
    ),
    Fault(
        "e^(c·log p) is p",
        item(links._CANCEL, ("exp", "log"), lambda args, c, p: p * p),
        ways.predictions,
        "poisson",
    ),
    Fault(
        "0·∞ is not 0",
        primitive("xmul", lower=lambda a, b: a * b),
        prediction_scale.law_edges,
        "binary_cross_entropy",
    ),
    Fault(
        "clipping is not applied",
        attribute(compute.Form, "arguments", ways.halved_clip),
        prediction_scale.law_clipping,
        "binary_cross_entropy",
    ),
    # weights and reductions
    Fault(
        "weights are dropped",
        attribute(compute, "_weighted", ways.unweighted),
        reductions.law_weights_multiply,
        "huber",
    ),
    Fault(
        "weight 0 multiplies NaN",
        attribute(compute, "_weighted", ways.multiplied),
        reductions.law_left_out_means_left_out,
        "huber",
    ),
    Fault(
        "the mean's derivative is not divided",
        attribute(compute, "_scale", lambda *_: 1.0),
        reductions.law_reductions,
        "huber",
    ),
    Fault(
        "the mean divides by a whole number",
        attribute(call, "ratio", ways.count_only),
        reductions.law_reductions,
        "huber",
    ),
    Fault(
        "sums are not compensated",
        attribute(compute, "total", ways.plain_total),
        reductions.law_parts_add_up,
        "gaussian_nll",
    ),
    Fault(
        "parts lose their low halves",
        attribute(reduction, "join", ways.joined_high),
        reductions.law_parts_add_up,
        "gaussian_nll",
    ),
    Fault(
        "kernels drop weights",
        attribute(numba_backend, "run", ways.run_without_weights),
        ways.compiled(reductions.law_weights_multiply),
        "huber",
    ),
    Fault(
        "kernels do not scale",
        attribute(numba_backend, "run", ways.run_unscaled),
        ways.compiled(reductions.law_reductions),
        "huber",
    ),
    # limits, bounds, constants
    Fault(
        "an infinite score is a large one",
        attribute(compute, "_limit", ways.last_of_the_trail),
        bounds.law_infinite_scores_give_the_limit,
        "cauchy",
    ),
    Fault(
        "the best constant is the mean",
        attribute(optimum, "_weighted_quantile", lambda y, w, q: float(np.average(y, weights=w))),
        bounds.law_best_constant,
        "absolute_error",
    ),
    Fault(
        "the quantile is mirrored",
        attribute(optimum, "_weighted_quantile", lambda y, w, q: float(np.quantile(y, 1 - q))),
        bounds.law_best_constant,
        "quantile",
        (("q", 0.9),),
    ),
    Fault(
        "the perfect score is not linked",
        attribute(optimum, "_link", lambda link, p: p),
        bounds.law_never_below_its_infimum,
        "poisson",
    ),
    # validation, values, text
    Fault(
        "targets are not checked",
        attribute(compute, "_suspicious", lambda *_: False),
        law_targets_outside_are_refused,
        "poisson",
    ),
    Fault(
        "pickles lose parameters",
        attribute(catalogue, "thaw", ways.without_values),
        values.law_a_loss_is_a_value,
        "huber",
        (("delta", 2.5),),
    ),
    Fault(
        "SQL takes the smaller",
        item(sql_text.TABLE, "positive_part", "least({0}, 0e0)"),
        sql_form.law_sql,
        "hinge",
    ),
    Fault(
        "SQL's softplus overflows",
        item(sql_text.TABLE, "softplus", "ln(1e0 + exp({0}))"),
        sql_form.law_sql,
        "logistic_margin",
    ),
)
