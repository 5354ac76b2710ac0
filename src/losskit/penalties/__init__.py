"""Penalties: what a model pays for its weights, added to the mean loss that it is fitted with.

The objective is mean loss + P(w; alpha), where alpha is the penalty's strength; the intercept is
not penalised. Two formulas make a penalty, its value and its proximal step; conjugates, optimality
conditions and the strength at which every weight is 0 are derived from them.

>>> from losskit import penalties
>>> penalties.L1.value([0.5, -0.25], alpha=0.5)
0.375
>>> penalties.MCP(gamma=2.0).prox([0.25, -0.75, 4.0], step=1.0, alpha=0.5)
array([ 0. , -0.5,  4. ])
"""

from losskit.penalties.conventions import (
    from_c,
    from_elastic_net,
    from_glmnet,
    from_ridge,
    from_sum_of_squares,
)
from losskit.penalties.formulas import Formulas, elastic, penalty, soft
from losskit.penalties.interface import GroupLasso, Penalty, get, grouped, names
from losskit.penalties.priors import prior, prior_of
from losskit.penalties.separable import L1, L2, MCP, SCAD, Box, ElasticNet, NonNegative

__all__ = [
    "L1", "L2", "MCP", "SCAD", "Box", "ElasticNet", "Formulas", "GroupLasso", "NonNegative",
    "Penalty", "elastic", "from_c", "from_elastic_net", "from_glmnet", "from_ridge",
    "from_sum_of_squares", "get", "grouped", "names", "penalty", "prior", "prior_of", "soft",
]  # fmt: skip
