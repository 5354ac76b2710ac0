"""What a solver needs of loss, penalty and source, and the errors that say what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from losskit.fit.objective.problem import Problem

#: What a penalty is to solvers; each kind includes those before it.
PENALTIES = {
    "quadratic": "no penalty but an L2 one",
    "elastic": "an L1, L2 or elastic-net penalty",
    "separable": "a penalty of single coefficients",
    "any": "any penalty",
}

LOSSES = {
    "differentiable": "a loss without corners",
    "quadratic": "a squared loss, whose curvature is one number",
    "curved": "a loss with second derivatives",
    "convex": "a convex loss",
    "corners": "a loss with corners",
    "uncoupled": "a loss of one output at a time",
}

OFFERS = {
    "columns": "columns of the data in memory",
    "rows": "single rows of the data in memory",
}


@dataclass(frozen=True)
class Needs:
    """What a solver needs: some of LOSSES, one of PENALTIES, some of OFFERS."""

    loss: tuple[str, ...] = ()
    penalty: str = "any"
    source: tuple[str, ...] = ()

    def missing(self, problem: Problem, offers: Iterable[str]) -> list[str]:
        """Return what is missing, each as "a loss without corners (hinge has some)"."""
        shape, said = problem.shape, []
        has = {
            "differentiable": shape.differentiable,
            "quadratic": shape.quadratic,
            "curved": shape.curved,
            "convex": shape.convex,
            "corners": not shape.differentiable,
            "uncoupled": not shape.coupled,
        }
        said += [f"{LOSSES[one]}, not {problem.loss!r}" for one in self.loss if not has[one]]
        kinds = list(PENALTIES)
        if kinds.index(penalty_kind(problem)) > kinds.index(self.penalty):
            said.append(f"{PENALTIES[self.penalty]}, not {problem.penalty!r}")
        offered = set(offers)
        said += [
            f"{OFFERS[one]}, which this source does not offer"
            for one in self.source
            if one not in offered
        ]
        return said


def penalty_kind(problem: Problem) -> str:
    """Return which of PENALTIES a problem has."""
    strengths = problem.strengths
    if strengths is not None:
        return "elastic" if strengths[0].any() else "quadratic"
    return "separable" if problem.penalty.separable else "any"


def refuse(solver: Any, missing: list[str], others: Iterable[str]) -> ValueError:
    """Return the error of a solver that cannot do a problem."""
    can = ", ".join(repr(one) for one in others)
    return ValueError(
        f"solver={solver.name!r} needs {'; and '.join(missing)}; "
        + (f"use solver='auto' or one of {can}" if can else "no solver here can do this problem")
    )
