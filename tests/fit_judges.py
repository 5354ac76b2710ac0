"""Independent solutions of `fit_cases`: other people's solvers, brought to machine precision.

`judge(case)` gives the objective and coefficients to compare a fit with, and how far they may be
from the minimum at most. Smooth objectives come from scikit-learn or statsmodels where these
minimise the same one, and are polished by Newton's steps; piecewise linear ones come from HiGHS
(exact linear programs), or from solving for the rows that lie at a corner.
"""

from __future__ import annotations

import numpy as np

from fit_cases import PIECES, Case, Verdict
from fit_peers import peer
from fit_piecewise import linear_program, quadratic_program
from fit_polish import gap, polished


def judge(case: Case) -> Verdict:
    """Return the minimum of a convex case, to machine precision."""
    if case.loss in PIECES:
        return linear_program(case) if case.penalty in ("l1", None) else quadratic_program(case)
    found = peer(case)
    d, k = case.x.shape[1], case.outputs
    start = (np.zeros((d, k)), np.zeros(k)) if found is None else found[:2]
    coef, intercept = polished(case, *start)
    who = "Newton" if found is None else f"{found[2]}, polished"
    return Verdict(
        case.objective(coef, intercept), coef, intercept, who, gap(case, coef, intercept)
    )


def tolerance(verdict: Verdict) -> float:
    """Return by how much a fit's objective may differ: 1e-8 of it, and the judge's own slack."""
    return 1e-8 * max(1.0, abs(verdict.objective)) + verdict.slack
