"""The language of losses: what may stand in a formula.

A formula is a Python function, called once with symbols for target, raw outputs and parameters;
`+ - * / **`, comparisons, `abs` and the functions here make a graph of what it returns.
"""
# ruff: noqa: F403, F405

from losskit.formula.axis import *
from losskit.formula.domain import *
from losskit.formula.expr import Expr, FormulaError, Unsupported
from losskit.formula.inputs import *
from losskit.formula.primitives import *

__all__ = ["Domain", "Expr", "FormulaError", "Unsupported"]
__all__ += [
    n for n, v in dict(globals()).items() if isinstance(v, Domain) or "__metadata__" in dir(v)
]
__all__ += [n for n, v in dict(globals()).items() if (v.__doc__ or "").startswith("Return ")]
