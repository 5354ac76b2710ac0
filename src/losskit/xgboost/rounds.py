"""What XGBoost calls in every round of one training."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost as xgb

from losskit.arrays import Array
from losskit.boosting.objective import Objective
from losskit.boosting.sharing import beside_host
from losskit.boosting.units import has_unit, per_row
from losskit.xgboost.declared import starts_there


class Rounds:
    """The objective of one training: (predt, dtrain) → gradient and curvature.

    XGBoost copies both before it calls again, so that each round's arrays are the next one's:
    large ones cost more to allocate than to fill. The first round looks at where training really
    starts, which is `base_score` unless that is None.
    """

    def __init__(self, core: Objective, y: Array, w: Array | None, base_score: Any) -> None:
        self._core = core
        self._y, self._w = y, w
        self._base_score = base_score
        self._out: tuple[Array, Array] | None = None

    def __call__(self, f: Array, dtrain: xgb.DMatrix) -> tuple[Array, Array]:
        """Return both derivatives, in arrays that the next call may fill again."""
        if self._out is None:
            self._check_start(f)
            self._out = np.empty_like(f), np.empty_like(f)
        elif self._core.is_flat and not has_unit(self._core):
            with beside_host(f.size):
                self._core.gradient(self._y, f, self._w, out=self._out[0])
            return self._out
        return derivatives(self._core, self._y, f, self._w, self._out)

    def _check_start(self, f: Array) -> None:
        start = self._base_score
        if start is not None and not starts_there(self._core, start, f[0]):
            raise RuntimeError(
                f"XGBoost {xgb.__version__} starts at {f[0]} where base_score={start} was given: "
                "losskit does not know this version; please report it"
            )


def derivatives(core: Objective, y: Any, f: Any, w: Any, out: Any = None) -> tuple[Array, Array]:
    """Return gradient and curvature as XGBoost is to have them, in the arrays `out` if it pays."""
    with beside_host(f.size):
        return per_row(core, *core.gradient_and_hessian(y, f, w, out=out), w)
