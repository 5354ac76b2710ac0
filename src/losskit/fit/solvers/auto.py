"""Which solver does a problem, by name or chosen, and why."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from losskit.backends import suggest
from losskit.fit.data.source import Source
from losskit.fit.objective.problem import Problem
from losskit.fit.solvers.needs import penalty_kind, refuse

#: Solvers by name, in the order in which an error lists them.
SOLVERS = {
    "gram": "losskit.fit.solvers.gram:Gram",
    "lbfgs": "losskit.fit.solvers.lbfgs:LBFGS",
    "newton_cholesky": "losskit.fit.solvers.newton_cholesky:NewtonCholesky",
    "working_set": "losskit.fit.solvers.working_set:WorkingSet",
    "coordinate_descent": "losskit.fit.solvers.coordinate_descent:CoordinateDescent",
    "fista": "losskit.fit.solvers.fista:FISTA",
    "smoothing": "losskit.fit.solvers.smoothing:Smoothing",
    "gradient_descent": "losskit.fit.solvers.gradient_descent:GradientDescent",
    "momentum": "losskit.fit.solvers.gradient_descent:Momentum",
    "nesterov": "losskit.fit.solvers.gradient_descent:Nesterov",
    "sgd": "losskit.fit.solvers.stochastic:SGD",
    "adagrad": "losskit.fit.solvers.stochastic:AdaGrad",
    "rmsprop": "losskit.fit.solvers.stochastic:RMSProp",
    "adam": "losskit.fit.solvers.stochastic:Adam",
}

_NEWTON = 128  # coefficients up to which factorising a Hessian costs less than more passes
_GRAM = 4000  # columns up to which XᵀX is formed
_MODEL = 30  # outputs up to which a second-order model couples them


def solver_for(wanted: Any, problem: Problem, source: Source) -> tuple[Any, str]:
    """Return a solver that can do the problem, and a phrase that says why this one.

    `wanted` is "auto", a name, or a solver. Raises ValueError where it cannot, with what is missing
    and which solvers could.
    """
    if wanted == "auto":
        name, why = choose(problem)
        return named(name), why
    solver = named(wanted) if isinstance(wanted, str) else wanted
    missing = solver.needs.missing(problem, source.offers)
    if missing:
        able = [one for one in SOLVERS if not named(one).needs.missing(problem, source.offers)]
        raise refuse(solver, missing, able)
    return solver, "as asked for"


def named(name: str) -> Any:
    """Return the solver of this name with its default options."""
    if name not in SOLVERS:
        raise ValueError(
            f"there is no solver {name!r}{suggest(name, SOLVERS)}; there are auto, "
            f"{', '.join(SOLVERS)}"
        )
    module, _, attribute = SOLVERS[name].partition(":")
    return getattr(import_module(module), attribute)()


def choose(problem: Problem) -> tuple[str, str]:
    """Return the name of the solver that suits a problem best, and why."""
    shape, kind = problem.shape, penalty_kind(problem)
    size = problem.size[0] * problem.size[1]
    if not shape.differentiable:
        return "smoothing", "the loss has corners"
    if shape.quadratic and kind in ("quadratic", "elastic") and problem.data.columns <= _GRAM:
        return "gram", "a squared loss needs XᵀX once"
    coupled = problem.outputs if shape.coupled else 1
    if kind == "quadratic":
        if shape.curved and size <= _NEWTON:
            return "newton_cholesky", f"{size} coefficients make a small Hessian"
        return "lbfgs", "the penalty is smooth and gradients are cheap beside Hessians"
    if kind in ("elastic", "separable") and shape.curved and coupled <= _MODEL:
        return "working_set", "many coefficients will be 0"
    return "fista", f"{problem.penalty!r} has a prox, and the loss no cheap Hessian"
