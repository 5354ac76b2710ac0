"""Combinators: a loss of lists from a loss of margins (`pairwise`) or of classes (`listwise`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from losskit.arrays import Array
from losskit.catalogue import get, made_of
from losskit.definition import Parameter, check_declared
from losskit.formula.axis import softmax, sum_
from losskit.formula.domain import POSITIVE, REAL, SIGN
from losskit.formula.expr import Expr, Unsupported, rebuild, rows
from losskit.formula.fold import constant_of
from losskit.formula.inputs import Choice, Input, Integer, Relevance, Vector
from losskit.interface import Loss
from losskit.links import LINKS
from losskit.lists import Lists
from losskit.ranking.changes import change_of
from losskit.ranking.pairs import Pairs, by_grade, over_pairs
from losskit.ranking.shape import shape_of
from losskit.ranking.sweeps import over_sorted
from losskit.rows.definition import RowDefinition
from losskit.written import Examples, WrittenDefinition

Metric = Literal["ndcg", "map"]
TARGETS: dict[str, Callable[[Expr], Expr]] = {
    "relevance": lambda y: y,
    "share": lambda y: y / sum_(y),
    "softmax": softmax,
}


def pairwise(loss: Loss | str, *, metric: Metric | None = None, **declared: Any) -> Loss:
    """Make a loss of ranked lists of a margin loss: for every pair of items of a list of which the
    first has the higher grade, it charges the margin f₁ − f₂ by which the scores say so.

    `loss` has a target in {−1, 1}: a name, a loss of the catalogue or your own; its parameters are
    the new loss's, beside `sigma`, which the scores are multiplied by. The new loss takes (y_true,
    y_pred) of shape (lists, items), or (items,) with `query=`; equal grades make no pair. An
    example is a pair: "mean" is the mean over the pairs of all lists, each weighted as its list,
    "none" the sum over each list's pairs; a list without pairs counts for nothing.

    With `metric="ndcg"` or "map" a pair counts by how much that metric would change if its two
    items swapped places in the ranking by score (Burges et al., 2006); derivatives take this weight
    as constant. Then `y_true` holds relevances ≥ 0, "map" calling 1 and more relevant, and there
    are the parameters `metric`, `k` (only the first k ranks count) and `gain` ("exponential":
    2^y − 1, or "linear").

    Time and memory: sums over pairs take O(m log m) for a list of m items where the loss is a
    polynomial up to a corner and 0 beyond, as hinges are, or an exponential; otherwise O(m²) time
    and O(m) memory. `declared` are `name`, `doc`, `cite`, `aliases`, `same_as`, `optimum`.

    >>> import losskit
    >>> ranking = losskit.pairwise(losskit.smoothed_hinge(gamma=0.5))
    >>> ranking([2, 0, 1, 0], [1.0, 0.5, -0.2, 0.1], query=["a", "a", "b", "b"])
    0.65
    """
    base = loss if isinstance(loss, Loss) else get(loss)
    if not isinstance(base, Loss) or base.kind != "pointwise" or base.target_domain != SIGN:
        raise TypeError(
            f"pairwise({base!r}): needed is a loss of margins, whose target is in {SIGN}, such as "
            "losskit.hinge or losskit.logistic_margin"
        )
    if metric not in (None, "ndcg", "map"):
        raise ValueError(f"pairwise: metric={metric!r}; needed is 'ndcg', 'map' or None")
    own = tuple(replace(p, default=base.params[p.name]) for p in base.definition.parameters)
    added = [Parameter("sigma", 1.0, POSITIVE)]
    if metric:
        added += [
            Parameter("metric", metric, Choice(("ndcg", "map"))),
            Parameter("k", None, Integer(1, none=True)),
            Parameter("gain", "exponential", Choice(("exponential", "linear"))),
        ]
    taken = {p.name for p in own} & {p.name for p in added}
    if taken:
        raise ValueError(f"pairwise({base!r}): it has a parameter {min(taken)}, as pairs have")
    named = f"lambda_{base.name}" if metric else f"pairwise_{base.name}"
    grade = Relevance.__metadata__[0] if metric else Input(REAL)
    definition = WrittenDefinition(
        name=declared.pop("name", named),
        doc=declared.pop("doc", f"Charges each pair of a list's items as {base!r} does a margin."),
        task=declared.pop("task", "user"),
        function=_Pairwise(base),
        axis="item",
        inputs=(("y_true", grade), ("y_pred", Vector.__metadata__[0])),
        parameters=(*own, *added),
        optimum=declared.pop("optimum", ""),
        cite=declared.pop("cite", base.definition.cite),
        aliases=declared.pop("aliases", ()),
        same_as=tuple(declared.pop("same_as", {}).items()),
    )
    return _made("pairwise", definition, declared)


def listwise(
    loss: Loss | str, *, target: Literal["relevance", "share", "softmax"] = "share", **declared: Any
) -> Loss:
    """Make a loss of ranked lists of a loss of classes: the items of a list are the classes, their
    scores the logits, and `target` says what the relevances make the classes' probabilities.

    `loss` takes soft targets, as `losskit.cross_entropy` does; its parameters are the new loss's.
    `target` is "share" (relevance divided by the list's sum; a list whose relevances are all 0 is
    an error, or counts 0 with `empty="zero"`), "softmax" (of the relevances) or "relevance" (as it
    is, so lists with more relevant items count more). The new loss takes (y_true, y_pred) of shape
    (lists, items), or (items,) with `query=`, and an example is a list. For a formula of your own
    that sees a whole list write `@losskit.loss(axis="item")`. `declared` are as for `pairwise`.

    >>> import losskit
    >>> spread = losskit.listwise(losskit.cross_entropy(label_smoothing=0.1), target="softmax")
    >>> round(spread([2, 0, 1, 0], [1.0, 0.5, -0.2, 0.1], query=["a", "a", "b", "b"]), 6)
    0.65973
    """
    base = loss if isinstance(loss, Loss) else get(loss)
    definition = getattr(base, "definition", None)
    if not isinstance(definition, RowDefinition) or not _takes_mixtures(definition):
        raise TypeError(
            f"listwise({base!r}): needed is a loss of classes with soft targets, such as "
            "losskit.cross_entropy"
        )
    dropped = [k for k in ("class_weight", "ignore_index") if base.params.get(k) is not None]
    if dropped:
        raise ValueError(
            f"listwise({base!r}): {dropped[0]} is of classes, and the items of a list are none; "
            "pass a loss without it, and sample_weight= or mask= with the data"
        )
    if target not in TARGETS:
        raise ValueError(f"listwise: target={target!r}; needed is one of {', '.join(TARGETS)}")
    relevance, score = Relevance.__metadata__[0], Vector.__metadata__[0]
    made = replace(
        definition,
        name=declared.pop("name", f"listwise_{base.name}"),
        doc=declared.pop("doc", f"Charges the items of a list as {base!r} does classes."),
        task=declared.pop("task", "user"),
        formula=_over_items(definition, TARGETS[target]),
        axis="item",
        symbols=("y", "f"),
        inputs=(("y_true", relevance), ("y_pred", score)),
        parameters=tuple(
            replace(p, default=base.params[p.name]) for p in definition.formula_parameters
        ),
        links=(LINKS["identity"],),
        optimum=declared.pop("optimum", ""),
        cite=declared.pop("cite", definition.cite),
        aliases=declared.pop("aliases", ()),
        same_as=tuple(declared.pop("same_as", {}).items()),
        kernel="",
        perplexity=False,
        _graphs={},
    )
    made.graph(made.statics({p.name: p.default for p in made.parameters}))
    return _made("listwise", made, declared)


@dataclass(frozen=True)
class _Pairwise:
    """The algorithm of `pairwise(base)`."""

    base: Loss

    def __call__(
        self,
        y: Array,
        f: Array,
        *,
        lists: Lists,
        sigma: float,
        metric: str | None = None,
        k: int | None = None,
        gain: str = "exponential",
        **params: Any,
    ) -> Examples:
        pairs = by_grade(y, lists)
        scores = np.clip(f[pairs.place] * float(sigma), -_HUGE, _HUGE).astype(np.float64)
        weight = None
        if metric is not None:
            weight = change_of(metric, pairs, y[pairs.place], f[pairs.place], k, gain)
        charge = _Charge(self.base(**params), pairs, scores, weight)
        orders = charge.loss.form(raw=True).graph.orders
        first = charge.sums(("value", "gradient") if "gradient" in orders else ("value",))
        count = pairs.per_list(pairs.counts).astype(np.float64)
        value = pairs.per_list(first["value"]) / np.maximum(count, 1)

        def pull(order: str, scale: float) -> Callable[[Array], tuple[Array, ...]]:
            def of_lists(upstream: Array) -> tuple[Array, ...]:
                if order not in orders:
                    raise Unsupported(f"{charge.loss.name} has no {order}, so its pairs have none")
                sums = first[order] if order in first else charge.sums((order,))[order]
                per_pair = upstream / np.maximum(count, 1) * scale
                return (pairs.in_place(sums * per_pair[pairs.list_of]),)

            return of_lists

        weights = count if lists.weight is None else count * lists.weight
        return Examples(
            value, weights, pull("gradient", sigma), pull("hessian", sigma**2),
            lacking="no list has items of different grades, of which pairs are made",
        )  # fmt: skip


@dataclass(frozen=True)
class _Charge:
    """A margin loss over some pairs."""

    loss: Loss
    pairs: Pairs
    scores: Array
    weight: Any

    def sums(self, wanted: tuple[str, ...]) -> dict[str, Array]:
        """Return the items' sums of what is wanted, without pairs where that can be."""
        shape = None if self.weight is not None else shape_of(self.loss)
        few = self.pairs.total < _FEW * len(self.scores)
        if shape is None or few or not np.abs(self.scores).max(initial=0) < _SQUARABLE:
            return over_pairs(self.pairs, self.scores, self.loss, wanted, self.weight)
        return over_sorted(self.pairs, self.scores, shape, wanted)


_HUGE = np.finfo(np.float64).max / 4  # the difference of two such scores is finite
_SQUARABLE = 2.0**480
_FEW = 500  # pairs of an item; below, sorting takes longer than charging every pair


def _over_items(definition: RowDefinition, target: Callable[[Expr], Expr]) -> Callable[..., Expr]:
    """Return the formula with relevances in place of the classes' probabilities."""
    y, f = definition.symbols
    if not definition.inputs[0][1].classes:
        y, f = f, y

    def formula(relevance: Expr, score: Expr, **params: Any) -> Expr:
        fixed = []
        for p in definition.formula_parameters:
            value = params[p.name]
            if not isinstance(value, Expr):
                fixed.append((p.name, value))
            elif constant_of(value) is not None:
                fixed.append((p.name, constant_of(value)))
        table = rows(definition.graph(tuple(fixed)).value)
        trace = score.trace

        def build(op: str, args: tuple[Expr, ...]) -> Expr:
            return trace.node(op, *args) if args else trace.add(op, ())

        return rebuild(table, trace, build, {y: target(relevance), f: score})[-1]

    return formula


def _takes_mixtures(definition: RowDefinition) -> bool:
    inputs = [one for _, one in definition.inputs]
    target = [one for one in inputs if one.classes == "soft" and one.rank == 2]
    scores = [one for one in inputs if one.trained and one.rank == 2]
    return len(inputs) == 2 and len(target) == 1 and len(scores) == 1


def _made(combinator: str, definition: Any, unknown: dict[str, Any]) -> Loss:
    if unknown:
        raise TypeError(f"{combinator} takes no {min(unknown)}=")
    check_declared(definition.name, definition.aliases)
    return made_of(definition)
