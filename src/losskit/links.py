"""Links between the raw scale, on which formulas are written, and the scale of predictions.

The prediction-scale form of a loss is derived, never written: f = link(p) is substituted and the
pairs of a link and its inverse cancel by `_CANCEL`, which holds exactly, without rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from losskit.formula.axis import count, softmax, sum_
from losskit.formula.domain import POSITIVE, REAL, UNIT, Domain
from losskit.formula.expr import Expr, Row, Trace, depends, rebuild
from losskit.formula.fold import constant_of
from losskit.formula.primitives import apply


@dataclass(frozen=True)
class Link:
    """A link f = link(p), its inverse, and where predictions lie."""

    name: str
    forward: Callable[[Expr], Expr]
    inverse: Callable[[Expr], Expr]
    domain: Domain
    clips: bool = False  # predictions are kept one eps away from the ends of the domain

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> Any:
        return link_named, (self.name,)


LINKS = {
    link.name: link
    for link in (
        Link("identity", lambda p: p, lambda f: f, REAL),
        Link("log", lambda p: apply("log", p), lambda f: apply("exp", f), POSITIVE),
        Link("logit", lambda p: apply("logit", p), lambda f: apply("sigmoid", f), UNIT, clips=True),
        Link("softmax", lambda p: apply("log", p), softmax, UNIT, clips=True),
    )
}


def link_named(name: str) -> Link:
    """Return the link of this name."""
    return LINKS[name]


def on_prediction_scale(
    table: Sequence[Row],
    trace: Trace,
    outputs: Sequence[Expr],
    links: Sequence[Link],
    names: Sequence[str],
) -> list[Expr]:
    """Return `table`'s nodes in `trace` with each raw output replaced by its link of a prediction.

    `outputs` are the predictions' nodes in `trace`, `names` the raw outputs' symbols.
    """
    linked = [link.forward(p) for link, p in zip(links, outputs, strict=True)]
    replaced = dict(zip(names, linked, strict=True))

    def build(op: str, args: tuple[Expr, ...]) -> Expr:
        for node, p in zip(linked, outputs, strict=True):
            rule = _CANCEL.get((op, node.op))
            factor = rule and _multiple(args[1 if op in ("mul_exp", "mul_expm1_over") else 0], node)
            if rule is not None and factor is not None:
                cancelled = rule(args, factor, p)
                if cancelled is not None:
                    return cancelled
        if op == "mul" and any(link.name != "identity" for link in links):
            # At the ends of the domain a logarithm is infinite, and 0·∞ has to be 0.
            moving = [depends(a, outputs) for a in args]
            if moving[0] != moving[1]:
                still, other = (args[1], args[0]) if moving[0] else args
                if still.op != "constant":
                    return apply("xmul", still, other)
        return trace.node(op, *args) if args else trace.add(op, ())

    return rebuild(table, trace, build, replaced)


def _multiple(expr: Expr, link: Expr) -> Expr | None:
    """Return c where `expr` is c·link, or None."""
    if expr is link:
        return link.trace.constant(1)
    if expr.op == "neg":
        inner = _multiple(expr.args[0], link)
        return None if inner is None else -inner
    if expr.op == "mul" and expr.args[0] is link:
        return expr.args[1]
    if expr.op == "mul" and expr.args[1] is link:
        return expr.args[0]
    return None


def _power(p: Expr, c: Expr) -> Expr:
    number = constant_of(c)
    if number is not None and number < 0:
        return 1 / _power(p, -c)
    return apply("pow", p, c)


def _mul_power(args: tuple[Expr, ...], c: Expr, p: Expr) -> Expr:
    number = constant_of(c)
    if number == -1:
        return args[0] / p
    if number == -2:
        return args[0] / p / p
    return args[0] * _power(p, c)


def _sigmoid(args: tuple[Expr, ...], c: Expr, p: Expr) -> Expr | None:
    return {1.0: p, -1.0: 1 - p}.get(constant_of(c) or 0)


def _softplus(args: tuple[Expr, ...], c: Expr, p: Expr) -> Expr | None:
    number = constant_of(c)
    if number == 1:
        return -apply("log1p", -p)
    return -apply("log", p) if number == -1 else None


def _boxcox(args: tuple[Expr, ...], c: Expr, p: Expr) -> Expr | None:
    return apply("boxcox", p, args[1]) if constant_of(c) == 1 else None


def _alone(c: Expr, cancelled: Expr) -> Expr | None:
    return cancelled if constant_of(c) == 1 else None


_CANCEL: dict[tuple[str, str], Callable[[tuple[Expr, ...], Expr, Expr], Expr | None]] = {
    ("exp", "log"): lambda args, c, p: _power(p, c),
    ("mul_exp", "log"): _mul_power,
    ("expm1_over", "log"): _boxcox,
    ("mul_expm1_over", "log"): lambda args, c, p: (
        apply("xmul", args[0], apply("boxcox", p, args[2])) if constant_of(c) == 1 else None
    ),
    ("softplus_scaled", "log"): lambda args, c, p: apply("log1p", args[1] * _power(p, c)),
    ("sigmoid", "logit"): _sigmoid,
    ("softplus", "logit"): _softplus,
    # Of a row of probabilities, whose sum is one.
    ("softmax", "log"): lambda args, c, p: _alone(c, p),
    ("softmax_rest", "log"): lambda args, c, p: _alone(c, 1 - p),
    ("surprise", "log"): lambda args, c, p: _alone(c, -apply("log", p)),
    ("entropy", "log"): lambda args, c, p: _alone(c, -sum_(apply("xmul", p, apply("log", p)))),
    ("logsumexp", "log"): lambda args, c, p: _alone(c, p.trace.constant(0)),
    ("uniform", "log"): lambda args, c, p: 1 / count(p),
}
