"""Curvature as a policy: what is handed to a booster as the second derivative of a loss.

A booster divides by it: a leaf is −Σg/(Σh + λ). So it has to be positive and in the units of the
target, which the second derivative is not where a loss is flat, straight or concave. Each policy is
an expression of the loss language, so that kernels compute it together with the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from losskit.boosting.hosts import Counterpart, Terms, counterpart, rule
from losskit.definition import Graph, copies
from losskit.formula.expr import Expr, Trace, Unsupported, reachable, rebuild, rows
from losskit.formula.fold import constant_of
from losskit.formula.primitives import equal, maximum, where
from losskit.interface import Loss

POLICIES = ("exact", "fisher", "majorizer", "host", "constant")


def policy_for(loss: Any, host: str) -> tuple[str, str]:
    """Return the policy that suits a loss in a host, and why."""
    own = counterpart(loss, host)
    if own is not None:
        said = rule(own)
        usable = not _fades(loss) if said is None else not said.renews
        if usable:
            return "host", f"{host} has this loss as {own.objective}"
    if loss.kind != "pointwise":
        if _diagonal_is_positive(loss):
            return "exact", "the diagonal of the second derivative"
        return "constant", "the second derivative is 0 or negative in places"
    if len(loss.outputs) > 1:
        return "exact", "the diagonal of the second derivative"
    if is_straight(loss):
        return "constant", "the loss is straight where it does not bend, so it has no curvature"
    low, high = properties_of(loss).curvature
    if low > 0:
        return "exact", "the curvature is bounded away from 0"
    if _has_secant(loss):
        return "majorizer", "the curvature vanishes or turns negative far from the target"
    if low >= 0 and not (math.isfinite(high) and _has_straight_parts(loss)):
        return "exact", "the loss is convex"
    if low >= 0:
        return "majorizer", "the loss has a slope where it has no curvature"
    if _expected(loss, _scaled(loss.form(raw=True).graph, 1.0)) is not None:
        return "fisher", "the loss is not convex, its expected curvature is positive"
    if math.isfinite(high) or _has_secant(loss):
        return "majorizer", "the loss is not convex"
    raise Unsupported(
        f"{loss.name}: its curvature is negative in places and has no upper bound; choose "
        "curvature='constant' or curvature='exact' with a floor"
    )


@lru_cache(maxsize=256)
def properties_of(loss: Any) -> Any:
    """Return a loss's properties, which take longer to find than all else of an objective."""
    return loss.properties


def hosted(loss: Any, host: str, policy: str, floor: float) -> Any:
    """Return the pointwise loss at the host's scale, its Hessian being the policy's curvature.

    The scale is that of the host's own objective for the loss, where it has one: λ and the least
    weight of a child then mean what the host's documentation says.
    """
    own = counterpart(loss, host)
    form = loss.form(raw=True)
    graph = _scaled(form.graph, 1.0 if own is None else own.factor)
    if policy in ("exact", "constant"):  # the latter needs the data: see `objective`
        made = graph.hessian if "hessian" in graph.orders else ()
    else:
        made = (_POLICIES[policy](loss, graph, own),)
    if made and policy != "constant":
        made = tuple(maximum(_node(graph, h), floor) for h in made)
        graph = replace(graph, curvature=made)
    curved = Loss(loss.definition, loss.values)
    curved._forms[True] = replace(form, graph=graph, _functions={})
    return curved


def is_straight(loss: Any) -> bool:
    """Whether the second derivative is 0 wherever there is one."""
    graph = loss.form(raw=True).graph
    if "hessian" not in graph.orders or len(graph.outputs) > 1:
        return False
    return constant_of(graph.hessian[0]) == 0 or properties_of(loss).curvature == (0.0, 0.0)


def of_rows(own: Counterpart | None, policy: str, gradient: Any, hessian: Any, floor: Any) -> Any:
    """Return the curvature (n, K) of a loss over classes, from its derivatives as arrays."""
    if policy == "host":
        said = None if own is None else rule(own)
        if said is not None:
            hessian = said.curvature(Terms(None, None, gradient, hessian, hessian.shape[-1]))
    return np.maximum(hessian, floor).astype(gradient.dtype, copy=False)


def is_flat(part: Any) -> bool:
    """Whether a part, as `hosted` makes it, has the same curvature at every target and score."""
    nodes = reachable(part.form(raw=True).graph.curvature)
    return not any(node.op == "symbol" and node.value in ("y", "f") for node in nodes)


def _scaled(graph: Graph, factor: float) -> Graph:
    """Return a copy of the graph, in a trace of its own, of the loss divided by `factor`."""
    trace = Trace(graph.symbols)
    (value,) = copies([graph.value], trace)
    outputs = tuple(trace.symbols[str(o.value)] for o in graph.outputs)
    return Graph(graph.name, graph.symbols, outputs, value if factor == 1 else value / factor)


def _node(graph: Graph, h: Any) -> Expr:
    return h if isinstance(h, Expr) else graph.value.trace.constant(h)


def _host(loss: Any, graph: Graph, own: Counterpart | None) -> Any:
    if own is None:
        raise Unsupported(
            f"{loss!r} is not an objective of this library, so it has no rule for its curvature; "
            "choose another than curvature='host'"
        )
    said = rule(own)
    if said is None:
        return graph.hessian[0]
    symbols = graph.value.trace.symbols
    hessian = graph.hessian[0] if "hessian" in graph.orders else None
    return said.curvature(Terms(symbols["y"], symbols["f"], graph.gradient[0], hessian, 1))


def _fisher(loss: Any, graph: Graph, own: Counterpart | None) -> Expr:
    found = _expected(loss, graph)
    if found is None:
        raise Unsupported(
            f"{loss.name}: the expected curvature is known where a loss estimates a mean and its "
            "curvature is linear in the target; choose another than curvature='fisher'"
        )
    return found


def _expected(loss: Any, graph: Graph) -> Expr | None:
    """Return E[h|f], h at the mean of the target, where h is linear in the target; else None."""
    if loss.definition.optimum not in ("mean", "probability"):
        return None
    f = np.linspace(-3, 3, 25)
    low, high = (0.0, 1.0) if loss.target_domain.contains(0.0) else (0.5, 1.5)
    at = [
        loss.hessian(np.full_like(f, y), f, raw=True, reduction="none")
        for y in (low, (low + high) / 2, high)
    ]
    if not np.allclose(at[1], (at[0] + at[2]) / 2, rtol=1e-10, atol=0):
        return None
    trace = graph.value.trace
    mean = loss.link.inverse(trace.symbols["f"])
    return rebuild(rows(graph.hessian[0]), trace, _build(trace), {"y": mean})[-1]


def _majorizer(loss: Any, graph: Graph, own: Counterpart | None) -> Any:
    """Return a curvature with which a parabola through value and slope lies above the loss.

    For a loss of the distance that grows no faster than its square that is slope/distance, the
    weight of iteratively reweighted least squares (Huber and Ronchetti 2009, section 7.8); else
    the upper bound of the curvature. Where there is none slope/distance still ends the step
    between prediction and target.
    """
    one = len(graph.outputs) == 1
    high = properties_of(loss).curvature[1] if one else math.inf
    bounded = math.isfinite(high)
    if one and (not bounded or properties_of(loss).symmetric) and _has_secant(loss):
        symbols = graph.value.trace.symbols
        r = symbols["f"] - symbols["y"]
        here = equal(r, 0)
        return where(here, graph.hessian[0], graph.gradient[0] / where(here, 1, r))
    if not bounded:
        raise Unsupported(
            f"{loss.name}: its curvature has no upper bound; choose another than "
            "curvature='majorizer'"
        )
    return high / (1.0 if own is None else own.factor)


_POLICIES: dict[str, Callable[[Any, Graph, Counterpart | None], Any]] = {
    "host": _host,
    "fisher": _fisher,
    "majorizer": _majorizer,
}


def _build(trace: Trace) -> Callable[[str, tuple[Expr, ...]], Expr]:
    return lambda op, args: trace.node(op, *args) if args else trace.add(op, ())


def _has_secant(loss: Any) -> bool:
    """Whether the loss is least where prediction and target agree, and slopes point there."""
    if len(loss.outputs) > 1 or loss.link.name != "identity" or loss.definition.perfect is not None:
        return False
    domain = loss.prediction_domain()
    if loss.target_domain.values or "hessian" not in loss.form(raw=True).graph.orders:
        return False
    r = np.logspace(-6, 6, 200)
    target = np.full_like(r, 1.0 if domain.contains(1.0) and not domain.contains(0.0) else 0.5)
    for side in (-r, r):
        inside = domain.contains(target + side)
        y, f = target[inside], (target + side)[inside]
        secant = loss.gradient(y, f, raw=True, reduction="none") / (f - y)
        if not (secant >= 0).all() or not (secant > 0).any():
            return False
    return True


def _fades(loss: Any) -> bool:
    """Whether far from the target there is a slope and as good as no curvature, as of log-cosh.

    A host that has such a loss keeps to its leaves' medians, or diverges itself without L2. Twice
    as far a curvature that falls like a power of the distance is a few times smaller, in any unit.
    """
    if not _has_secant(loss):
        return False
    r = np.logspace(-6, 6, 200)
    r = np.concatenate([-r, r])
    try:
        gradient, hessian = loss.gradient_and_hessian(0 * r, r, raw=True, reduction="none")
        farther = loss.hessian(0 * r, 2 * r, raw=True, reduction="none")
    except ValueError:  # 0 is no target of it
        return False
    return bool(((gradient != 0) & (farther <= 1e-12 * hessian)).any())


def _has_straight_parts(loss: Any) -> bool:
    """Whether there are scores with a slope and no curvature, where a step would be infinite."""
    domain = loss.target_domain
    f = np.linspace(-9, 9, 181)
    for target in domain.values or (y for y in (-1.0, 0.0, 0.5, 1.0, 3.0) if domain.contains(y)):
        y = np.full_like(f, target)
        gradient, hessian = loss.gradient_and_hessian(y, f, raw=True, reduction="none")
        if ((gradient != 0) & (hessian <= 0)).any():
            return True
    return False


def _diagonal_is_positive(loss: Any) -> bool:
    """Whether the diagonal of the second derivative is positive at scores of every order."""
    # As many classes as the loss has weights of; three tell as much as more.
    count = max((len(v) for v in loss.params.values() if isinstance(v, tuple)), default=3)
    scores = np.zeros((len(_SCORES) ** 2, count))
    scores[:, :2] = [(a, b)[:count] for a in _SCORES for b in _SCORES]
    labels = loss.definition.axis == "label"
    for k in range(min(count, 3)):
        if k == loss.params.get("ignore_index"):
            continue
        target = np.eye(count)[k] if labels else np.array(k)
        y = np.broadcast_to(target, (len(scores), *target.shape))
        try:
            found = loss.hessian(y, scores, raw=True, reduction="sum")
        except Unsupported:
            return False
        if not (found > 0).all():
            return False
    return True


_SCORES = (-3.0, -1.0, -0.1, 0.2, 0.9, 2.5)
