"""What XGBoost is told beside a custom objective: one of its own, for the way back, and the start.

XGBoost 3 computes with a custom objective's derivatives and still asks the *declared* objective how
raw scores become predictions, in what scale `base_score` is, and whether to replace leaves by
medians or quantiles of residuals. So the one that is declared has the loss's own link, and a saved
model predicts on the right scale without losskit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.boosting.hosts import counterpart, numbers, rule, version_of
from losskit.boosting.objective import Objective, predictions
from losskit.several import Several

# An objective of each link, for losses of which XGBoost has none: its name and no more is used.
_OF_LINK = {
    "identity": "reg:squarederror",
    "logit": "binary:logistic",
    "log": "reg:gamma",
    "softmax": "multi:softprob",
}
# From here on it smooths the absolute error's slope instead (pull request 12386).
_SMOOTHED = (3, 5)
# In float32, as XGBoost keeps it: the numbers next to 0 and 1, and the largest.
_LEAST, _MOST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
_BELOW_ONE = 1.0 - 2.0**-24


def declared(core: Objective) -> dict[str, Any]:
    """Return the objective to declare, with its parameters."""
    own = [counterpart(one, core.host) for one in members(core.loss)]
    first = own[0]
    if first is None or ((_renews(core) or len(own) > 1) and not is_renewed(core)):
        return {"objective": _OF_LINK[_link(core.loss)]}
    if len(own) == 1:
        return {"objective": first.objective, **first.parameters}
    values = {k: [one.parameters[k] for one in own if one] for k in first.parameters}
    return {"objective": first.objective, **values}


def can_renew(core: Objective) -> bool:
    """Whether XGBoost replaces leaves by the loss's own statistic where its own is declared."""
    return _renews(core) and numbers(version_of(core.host)) < _SMOOTHED


def is_renewed(core: Objective) -> bool:
    """Whether leaves are replaced: the declared objective is XGBoost's own of such a loss."""
    return core.curvature == "host" and _renews(core)


def members(loss: Any) -> tuple[Any, ...]:
    """Return the losses side by side: several, or the one."""
    return loss.members if isinstance(loss, Several) else (loss,)


def base_score(core: Objective, start: Any) -> Any:
    """Return raw scores as `base_score` takes them: where XGBoost has the link, predictions.

    In float32 a probability is 1e-38 to 1 − 6e-8, and a mean at least 1e-38: a start beyond is
    moved there. (XGBoost itself goes on to keep a probability 1e-6 away from 0 and 1.)
    """
    link = _link(core.loss)
    made = np.asarray(start, dtype=np.float64)
    if link == "logit":
        made = np.clip(_through(core, made), _LEAST, _BELOW_ONE)
    elif link == "log":
        made = np.clip(_through(core, made), _LEAST, _MOST)
    return made.tolist()


def starts_there(core: Objective, given: Any, score: Array) -> bool:
    """Whether a row's first raw score, (outputs,) or a number, is what `base_score` asked for."""
    back = np.asarray(score, dtype=np.float64)
    if _link(core.loss) in ("logit", "log"):
        back = _through(core, back)
    return bool(np.allclose(back, np.asarray(given), rtol=1e-3, atol=1e-6))


def _renews(core: Objective) -> bool:
    said = None if core.own is None else rule(core.own)
    return said is not None and said.renews


def _link(loss: Any) -> str:
    """Return the link that XGBoost is to undo: none, where outputs have different ones."""
    links = {str(one.link) for one in members(loss)}
    name = links.pop()
    return name if not links and name in _OF_LINK else "identity"


def _through(core: Objective, scores: Array) -> Array:
    return predictions(members(core.loss)[0], scores)
