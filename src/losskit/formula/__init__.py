"""The language of losses: what may stand in a formula.

A formula is a Python function of the target, the raw outputs and parameters that returns one
expression. It is called once, with symbols; `+ - * / **`, comparisons, `abs` and the functions
here make a graph of it, from which values, derivatives and the text of every backend follow.
"""
# ruff: noqa: F401, F403 - a package's front page

from losskit.formula.domain import *
from losskit.formula.expr import Expr, FormulaError, Unsupported
from losskit.formula.primitives import *

__all__ = ["Domain", "Expr", "FormulaError", "Unsupported"]
__all__ += [
    n for n, v in dict(globals()).items() if isinstance(v, Domain) or "__metadata__" in dir(v)
]
__all__ += [n for n, v in dict(globals()).items() if (v.__doc__ or "").startswith("Return ")]
