"""Rows with one class to predict out of several: class probabilities, or their raw scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from losskit.evaluation.pointwise import clipped
from losskit.evaluation.problems import ROUNDING, Problem, of_numbers
from losskit.evaluation.report import Reported
from losskit.formula.domain import UNIT
from losskit.tables import Batch, LabelCodes, Table, TableError

METRICS = ("brier", "accuracy")
DEFAULT = ("cross_entropy", *METRICS)
_SHOWN = 8  # labels that a message lists


@dataclass(frozen=True)
class Classes:
    """A target that holds labels, and models that give each of the `labels` a number.

    `models` have, by name, one column for each label, or the name of one column of lists. `losses`
    are losses of classes, and metrics of `METRICS`.
    """

    target: str
    labels: tuple[str, ...]
    models: Mapping[str, tuple[str, ...] | str]
    losses: Mapping[str, Any]
    raw: bool
    _split: dict[str, tuple[Any, np.ndarray | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for label, loss in self.losses.items():
            if loss.name in METRICS and label != loss.name:
                raise TableError(f"{loss.name} takes no parameters here, where classes are listed")
            self._split[label] = (loss, None) if loss.name in METRICS else self._weighing(loss)

    @cached_property
    def reported(self) -> dict[str, Reported]:
        """The losses and metrics; cross-entropy has its perplexity beside it."""
        return {label: self._report(loss) for label, (loss, _) in self._split.items()}

    def batches(
        self, table: Table, weight: str | None, by: str | None, groups: Sequence[str]
    ) -> Iterator[Batch]:
        """Read the target as labels and the predictions as numbers or lists of them."""
        codes: LabelCodes = table.label_codes(self.target, self.labels)
        columns = [n for model in self.models.values() if not isinstance(model, str) for n in model]
        return table.batches(
            columns + ([weight] if weight is not None else []),
            by,
            groups,
            labels=codes,
            vectors=[name for name in self.models.values() if isinstance(name, str)],
            size=len(self.labels),
        )

    def problems(self, batch: Batch) -> Iterator[Problem]:
        """Yield targets that are no class, and predictions that are no probabilities of classes."""
        unlabelled, codes = batch.unlabelled, batch.codes
        assert unlabelled is not None
        assert codes is not None
        yield Problem("null", unlabelled, lambda _: f"target {self.target!r} is missing")
        for model in self.models.values():
            for name in [model] if isinstance(model, str) else model:
                yield from of_numbers(batch, name, "prediction", self._infinite)
        yield Problem("domain", (codes < 0) & ~unlabelled, lambda i: self._unknown(batch, i))
        for name, model in self.models.items():
            if isinstance(model, str) and model in batch.lengths:
                yield self._wrong_length(model, batch.lengths[model])
            yield from self._improbable(name, batch)

    def advice(self, batch: Batch, active: np.ndarray) -> str:
        """Return an empty string: a label is one of those listed, or it is not."""
        return ""

    def values(
        self, batch: Batch, rows: slice | np.ndarray, compiled: bool
    ) -> dict[tuple[str, str], np.ndarray]:
        """Return the losses and metrics of rows."""
        found = {}
        y = self._target(batch, rows)
        for name in self.models:
            p = self._matrix(name, batch, rows)
            if self._probable and not self.raw:
                p = p / p.sum(axis=1, keepdims=True)  # which differs from 1 by rounding alone
            for label, (loss, _) in self._split.items():
                found[label, name] = self._scored(loss, y, p, compiled)
        return found

    def weights(self, label: str, batch: Batch, rows: slice | np.ndarray) -> np.ndarray | None:
        """Return the class weights of rows, 0 for the ignored class."""
        table = self._split[label][1]
        return None if table is None else table[self._target(batch, rows)]

    def moved(
        self, label: str, model: str, batch: Batch, rows: slice | np.ndarray
    ) -> np.ndarray | None:
        """Return which probabilities of the true class the loss clips."""
        loss = self._split[label][0]
        if self.raw or loss.name in METRICS or not loss.clips:
            return None
        y = self._target(batch, rows)
        columns = self.models[model]
        if isinstance(columns, str):
            return clipped(batch.columns[columns][rows][np.arange(len(y)), y])
        p = self._matrix(model, batch, rows)
        return clipped(p[np.arange(len(y)), y])

    def _scored(self, loss: Any, y: np.ndarray, p: np.ndarray, compiled: bool) -> np.ndarray:
        if loss.name not in METRICS:
            tier = {} if compiled else {"tier": "numpy"}
            return np.asarray(loss(y, p, reduction="none", raw=self.raw, **tier))
        if loss.name == "accuracy":
            return (p.argmax(axis=1) == y).astype(np.float64)
        if self.raw:
            p = np.exp(p - p.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
        error = p.copy()
        error[np.arange(len(y)), y] -= 1
        each = np.einsum("ij,ij->i", error, error)
        return each if p.shape[1] > 2 else each / 2  # as losskit.metrics.brier has it

    def _weighing(self, loss: Any) -> tuple[Any, np.ndarray | None]:
        """Return a loss without its class weights, and these: they go into the denominator too."""
        definition = getattr(loss, "definition", None)
        if getattr(loss, "kind", "") != "rows" or definition is None or not _takes_classes(loss):
            raise TableError(
                f"{loss.name} does not score class probabilities; take a loss of one class out of "
                f"several such as cross_entropy, or one of {', '.join(METRICS)}"
            )
        per_class, ignored = loss.params.get("class_weight"), loss.params.get("ignore_index")
        bare = loss(class_weight=None, ignore_index=None)
        if per_class is None and ignored is None:
            return bare, None
        size = len(self.labels)
        if isinstance(per_class, tuple) and len(per_class) != size:
            raise TableError(
                f"{loss.name}: class_weight holds {len(per_class)} numbers; needed is one for each "
                f"of the {size} classes ({self._listed})"
            )
        table = np.broadcast_to(np.asarray(1.0 if per_class is None else per_class), (size,)).copy()
        if ignored is not None and 0 <= ignored < size:
            table[ignored] = 0.0
        return bare, table

    def _report(self, loss: Any) -> Reported:
        if loss.name in METRICS:
            return Reported(better="higher" if loss.name == "accuracy" else "lower")
        # With other terms it is no −log p of the true class any more; weights do not matter.
        own = loss.definition.formula_parameters
        plain = all(loss.params[p.name] == p.default for p in own)
        return Reported(perplexity=loss.definition.perplexity and plain)

    @property
    def _probable(self) -> bool:
        """Whether some score takes class probabilities, and not any numbers that rank them."""
        return any(
            loss.name == "brier"
            if loss.name in METRICS
            else any(link.name == "softmax" for link in loss.definition.links)
            for loss in self.losses.values()
        )

    @property
    def _listed(self) -> str:
        more = f", … ({len(self.labels)} in all)" if len(self.labels) > _SHOWN else ""
        return ", ".join(map(repr, self.labels[:_SHOWN])) + more

    def _infinite(self, values: Any) -> Any:
        # The raw score −∞ says that a class is impossible.
        return values == np.inf if self.raw else np.isinf(values)

    def _unknown(self, batch: Batch, row: int) -> str:
        text = batch.unknown(row)
        shown = repr(text if len(text) <= 40 else text[:37] + "...")
        hint = ""
        for label in self.labels:
            if label.strip().lower() == text.strip().lower() or _same_number(label, text):
                hint = f"; labels are compared as text: did you mean {label!r}?"
        return (
            f"target {self.target!r} is {shown}, which is none of the classes {self._listed}{hint}"
        )

    def _wrong_length(self, column: str, lengths: np.ndarray) -> Problem:
        size = len(self.labels)
        return Problem(
            "domain",
            lengths != size,
            lambda i: (
                f"prediction {column!r} holds {lengths[i]} number{'s' * int(lengths[i] != 1)}, but "
                f"there are {size} classes ({self._listed})"
            ),
        )

    def _improbable(self, model: str, batch: Batch) -> Iterator[Problem]:
        p = self._matrix(model, batch, slice(None))
        if self.raw:
            yield Problem(
                "domain",
                (p == -np.inf).all(axis=1),
                lambda _: f"prediction {model!r} is -inf for every class; one has to be possible",
            )
            return
        if not self._probable:
            return
        outside = ~UNIT.contains(p) & np.isfinite(p)

        def beyond(row: int) -> str:
            at = int(np.argmax(outside[row]))
            columns = self.models[model]
            name = columns if isinstance(columns, str) else columns[at]
            return (
                f"prediction {name!r} is {p[row, at]:.6g} for class {self.labels[at]!r}, which is "
                "no probability; pass --raw if predictions are logits"
            )

        yield Problem("domain", outside.any(axis=1), beyond)
        sums = p.sum(axis=1)
        yield Problem(
            "domain",
            np.abs(sums - 1) > ROUNDING,
            lambda i: (
                f"the probabilities of prediction {model!r} sum to {sums[i]:.6g}, not 1; is a "
                "class left out, or are they scores (--raw for logits)?"
            ),
        )

    def _matrix(self, model: str, batch: Batch, rows: slice | np.ndarray) -> np.ndarray:
        columns = self.models[model]
        if isinstance(columns, str):
            return batch.columns[columns][rows]
        return np.stack([batch.columns[name][rows] for name in columns], axis=1)

    def _target(self, batch: Batch, rows: slice | np.ndarray) -> np.ndarray:
        assert batch.codes is not None
        return batch.codes[rows].astype(np.int64)


def _takes_classes(loss: Any) -> bool:
    inputs = [one for _, one in loss.definition.inputs]
    target = [one for one in inputs if one.classes in ("hard", "soft", "index")]
    scores = [one for one in inputs if one.trained and one.rank == 2]
    found = len(inputs) == 2 and len(target) == 1 and len(scores) == 1
    return found and loss.definition.axis == "class"


def _same_number(a: str, b: str) -> bool:
    try:
        return float(a) == float(b)
    except ValueError:
        return False
