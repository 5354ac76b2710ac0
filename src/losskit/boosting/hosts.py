"""What the boosting libraries themselves do: their objective for a loss, and its curvature.

Factors come from `Loss.same_as`. The curvature that a library uses is no property of a loss: it
differs between libraries and between versions of one, so it stands in a table by version.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from losskit.formula.expr import Unsupported
from losskit.formula.primitives import exp, maximum

HOSTS = {
    "xgboost": ("xgboost", "xgboost-cpu"),
    "lightgbm": ("lightgbm",),
    "catboost": ("catboost",),
}  # and the distributions that bring them


@dataclass(frozen=True)
class Counterpart:
    """A host's own objective that equals a loss: loss = factor · objective."""

    host: str
    objective: str
    parameters: Mapping[str, Any]
    factor: float


@dataclass(frozen=True)
class Terms:
    """What a rule may use: arrays, or nodes of a formula, at the host's scale."""

    y: Any
    f: Any
    gradient: Any
    hessian: Any
    classes: int


@dataclass(frozen=True)
class Rule:
    """How a host computes an objective's curvature from a version on."""

    host: str
    objective: str
    since: tuple[int, ...]
    curvature: Callable[[Terms], Any]
    formula: str  # the same, for people
    renews: bool = (
        False  # whether the host then replaces leaf values, which a custom objective cannot
    )


def _one(_: Terms) -> float:
    return 1.0


def _steps_of(step: float) -> Callable[[Terms], Any]:
    return lambda t: exp(t.f + step)


# An objective that is not here uses the second derivative. XGBoost 3.5's rows were read in its
# source (pull requests 12431, 12537, 12538), all others are held to the installed version by
# tests/test_xgboost_hosts.py, test_lightgbm.py and test_catboost.py.
RULES = (
    Rule("xgboost", "reg:absoluteerror", (0,), _one, "1", renews=True),
    Rule("xgboost", "reg:quantileerror", (0,), _one, "1", renews=True),
    Rule("xgboost", "count:poisson", (0,), _steps_of(0.7), "exp(f + 0.7)"),
    Rule("xgboost", "count:poisson", (3, 5), lambda t: (t.y + 2 * exp(t.f)) / 3, "(y + 2·exp f)/3"),
    Rule("xgboost", "reg:gamma", (3, 5), lambda t: (2 * t.hessian + 1) / 3, "(2y·exp(−f) + 1)/3"),
    Rule(
        "xgboost", "reg:squaredlogerror", (0,), lambda t: maximum(t.hessian, 1e-6), "max(h, 1e-6)",
    ),
    Rule("xgboost", "multi:softprob", (0,), lambda t: 2 * t.hessian, "2p(1 − p)"),
    Rule("xgboost", "multi:softprob", (3, 5), lambda t: abs(t.gradient), "|p − y|"),
    Rule("lightgbm", "regression_l1", (0,), _one, "1", renews=True),
    Rule("lightgbm", "quantile", (0,), _one, "1", renews=True),
    Rule("lightgbm", "huber", (0,), _one, "1"),
    Rule("lightgbm", "poisson", (0,), _steps_of(0.7), "exp(f + 0.7)"),
    Rule(
        "lightgbm", "multiclass", (0,),
        lambda t: t.classes / (t.classes - 1) * t.hessian, "K/(K − 1)·p(1 − p)",
    ),
    Rule("catboost", "MAE", (0,), _one, "1", renews=True),
    Rule("catboost", "Quantile", (0,), _one, "1", renews=True),
)  # fmt: skip


def counterpart(loss: Any, host: str) -> Counterpart | None:
    """Return the host's own objective for a loss at these parameters, if it has one."""
    for entry, factor in getattr(loss, "same_as", {}).items():
        if entry.startswith(f"{host}."):
            call = ast.parse(entry, mode="eval").body
            assert isinstance(call, ast.Call)
            said = {k.arg or "": ast.literal_eval(k.value) for k in call.keywords}
            text = str(said.pop("objective", None) or said.pop("loss_function"))
            return Counterpart(host, text, said, factor)
    return None


def rule(own: Counterpart, installed: str | None = None) -> Rule | None:
    """Return the rule of the installed (or a given) version, None for the second derivative."""
    at = numbers(version_of(own.host) if installed is None else installed)
    name = own.objective.partition(":")[0] if own.host == "catboost" else own.objective
    known = [r for r in RULES if (r.host, r.objective) == (own.host, name) and r.since <= at]
    return max(known, key=lambda r: r.since, default=None)


@cache
def version_of(host: str) -> str:
    """Return the installed version of a host; raise Unsupported where there is none."""
    for distribution in HOSTS[host]:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    raise Unsupported(f"{host} is not installed: pip install 'losskit[{host}]'")


def numbers(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: (3, 2, 0) of "3.2.0rc1"."""
    found = []
    for part in text.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)
