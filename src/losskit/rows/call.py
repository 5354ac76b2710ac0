"""One call of a loss over an axis: its data and options, checked, and its results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from losskit.arrays import Array, eps
from losskit.call import check_options
from losskit.reduction import Accumulation, join, total, weight_exponent
from losskit.results import Computed, accumulation, results, unscaled, weight_sum
from losskit.rows.batch import RowBatch, row_batch
from losskit.rows.checks import check_rows, class_weights
from losskit.rows.compute import RowForm, RowOutcome, compute_rows, limits_of

# Logits below which the NumPy form takes some ten milliseconds, for which nobody should wait for a
# compiler: these kernels take it several seconds, once for a machine.
CROSSOVER = 1 << 18


@dataclass(frozen=True, eq=False)
class RowCall:
    """One call's checked data and options."""

    form: RowForm
    batch: RowBatch
    wanted: tuple[str, ...]
    options: Mapping[str, Any]
    vectors: tuple[Array, ...] = ()

    def results(self) -> tuple[Any, ...]:
        """Return what the user gets, in the order wanted."""
        return results(self._computed(), self.wanted, self.options)

    def accumulation(self, loss: Any, gradient: bool) -> Accumulation:
        """Return Σwℓ and Σw as a part that adds up."""
        options = {**self.options, "empty": "zero"}
        return accumulation(replace(self, options=options)._computed(), loss, gradient)

    def _computed(self) -> Computed:
        weight = class_weights(self.form.definition.name, self.batch, self.form.params)
        exponent = weight_exponent(weight)
        if weight is not None and exponent:
            weight = np.ldexp(weight, -exponent)
        made = self._kernel(weight) if self.options["tier"] != "numpy" else None
        made = self._checked(weight) if made is None else made
        return unscaled(made, exponent, self.options) if exponent else made

    def _checked(self, weight: Array | None) -> Computed:
        form, batch, nan = self.form, self.batch, self.options["nan"]
        name, links = form.definition.name, form.definition.links
        missing, infinite = check_rows(name, batch, links, form.raw, nan, weight)
        valid = _without(weight, missing)
        summed, divisor = self._divisor(weight if nan == "propagate" else valid)
        made = self._run(batch, _without(valid, infinite), divisor)
        if infinite.any():
            made = self._with_limits(made, valid, divisor, infinite)
        if missing.any() and nan == "propagate":
            made = _with_nan(made, missing, batch)
        return self._shaped(made, summed)

    def _divisor(self, weight: Array | None) -> tuple[Any, float]:
        """Return Σw as a pair, and what derivatives are divided by."""
        pair = (float(self.batch.rows), 0.0) if weight is None else total(weight)
        what = "list" if self.batch.lists is not None else "row"
        all_ = weight_sum(self.form.definition.name, what, sum(pair), self.options)
        return pair, all_ if self.options["reduction"] == "mean" else 1.0

    def _run(self, batch: RowBatch, weight: Array | None, divisor: float) -> RowOutcome:
        clip = self.options["clip"]
        return compute_rows(
            self.form,
            batch,
            self.wanted,
            weight=weight,
            divisor=divisor,
            clip=eps(batch.dtype) if clip is None else float(clip),
            undefined=self.options["empty"] if self.form.may_be_empty else "error",
            vectors=self.vectors,
        )

    def _with_limits(
        self, made: RowOutcome, weight: Array | None, divisor: float, infinite: Array
    ) -> RowOutcome:
        places = np.flatnonzero(infinite)
        part = replace(self, vectors=tuple(v[places] for v in self.vectors))
        own = None if weight is None else weight[places]
        limit = part._run(limits_of(self.form, self.batch, infinite), own, divisor)
        huge = np.sqrt(np.finfo(self.batch.compute).max)
        infinite_ones = np.abs(limit.values) > huge
        made.values[places] = np.where(
            infinite_ones, np.copysign(np.inf, limit.values), limit.values
        )
        for order, arrays in limit.derivatives.items():
            for whole, array in zip(made.derivatives[order], arrays, strict=True):
                whole[places] = array
        numerators = [made.numerator, total(made.values[places])]
        return replace(made, numerator=join(numerators))

    def _kernel(self, weight: Array | None) -> Computed | None:
        """Return what the compiled kernel computes, or None where it does not apply."""
        form, batch, tier = self.form, self.batch, self.options["tier"]
        definition = form.definition
        serves = definition.kernel and form.raw and {*self.wanted} <= {"value", "gradient"}
        if not serves or (tier is None and batch.rows * batch.columns < CROSSOVER):
            return None
        from losskit.backends import numba

        kernel = import_module(f"losskit.backends.{definition.kernel}")
        if not numba.available():
            return None
        key = next(key for key, one in batch.inputs.items() if one.classes)
        output = definition.outputs[0]
        f = batch.values[output].astype(batch.compute, copy=False)
        summed, divisor = self._divisor(weight)
        values = np.empty(batch.rows, batch.compute) if self._wants_values else None
        gradient = self._space(f) if "gradient" in self.wanted else None
        params = {p.name: form.params[p.name] for p in definition.formula_parameters}
        y = _plain_target(batch.values[key], batch.compute)
        if y is None or not np.isfinite(1.0 / divisor):
            return None
        sums = kernel.run(
            f, y, weight=weight, scale=1.0 / divisor, value=values, gradient=gradient, **params
        )
        if sums.flag & numba.BAD or (sums.flag and not _limits_stand(f, params)):
            return None
        if y.ndim == 2:
            check_rows(definition.name, batch, definition.links, True, "raise", weight)
        made = RowOutcome(
            (sums.value_high, sums.value_low),
            np.zeros(0, batch.compute) if values is None else values,
            {} if gradient is None else {"gradient": [gradient]},
        )
        return self._shaped(made, summed)

    def _space(self, f: Array) -> Array:
        """Return the array for the gradient: the user's own where a kernel can fill it."""
        out = self.options["out"]
        if isinstance(out, np.ndarray) and out.size == f.size and out.dtype == f.dtype:
            inputs = [a for a in (*self.batch.values.values(), self.batch.weight) if a is not None]
            plain = out.flags.c_contiguous and out.flags.aligned and out.flags.writeable
            if plain and not any(np.may_share_memory(out, a) for a in inputs):
                return out.reshape(f.shape)
        return np.empty(f.shape, f.dtype)

    @property
    def _wants_values(self) -> bool:
        return "value" in self.wanted and self.options["reduction"] == "none"

    def _shaped(self, made: RowOutcome, summed: Any) -> Computed:
        batch = self.batch
        trained = [one for one in batch.inputs.values() if one.trained]
        with np.errstate(over="ignore"):
            derivatives = {
                order: tuple(
                    self._in_shape(array, one.rank).astype(batch.dtype, copy=False)
                    for array, one in zip(arrays, trained, strict=True)
                )
                for order, arrays in made.derivatives.items()
            }
            values = made.values.astype(batch.dtype, copy=False)
        if batch.lists is not None:
            values = batch.lists.per_list(values)
        elif values.size == batch.rows:
            values = values.reshape(batch.shape)
        return Computed(self.form.definition.name, made.numerator, summed, values, derivatives)

    def _in_shape(self, array: Array, rank: int) -> Array:
        if self.batch.lists is not None:
            return self.batch.lists.scatter(array)
        return array.reshape(
            (*self.batch.shape, self.batch.columns) if rank == 2 else self.batch.shape
        )


def prepare(
    loss: Any,
    wanted: tuple[str, ...],
    data: tuple[Any, ...],
    options: Mapping[str, Any],
    vector: Any = None,
) -> RowCall:
    """Return the call of `loss` on `data`, checked; `vector` is what a Hessian is multiplied by."""
    definition = loss.definition
    check_options(loss.name, options)
    inputs = dict(definition.inputs)
    batch = row_batch(loss.name, inputs, data, options, definition.axis)
    form = loss.form(bool(options["raw"]))
    vectors: tuple[Array, ...] = ()
    if "product" in wanted:
        vectors = _directions(loss.name, definition.outputs, vector, data, batch)
    return RowCall(form, batch, wanted, options, vectors)


def _directions(
    name: str, outputs: tuple[str, ...], vector: Any, data: tuple[Any, ...], batch: RowBatch
) -> tuple[Array, ...]:
    given = vector if len(outputs) > 1 and isinstance(vector, (tuple, list)) else (vector,)
    if len(given) != len(outputs):
        raise ValueError(
            f"{name}: a vector for each of {', '.join(outputs)} is needed, as a tuple; "
            f"{len(given)} given"
        )
    made = []
    for output, one in zip(outputs, given, strict=True):
        shape = np.shape(data[list(batch.inputs).index(output)])
        v = np.asarray(one, batch.compute)
        if v.shape != shape:
            raise ValueError(
                f"{name}: the vector has shape {v.shape}; needed is that of {output}, {shape}"
            )
        flat = batch.lists.take(v) if batch.lists is not None else v
        made.append(flat.reshape(batch.values[output].shape))
    return tuple(made)


def _without(weight: Array | None, left_out: Array) -> Array | None:
    if not left_out.any():
        return weight
    return np.where(left_out, 0.0, 1.0 if weight is None else weight)


def _limits_stand(f: Array, params: Mapping[str, Any]) -> bool:
    """Whether infinite logits only exclude classes, which the kernel gives no share."""
    top = f.max(axis=1)
    return not params.get("label_smoothing") and bool(np.isfinite(top).all())


def _plain_target(y: Array, dtype: np.dtype[Any]) -> Array | None:
    """Return class indexes or probabilities as the kernel takes them, None where it does not."""
    if y.ndim == 2:
        return y if y.dtype.kind == "f" and y.dtype.itemsize >= 4 else y.astype(dtype)
    if y.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            index = y.astype(np.int64)
        return index if (index == y).all() else None
    return y.astype(np.int64) if y.dtype.kind == "b" else y


def _with_nan(made: RowOutcome, missing: Array, batch: RowBatch) -> RowOutcome:
    made.values[missing] = np.nan
    for arrays in made.derivatives.values():
        for array in arrays:
            if batch.lists is not None and len(array) != len(missing):
                array[np.repeat(missing, batch.lists.lengths)] = np.nan
            else:
                array[missing] = np.nan
    return replace(made, numerator=(float("nan"), 0.0))
