"""What an evaluation found, and the documented JSON form of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from losskit.tables import TableError

# Kinds of rows that cannot be scored; a row counts once, under the first that applies.
KINDS = ("null", "nan", "infinite", "domain")


@dataclass(frozen=True)
class Result:
    """The mean of one loss or metric over one model's predictions, in one group (None: all rows).

    `root` is given for losses that are reported with their root and `perplexity`, exp(value), for
    those that are the mean negative log-probability of what happened. `clipped` counts predictions
    that were moved inside [eps, 1 - eps]; of class probabilities those of the true class. `better`
    is "lower" but for metrics such as accuracy. A group without a row to score has NaN, and so has
    the standard error of a single row.
    """

    prediction: str
    loss: str
    value: float
    root: float | None
    standard_error: float
    clipped: int
    group: str | None
    perplexity: float | None = None
    better: str = "lower"


@dataclass(frozen=True)
class Difference:
    """The paired difference of two predictions: mean loss of `a` minus mean loss of `b`."""

    a: str
    b: str
    loss: str
    value: float
    standard_error: float
    better: str = "lower"


@dataclass(frozen=True)
class Reported:
    """How the mean of a loss or metric is shown: which way is better, and what stands beside it."""

    better: str = "lower"
    root: bool = False
    perplexity: bool = False

    def result(
        self,
        prediction: str,
        loss: str,
        value: float,
        error: float,
        group: str | None,
        clipped: int = 0,
    ) -> Result:
        """Return the result for this mean."""
        root = math.sqrt(value) if self.root and value >= 0 else None
        perplexity = _exp(value) if self.perplexity and not math.isnan(value) else None
        return Result(prediction, loss, value, root, error, clipped, group, perplexity, self.better)


@dataclass(frozen=True)
class Evaluation:
    """What `losskit.evaluate` found.

    `rows` counts all data rows, `invalid` the rows left out by kind, `first_invalid` says where and
    what the first of each kind was, and `chosen` why these losses were taken when none were asked
    for. `scored` counts the rows with a score, by group (None: all rows); of ranked lists it counts
    queries, and so does `queries` in all. `notes` say what else a reader has to know.
    """

    rows: int
    invalid: dict[str, int]
    results: tuple[Result, ...]
    differences: tuple[Difference, ...]
    first_invalid: dict[str, str] = field(default_factory=dict)
    chosen: str | None = None
    scored: dict[str | None, int] = field(default_factory=dict)
    queries: int | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, which is stable: its keys are part of the interface.

        {"rows": n, "queries": n, "invalid": {"null": n, "nan": n, "infinite": n, "domain": n},
        "results": [{"prediction", "loss", "value", "root", "standard_error", "clipped", "group",
        "perplexity", "better"}],
        "differences": [{"a", "b", "loss", "value", "standard_error", "better"}]}

        `rows` are all data rows, those of weight 0 and the invalid ones included. Infinities are
        "inf" and "-inf"; None stands for what does not exist: the root or perplexity of a loss that
        is not reported with one, the group of all rows, the value of a group without a row to
        score, the standard error of a single row, the difference of two infinities, the queries of
        rows that are not ranked. A blank group is "".

        >>> from losskit.evaluation import Evaluation
        >>> Evaluation(2, {"null": 0}, (), ()).to_dict()
        {'rows': 2, 'queries': None, 'invalid': {'null': 0}, 'results': [], 'differences': []}
        """
        return {
            "rows": self.rows,
            "queries": self.queries,
            "invalid": dict(self.invalid),
            "results": [_plain(result) for result in self.results],
            "differences": [_plain(difference) for difference in self.differences],
        }


class InvalidRowsError(TableError):
    """Some rows cannot be scored; the message counts them by kind and shows the first of each."""

    def __init__(
        self, rows: int, counts: dict[str, int], first: dict[str, str], labels: str = ""
    ) -> None:
        super().__init__(rows, counts, first, labels)
        self.rows, self.counts, self.first, self.labels = rows, counts, first, labels

    def __str__(self) -> str:
        total = sum(self.counts.values())
        lines = [f"{total} of {self.rows} rows cannot be scored:"]
        width = max(len(_rows(self.counts[kind])) for kind in self.first)
        lines += [
            f"  {kind:<8} {_rows(self.counts[kind]):>{width}}, first {self.first[kind]}"
            for kind in self.first
        ]
        lines.append(
            f"{self.labels}; to skip these rows would leave out a whole class"
            if self.labels
            else "correct them, or pass --invalid skip (invalid='skip') to leave them out of every "
            "score"
        )
        return "\n".join(lines)


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _rows(count: int) -> str:
    return f"{count} row" + "s" * (count != 1)


def _plain(record: Result | Difference) -> dict[str, Any]:
    return {name: _json_number(value) for name, value in vars(record).items()}


def _json_number(value: Any) -> Any:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else "inf" if value > 0 else "-inf"
