"""Written losses: algorithms over a whole batch, as mining or sorting, with their own derivatives.

A written loss returns `Examples`: what it charges for each pair, list or anchor that it finds, and
how a change of its inputs reaches them. Weights, masks, reductions and checks are the frame's.
"""

from losskit.written.call import WrittenCall, prepare
from losskit.written.definition import Examples, Refused, WrittenDefinition, written

__all__ = ["Examples", "Refused", "WrittenCall", "WrittenDefinition", "prepare", "written"]
