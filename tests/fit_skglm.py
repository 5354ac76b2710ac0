"""Answers of skglm, written to fit_skglm.json by `python tests/fit_skglm.py` where it is installed.

It needs other versions of what we use, so that its answers travel and not itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fit_cases import Case, case

ANSWERS = Path(__file__).with_suffix(".json")
GAMMA = 3.0  # of our MCP

CASES = {
    "l1 squared": ("squared_error", "correlated", "l1"),
    "l1 squared wide": ("squared_error", "wide", "l1"),
    "l1 logistic": ("logistic", "correlated", "l1"),
    "l1 logistic wide": ("logistic", "wide", "l1"),
    "elastic net logistic": ("logistic", "plain", "elasticnet"),
    "mcp squared": ("squared_error", "plain", "mcp"),
    "mcp squared correlated": ("squared_error", "correlated", "mcp"),
    "mcp logistic": ("logistic", "plain", "mcp"),
}


def case_of(name: str) -> tuple[Case, bool]:
    """Return a case without intercept, and whether its penalty is MCP (its strength is alpha)."""
    loss, kind, penalty = CASES[name]
    made = case(loss, kind, "l1" if penalty == "mcp" else penalty, 0.2, intercept=False)
    return made, penalty == "mcp"


def _answer(name: str) -> list[float]:
    from skglm import GeneralizedLinearEstimator
    from skglm.datafits import Logistic, Quadratic
    from skglm.penalties import L1, L1_plus_L2, MCPenalty
    from skglm.solvers import AndersonCD, ProxNewton

    made, concave = case_of(name)
    logistic = made.loss == "logistic"
    # Its squared loss is half of ours, so its penalty has to be half of ours too.
    alpha = made.alpha if logistic else made.alpha / 2
    penalty: Any = L1(alpha)
    if made.penalty == "elasticnet":
        penalty = L1_plus_L2(alpha, made.l1_ratio)
    if concave:
        penalty = MCPenalty(alpha, GAMMA if logistic else 2 * GAMMA)
    options = {"tol": 1e-13, "max_iter": 10_000, "fit_intercept": False}
    solver = ProxNewton(**options) if logistic and not concave else AndersonCD(**options)
    model = GeneralizedLinearEstimator(Logistic() if logistic else Quadratic(), penalty, solver)
    y = 2 * made.y - 1 if logistic else made.y
    return [float(w) for w in np.ravel(model.fit(made.x, y).coef_)]


def main() -> None:
    import skglm

    found = {"skglm": skglm.__version__, **{name: _answer(name) for name in CASES}}
    ANSWERS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
