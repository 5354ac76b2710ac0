"""Ranked lists: the relevances of the items of each query, and the scores to rank them by."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.evaluation.pointwise import Check
from losskit.evaluation.problems import Problem, Tally, of_numbers, of_weights
from losskit.evaluation.report import Difference, Reported, Result
from losskit.formula.domain import NONNEGATIVE, REAL
from losskit.lists import lists_of
from losskit.tables import Batch, Table, TableError

METRICS = ("ndcg", "mean_average_precision", "mean_reciprocal_rank")
DEFAULT = ("pairwise_logistic", "softmax_ranking", "ndcg:k=10", *METRICS[1:])


@dataclass(frozen=True)
class Ranking:
    """A target of relevances and models that are columns of scores, in lists by `query`.

    `losses` are losses over the items of lists, and metrics of `METRICS`.
    """

    target: str
    query: str
    models: tuple[str, ...]
    losses: Mapping[str, Any]

    def __post_init__(self) -> None:
        for loss in self.losses.values():
            if loss.name not in METRICS and not _takes_lists(loss):
                raise TableError(
                    f"{loss.name} does not score ranked lists; take a loss of lists such as "
                    f"softmax_ranking, or one of {', '.join(METRICS)}"
                )

    @property
    def reported(self) -> dict[str, Reported]:
        """The losses and metrics."""
        return {
            label: Reported(better="higher" if loss.name in METRICS else "lower")
            for label, loss in self.losses.items()
        }

    def score(
        self,
        table: Table,
        weight: str | None,
        by: str | None,
        groups: Sequence[str],
        progress: Callable[[int, int | None], None] | None,
    ) -> ScoredLists:
        """Read all rows of a table into memory and score its lists.

        A query with an invalid row is left out as a whole: without one of its items it is another
        list. Rows of weight 0 are in none.
        """
        codes = table.label_codes(self.query)
        columns = [self.target, *self.models, *([weight] if weight is not None else [])]
        tally, read = Tally(), 0
        kept: list[Batch] = []
        bad: list[np.ndarray] = []
        for batch in table.batches(columns, by, groups, labels=codes):
            active = np.ones(batch.length, bool)
            if weight is not None:
                active = batch.columns[weight] != 0
            problems = [*of_weights(batch, weight), *self._problems(batch)]
            wrong = tally.reject(batch, active, problems)
            kept.append(batch)
            bad.append(np.where(active, wrong, -1))
            read += batch.length
            if progress is not None:
                progress(read, table.rows)
        if not kept:
            return ScoredLists(self, tally, read, {}, np.zeros(0, np.intp), 0)

        def name(code: int) -> str:
            return table.label(codes, code)

        items = _Items.of(kept, np.concatenate(bad), columns, weight)
        of_list = items.constant_groups(self.query, by, groups, name)
        if weight is not None:
            items.check_weights(self.query, weight, name)
        scores = {
            (label, model): _per_list(loss, items, self.target, model)
            for label, loss in self.losses.items()
            for model in self.models
        }
        return ScoredLists(self, tally, read, scores, of_list, items.left_out)

    def _problems(self, batch: Batch) -> Iterator[Problem]:
        assert batch.unlabelled is not None
        yield Problem("null", batch.unlabelled, lambda _: f"query {self.query!r} is missing")
        yield from of_numbers(batch, self.target, "target")
        for model in self.models:
            yield from of_numbers(batch, model, "prediction")
        for label, loss in self.losses.items():
            domain = NONNEGATIVE if loss.name in METRICS else loss.target_domain
            if domain != REAL:
                yield Check("target", self.target, domain, label).problem(batch)
                return


@dataclass(frozen=True)
class PerList:
    """A score of each list and its weight, 0 for a list that has none."""

    values: np.ndarray
    weights: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Which lists count."""
        return self.weights > 0

    def mean(self, lists: np.ndarray) -> float:
        """Return the weighted mean over some of the lists; NaN where there is none."""
        kept = lists & self.counts
        total = math.fsum(self.weights[kept])
        return _sum((self.weights * self.values)[kept]) / total if total else math.nan

    def influence(self, lists: np.ndarray) -> np.ndarray:
        """Return w(l − mean)/Σw of each of the lists, 0 for those that do not count."""
        kept = lists & self.counts
        made = np.zeros(len(self.values))
        if kept.any():
            with np.errstate(invalid="ignore"):  # inf - inf: an infinite mean has no error
                away = self.values[kept] - self.mean(lists)
            made[kept] = self.weights[kept] * away / math.fsum(self.weights[kept])
        return made

    def error(self, lists: np.ndarray) -> float:
        """Return the standard error of the mean over some lists; NaN for a single one."""
        if np.count_nonzero(lists & self.counts) < 2:
            return math.nan
        return math.sqrt(_sum(self.influence(lists) ** 2))


@dataclass(frozen=True)
class ScoredLists:
    """The scores of all lists by loss and model, and of which group each list is."""

    task: Ranking
    tally: Tally
    read: int
    scores: dict[tuple[str, str], PerList]
    groups: np.ndarray
    left_out: int

    def rows(self, groups: Sequence[str]) -> dict[str | None, int]:
        """Return the number of scored queries in all and in each group."""
        counts = {None: len(self.groups)}
        return counts | {
            group: int(np.count_nonzero(self.groups == i)) for i, group in enumerate(groups)
        }

    def results(self, groups: Sequence[str]) -> tuple[Result, ...]:
        """Return the results of all queries, then of each group."""
        return tuple(
            self.task.reported[label].result(
                model, label, found.mean(lists), found.error(lists), group
            )
            for group, lists in self._cells(groups)
            for (label, model), found in self.scores.items()
        )

    def differences(self) -> tuple[Difference, ...]:
        """Return every pair of models compared under every loss and metric, query by query."""
        whole = np.ones(len(self.groups), bool)
        made = []
        for label in self.task.losses:
            for a, b in itertools.combinations(self.task.models, 2):
                one, other = self.scores[label, a], self.scores[label, b]
                apart = one.influence(whole) - other.influence(whole)
                counted = np.count_nonzero(one.counts | other.counts)
                error = math.sqrt(_sum(apart**2)) if counted > 1 else math.nan
                value = one.mean(whole) - other.mean(whole)
                made.append(Difference(a, b, label, value, error, self.task.reported[label].better))
        return tuple(made)

    def notes(self) -> tuple[str, ...]:
        """Say how many queries were left out, and of which score."""
        made = []
        total = len(self.groups)
        if self.left_out:
            made.append(f"{_queries(self.left_out)} with an invalid row left out as a whole")
        labels: dict[tuple[int, str], list[str]] = {}
        for label, loss in self.task.losses.items():
            first = self.scores[label, self.task.models[0]]
            missing = total - int(np.count_nonzero(first.counts))
            if missing:
                labels.setdefault((missing, _lacking(loss)), []).append(label)
        for (missing, why), names in labels.items():
            made.append(f"{missing:,} of {_queries(total)} {why} left out of {', '.join(names)}")
        return tuple(made)

    def _cells(self, groups: Sequence[str]) -> Iterator[tuple[str | None, np.ndarray]]:
        yield None, np.ones(len(self.groups), bool)
        for i, group in enumerate(groups):
            yield group, self.groups == i


@dataclass(frozen=True)
class _Items:
    """The items of all lists that count, list after list; `list_of` numbers the lists from 0."""

    columns: dict[str, np.ndarray]
    list_of: np.ndarray
    codes: np.ndarray  # of each list's query
    group: np.ndarray | None
    weight: np.ndarray | None
    left_out: int

    @classmethod
    def of(
        cls, batches: list[Batch], state: np.ndarray, columns: list[str], weight: str | None
    ) -> _Items:
        """Gather batches; `state` is 1 for an invalid row, −1 for one that does not count."""
        codes = np.concatenate([batch.codes for batch in batches if batch.codes is not None])
        spoilt = np.unique(codes[(state == 1) & (codes >= 0)])
        left_out = len(spoilt)
        keep = np.flatnonzero((state == 0) & ~np.isin(codes, spoilt))
        keep = keep[np.argsort(codes[keep], kind="stable")]
        found, list_of = np.unique(codes[keep], return_inverse=True)

        def taken(pieces: list[np.ndarray]) -> np.ndarray:
            return np.concatenate(pieces)[keep]

        group = None
        if batches[0].group is not None:
            group = taken([batch.group for batch in batches if batch.group is not None])
        made = {name: taken([batch.columns[name] for batch in batches]) for name in columns}
        w = None if weight is None else made[weight]
        if w is not None and len(w):
            # Sums of weights of any size then neither overflow nor vanish.
            w = w * math.ldexp(1.0, -max(-1000, min(math.frexp(float(w.max()))[1], 1000)))
        return cls(made, list_of, found, group, w, left_out)

    @property
    def starts(self) -> np.ndarray:
        """Where each list begins."""
        return np.flatnonzero(np.diff(self.list_of, prepend=-1))

    def constant_groups(
        self, query: str, by: str | None, groups: Sequence[str], name: Callable[[int], str]
    ) -> np.ndarray:
        """Return the group of each list, or raise TableError where a list has several."""
        if self.group is None or by is None:
            return np.zeros(len(self.codes), np.intp)
        of_list = self.group[self.starts]
        odd = np.flatnonzero(self.group != of_list[self.list_of])
        if len(odd):
            i = self.list_of[odd[0]]
            raise TableError(
                f"query {name(self.codes[i])!r} of {query!r} has rows with {by!r} "
                f"{groups[of_list[i]]!r} and {groups[self.group[odd[0]]]!r}; --by needs one group "
                "for all rows of a query"
            )
        return of_list

    def check_weights(self, query: str, weight: str, name: Callable[[int], str]) -> None:
        """Raise TableError where the rows of a list differ in weight."""
        values = self.columns[weight]
        first = values[self.starts][self.list_of]
        odd = np.flatnonzero(values != first)
        if len(odd):
            raise TableError(
                f"query {name(self.codes[self.list_of[odd[0]]])!r} of {query!r} has rows of weight "
                f"{first[odd[0]]:.6g} and {values[odd[0]]:.6g}; a query has one weight, and 0 "
                "leaves a row out"
            )


def _per_list(loss: Any, items: _Items, target: str, model: str) -> PerList:
    y, f = items.columns[target], items.columns[model]
    if not len(y):
        return PerList(np.zeros(0), np.zeros(0))
    if loss.name in METRICS:
        from losskit.metrics.rows import Data

        data = Data(loss.name, y, f, items.weight, query=items.list_of)
        empty = "zero" if loss.params["empty"] == "zero" else "skip"
        made = loss.function(data, **{**loss.params, "empty": empty})
        return PerList(made.values, made.weights)
    weight = np.ones(len(items.codes)) if items.weight is None else items.weight[items.starts]
    if loss.kind == "written":
        # Its mean over lists is weighted by more than their weights: by the pairs that they have.
        options = {"query": items.list_of, "mask": None, "sample_weight": None}
        with np.errstate(all="ignore"):
            examples = loss.definition.function(
                y, f, lists=lists_of(loss.name, y.shape, options), **loss.params
            )
        values = np.asarray(examples.values, np.float64)
        weight = np.asarray(examples.weights, np.float64) * weight
    else:
        values = loss(y, f, query=items.list_of, reduction="none", empty="zero")
    undefined = np.isnan(values)
    return PerList(np.where(undefined, 0.0, values), np.where(undefined, 0.0, weight))


def _queries(count: int) -> str:
    return f"{count:,} quer{'y' if count == 1 else 'ies'}"


def _lacking(loss: Any) -> str:
    """Say what a list lacks that a score leaves out."""
    if loss.name in METRICS:
        return "without a relevant item"
    if "sigma" in loss.params:  # of pairs
        return "of equally relevant items"
    return "without a value"


def _sum(values: np.ndarray) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        return math.inf


def _takes_lists(loss: Any) -> bool:
    definition = getattr(loss, "definition", None)
    if getattr(loss, "kind", "") == "pointwise" or getattr(definition, "axis", "") != "item":
        return False
    return bool(loss.inputs == ("y_true", "y_pred"))
