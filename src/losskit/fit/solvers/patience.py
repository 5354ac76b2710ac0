"""When to give up: steps that neither lower the objective nor improve the certificate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from losskit.fit.objective.problem import Problem
from losskit.fit.solvers.run import Step


@dataclass
class Patience:
    """Counts the steps since the objective fell or the certificate came nearer to 0.

    Falls within the rounding of an objective do not count: at the precision of the data, values and
    certificates go up and down for ever.
    """

    problem: Problem
    steps: int
    objective: float = np.inf
    certificate: float = np.inf
    waited: int = 0

    def over(self, step: Step) -> bool:
        """Return whether this step is one too many without improvement."""
        slack = 4 * float(np.finfo(self.problem.data.dtype).eps) * abs(step.objective)
        fell = step.objective < self.objective - slack
        nearer = step.certificate < self.certificate
        self.objective = min(self.objective, step.objective)
        self.certificate = min(self.certificate, step.certificate)
        self.waited = 0 if fell or nearer else self.waited + 1
        return self.waited >= self.steps
