"""One call of a written loss: from its examples to sums and derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.arrays import Array, check_index, numeric
from losskit.call import check_options
from losskit.formula.expr import Unsupported
from losskit.reduction import Accumulation, total
from losskit.results import Computed, accumulation, results, unscaled, weight_sum
from losskit.written.definition import Examples, Refused
from losskit.written.frames import ItemFrame, RowFrame


def prepare(
    loss: Any,
    wanted: tuple[str, ...],
    data: tuple[Any, ...],
    options: Mapping[str, Any],
    vector: Any = None,
) -> WrittenCall:
    """Return the call of a written loss on its data, checked."""
    check_options(loss.name, options)
    if "product" in wanted:
        raise Unsupported(f"{loss.name}: a written loss has no Hessian–vector product")
    check_index(*data, options["sample_weight"], options["mask"], options["query"])
    definition = loss.definition
    arrays = {
        name: np.asarray(one) if kind.classes == "key" else numeric(name, one)
        for (name, kind), one in zip(definition.inputs, data, strict=True)
    }
    frame = ItemFrame if definition.axis == "item" else RowFrame
    return WrittenCall(loss, wanted, options, frame(loss, arrays, options))


@dataclass(frozen=True, eq=False)
class WrittenCall:
    """One call's checked data and options."""

    loss: Any
    wanted: tuple[str, ...]
    options: Mapping[str, Any]
    frame: Any

    def results(self) -> tuple[Any, ...]:
        """Return what the user gets, in the order wanted."""
        return results(self._computed(), self.wanted, self.options)

    def accumulation(self, loss: Any, gradient: bool) -> Accumulation:
        """Return Σwℓ and Σw as a part that adds up."""
        call = WrittenCall(self.loss, self.wanted, {**self.options, "empty": "zero"}, self.frame)
        return accumulation(call._computed(), loss, gradient)

    def _computed(self) -> Computed:
        name, frame = self.loss.name, self.frame
        try:
            with np.errstate(all="ignore"):
                made = frame.examples(self.loss)
        except Refused as why:
            place = frame.item(why.index)
            raise ValueError(f"{name}: {why.key}[{place}] {why.what}") from None
        summed = total(made.weights)
        self._check_weighed(made, summed)
        divisor = weight_sum(name, frame.example, sum(summed), self.options)
        upstream = made.weights / (divisor if self.options["reduction"] == "mean" else 1.0)
        with np.errstate(over="ignore"):
            values = np.where(made.weights != 0, made.values * made.weights, 0.0)
        unknown = np.isnan(values)
        if not frame.may_lack_value or self.options["empty"] == "error":
            self._refuse(unknown, "value")
        values = frame.propagated(np.where(unknown, 0.0, values))
        derivatives = {}
        for order in self.wanted:
            if order != "value":
                pull = made.backward if order == "gradient" else made.curvature
                if pull is None:
                    raise Unsupported(f"{name}: this loss computes no Hessian")
                with np.errstate(all="ignore"):
                    arrays = pull(upstream)
                    for array in arrays:
                        self._refuse(frame.any(np.isnan(array)), "derivative")
                    derivatives[order] = tuple(map(frame.whole, arrays))
        with np.errstate(over="ignore"):  # of float16
            shown = frame.whole(values) if made.rows else frame.per_example(values)
        computed = Computed(name, total(values), summed, shown, derivatives)
        return unscaled(computed, frame.exponent, self.options)

    def _check_weighed(self, made: Examples, summed: Any) -> None:
        """Say what the batch lacks where its rows or lists count but make no example."""
        lacks = made.lacking and self.frame.counted and not sum(summed) > 0
        if lacks and self.options["empty"] == "error" and self.options["reduction"] != "none":
            raise ValueError(
                f"{self.loss.name}: {made.lacking}, so there is no mean; pass empty='zero' to get "
                "0, or use accumulate()"
            )

    def _refuse(self, unknown: Array, what: str) -> None:
        wrong = np.flatnonzero(unknown)
        if wrong.size:
            frame = self.frame
            zero = ", or pass empty='zero' to count it as 0" if frame.may_lack_value else ""
            raise ValueError(
                f"{self.loss.name}: {frame.place(int(wrong[0]))} has no {what} under this loss; "
                f"leave it out by mask={zero}"
            )
