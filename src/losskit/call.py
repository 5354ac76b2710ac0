"""One call of a loss on data: its options, checked, and its results in the user's shapes."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from losskit.arrays import Batch, batch
from losskit.compute import Form, Outcome, Request, compute
from losskit.definition import CALL_OPTIONS
from losskit.formula.expr import Unsupported
from losskit.invalid import NAN_POLICIES
from losskit.reduction import REDUCTIONS, Accumulation, ratio


@dataclass(frozen=True, eq=False)
class Call:
    """One call's checked data and options."""

    wanted: tuple[str, ...]
    form: Form
    batch: Batch
    options: Mapping[str, Any]

    def results(self) -> tuple[Any, ...]:
        """Return what the user gets, in the order wanted."""
        self.check_not_empty()
        return self._made(compute(self.form, self.batch, self.request))

    def accumulation(self, loss: Any, gradient: bool) -> Accumulation:
        """Return Σwℓ and Σw as a part that adds up."""
        made = compute(self.form, self.batch, self.request)
        slope = self.shaped(made.arrays["gradient"]) if gradient else None
        return Accumulation(made.numerator, made.denominator, slope, loss)

    @property
    def request(self) -> Request:
        """Return what to compute."""
        reduction = self.options["reduction"]
        return Request(
            self.wanted,
            mean=reduction == "mean",
            value_array=reduction == "none",
            nan=self.options["nan"],
            clip=self.options["clip"],
            tier=self.options["tier"],
            out=self.outs,
        )

    def check_not_empty(self) -> None:
        """Raise ValueError where there is nothing to reduce."""
        if self.batch.size == 0 and not self._may_be_empty:
            raise ValueError(
                f"{self.form.graph.name}: the batch is empty, so it has no "
                f"{self.options['reduction']}; for empty parts use accumulate() or reduction='none'"
            )

    @property
    def _may_be_empty(self) -> bool:
        return self.options["reduction"] == "none" or self.options["empty"] == "zero"

    def _made(self, outcome: Outcome) -> tuple[Any, ...]:
        made: list[Any] = []
        for name in self.wanted:
            if name != "value" or self.options["reduction"] == "none":
                made.append(self.shaped(outcome.arrays[name], self.outs.get(name)))
            elif self.options["reduction"] == "sum":
                made.append(sum(outcome.numerator))
            elif self._may_be_empty and not sum(outcome.denominator) > 0:
                made.append(0.0)
            else:
                made.append(ratio(outcome.numerator, outcome.denominator))
        if not self._may_be_empty:
            ratio((0.0, 0.0), outcome.denominator)  # something must have counted
        return tuple(made)

    def shaped(self, array: Any, out: Any = None) -> Any:
        """Return a flat result in the shape of the data, in `out` where that is given."""
        result = array.reshape(self.batch.shape + array.shape[1:])
        if out is None and result.dtype == self.batch.dtype:
            return result
        if out is None:
            with np.errstate(over="ignore"):  # float16 may not hold it: inf
                return result.astype(self.batch.dtype, copy=False)
        if not np.may_share_memory(out, result):
            with np.errstate(over="ignore"):
                out[...] = result
        return out

    @property
    def outs(self) -> dict[str, Any]:
        """The user's arrays for results, checked, by what they receive."""
        if self.options["out"] is None and self.options["value_out"] is None:
            return {}
        outs = {"value": self.options["value_out"]}
        out, derivatives = self.options["out"], [name for name in self.wanted if name != "value"]
        if out is not None:
            name = self.form.graph.name
            if not derivatives:
                raise ValueError(f"{name}: out= receives derivatives, and none is asked for here")
            given = (out,) if len(derivatives) == 1 else tuple(out)
            if len(given) != len(derivatives):
                raise ValueError(
                    f"{name}: out has {len(given)} arrays; needed is one for each of "
                    f"{' and '.join(derivatives)}"
                )
            outs |= dict(zip(derivatives, given, strict=True))
        for name, array in outs.items():
            if array is not None:
                self._check_out(name, array)
        arrays = {name: array for name, array in outs.items() if array is not None}
        for (a, first), (b, second) in combinations(arrays.items(), 2):
            if np.may_share_memory(first, second):
                raise ValueError(f"{self.form.graph.name}: {a} and {b} cannot share one array")
        return arrays

    def _check_out(self, name: str, out: Any) -> None:
        outputs = (self.batch.outputs,) if self.batch.outputs > 1 and name != "value" else ()
        shape, dtype = self.batch.shape + outputs, self.batch.dtype
        if isinstance(out, np.ndarray) and out.shape == shape and out.dtype == dtype:
            if out.flags.writeable:
                return
            given = "a read-only one"
        else:
            given = type(out).__name__
            if isinstance(out, np.ndarray):
                given = f"shape {out.shape}, dtype {out.dtype}"
        raise ValueError(
            f"{self.form.graph.name}: the array for the {name} has to be a writeable NumPy array "
            f"of shape {shape} and dtype {dtype}, not {given}"
        )


DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(CALL_OPTIONS),
    "reduction": "mean",
    "raw": False,
    "nan": "raise",
    "tier": None,
    "empty": "error",
}


def prepare(
    loss: Any,
    wanted: tuple[str, ...],
    data: tuple[Any, ...],
    options: Mapping[str, Any],
    vector: Any = None,
) -> Any:
    """Return the call of a pointwise loss on `(y_true, y_pred)`, checked."""
    check_options(loss.name, options)
    if options["query"] is not None:
        raise TypeError(f"{loss.name}: query= groups the items of lists; this loss sees one number")
    form = loss.form(bool(options["raw"]))
    y_true, y_pred = data
    made = batch(y_true, y_pred, len(loss.outputs), options["sample_weight"], options["mask"])
    if wanted != ("product",):
        return Call(wanted, form, made, options)
    if made.outputs > 1:
        raise Unsupported(f"{loss.name}: the Hessian over several outputs is not computed yet")
    v = np.asarray(vector, made.dtype)
    if v.shape != made.shape:
        raise ValueError(f"{loss.name}: the vector has shape {v.shape}; needed is {made.shape}")
    return _Product(Call(("hessian",), form, made, options), v)


@dataclass(frozen=True, eq=False)
class _Product:
    """A diagonal Hessian times a vector."""

    call: Call
    vector: Any

    def results(self) -> tuple[Any, ...]:
        (hessian,) = self.call.results()
        return (hessian * self.vector,)


def check_options(name: str, given: Mapping[str, Any]) -> None:
    """Raise ValueError for an option that has none of its allowed values."""
    for option, allowed in (
        ("reduction", REDUCTIONS),
        ("nan", NAN_POLICIES),
        ("tier", (None, "numpy", "numba")),
        ("empty", ("error", "zero")),
    ):
        if given[option] not in allowed:
            raise ValueError(
                f"{name}: {option}={given[option]!r}; needed is one of "
                f"{', '.join(map(repr, allowed))}"
            )
    if not isinstance(given["raw"], (bool, np.bool_)):
        raise TypeError(f"{name}: raw has to be True or False, not a {type(given['raw']).__name__}")
    clip = given["clip"]
    if clip is not None and not (isinstance(clip, numbers.Real) and 0 <= float(clip) < 0.5):
        raise ValueError(
            f"{name}: clip={clip!r}; needed is a number in [0, 0.5), 0 to clip nothing"
        )
    if given["value_out"] is not None and given["reduction"] != "none":
        raise ValueError(f"{name}: value_out= receives the values of reduction='none'")
