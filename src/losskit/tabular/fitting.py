"""`fit_table`: a linear model of a column of a table, tested on rows that it has not seen."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.evaluation.spelling import spelled
from losskit.fit.estimators.classes import Classifier, ClassifierCV, Regressor, RegressorCV
from losskit.fit.fitting import NotConverged, Progress
from losskit.fit.inputs.preprocessing import Preprocessing
from losskit.fit.inputs.reading import Prepared
from losskit.formula.expr import Unsupported
from losskit.tables import Table, TableError, open_table
from losskit.tables.columns import read_columns
from losskit.tabular.options import CROSS_VALIDATED, check_options, check_output
from losskit.tabular.results import Coefficient, Rows, Score, TableFit
from losskit.tabular.scoring import scores_of
from losskit.tabular.splitting import split_rows
from losskit.tabular.suspecting import suspected
from losskit.tabular.target import Target, missing, read_target

Frame = dict[str, Array]


def fit_table(
    table: str | os.PathLike[str],
    *,
    target: str,
    loss: Any = "auto",
    penalty: Any = "l2",
    l1_ratio: float = 0.5,
    alpha: float | str = CROSS_VALIDATED,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    weight: str | None = None,
    test_size: float = 0.2,
    seed: int = 0,
    folds: int = 5,
    rule: str = "min",
    solver: Any = "auto",
    tol: float = 1e-4,
    max_iter: int = 1000,
    drop_missing_target: bool = False,
    output: str | os.PathLike[str] | None = None,
    input_format: str | None = None,
    database_table: str | None = None,
    glob: bool = False,
    delimiter: str | None = None,
    reading: Callable[[int, int | None], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> TableFit:
    """Fit a linear model of one column to the others, and test it on rows that it has not seen.

    The table is read into memory, from what `losskit.evaluate` reads. Numbers are standardised,
    categories become a column for each level (see `losskit.fit.inputs.preprocessing`); columns
    that hold dates, lists or identifiers are left out with a note, unless `features` names them.
    Rows of weight 0 are left out, and so are rows without a target if `drop_missing_target`. The
    model is that of the rows that were not drawn for the test; `test_size=0` fits all rows.

    Args:
        table: a path, or `-` for standard input.
        target: the column to predict: texts, truth values and two whole numbers are classes.
        loss: "auto" (by the target), `"huber:delta=1.5"`, or a loss.
        penalty: "l1", "l2", "elasticnet" (with `l1_ratio`), or one of `losskit.penalties`.
        alpha: its strength, or "cv": the best of a path by cross-validation, or by `rule="1se"` the
            strongest within a standard error of it. The path has 100 strengths, 30 under L2 (see
            `losskit.fit.crossvalidation.alpha_grid`). All folds share the matrix, whose means,
            scales and levels are learnt once on all rows that are fitted, test rows not among them.
        features: the columns to use; all by default, but for `exclude`, target and weight.
        weight: the column of weights.
        test_size: the share of rows to test; of each class alike.
        seed: draws test rows and folds.
        solver, tol, max_iter: those of `losskit.Regressor`.
        output: a file for the model, written as soon as it is fitted.
        reading: called with the rows read and the rows in all (None where unknown).
        progress: called at each step of the fit to all rows.

    Ctrl-C during the fit ends it with the best model so far, which is written and returned; before
    there is one it raises KeyboardInterrupt.

    Raises:
        TableError: the table cannot be read or lacks a column; the target does not go with the
            loss; an option is no such thing.
        ValueError: a column holds what it must not, such as an infinite number.

    Example:
        >>> import losskit, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "a.csv")
        ...     _ = path.write_text("x,y\\n" + "".join(f"{i},{2 * i + 1}.5\\n" for i in range(40)))
        ...     found = losskit.fit_table(path, target="y", alpha=0.0)
        >>> found.loss, found.rows.tested, round(found.coefficients[0].per_unit[0], 6)
        ('squared_error', 8, 2.0)
    """
    check_options(
        alpha=alpha, l1_ratio=l1_ratio, test_size=test_size, seed=seed, folds=folds, rule=rule,
        tol=tol, max_iter=max_iter,
    )  # fmt: skip
    if output is not None:
        check_output(output, table)
    with open_table(
        table, input_format=input_format, table=database_table, glob=glob, delimiter=delimiter
    ) as opened:
        names = _feature_names(opened, target, weight, features, exclude)
        columns = read_columns(
            opened, [*names, target, *_some(weight)],
            kinds=dict.fromkeys(_some(weight), "number"), progress=reading,
        )  # fmt: skip
    data = _rows(opened, columns, target, weight, loss, names, drop_missing_target)
    codes = np.unique(data.target.values, return_inverse=True)[1] if data.target.classes else None
    places = split_rows(len(data.kept), test_size, seed, codes)
    fitted, tested = (data.part(index) for index in places)
    if alpha == CROSS_VALIDATED and folds > len(places[0]):
        raise TableError(f"{folds} folds of {len(places[0])} rows to fit; ask for fewer folds")
    step = Preprocessing.learn(
        fitted.frame, unusable="leave out" if features is None else "error",
        weight=fitted.weight, where=fitted.row,
    )  # fmt: skip
    matrix = step.apply(fitted.frame, weight=fitted.weight, where=fitted.row)
    watched = _Watched(progress)
    kind, own = _estimator(data.target.classes, alpha, folds, rule)
    model = kind(
        data.target.loss, penalty=penalty, l1_ratio=l1_ratio, standardize=True, solver=solver,
        tol=tol, max_iter=max_iter, random_state=seed, progress=watched, **own,
    )  # fmt: skip
    began = time.perf_counter()
    told = _fit(model, Prepared(step, matrix), fitted)
    seconds = time.perf_counter() - began
    if output is not None:
        model.save(output)
    scores: tuple[Score, ...] = ()
    notes = list(step.notes)
    if len(places[1]):
        unseen, said = _encoded(step, tested)
        notes += said
        scores = scores_of(
            model, unseen, tested.target.values, tested.weight,
            (fitted.target.values, fitted.weight),
        )  # fmt: skip
    if test_size and not len(places[1]):
        notes.insert(0, f"none of {len(data.kept)} rows is tested: test_size {test_size:g} is less")
    if data.target.hint:
        notes.insert(0, data.target.hint)
    return TableFit(
        model=model,
        target=target,
        loss=spelled(model.loss_),
        why=model.loss_why_,
        classes=_classes(data.target),
        columns=tuple(column.name for column in step.columns),
        outputs=_outputs(model, target),
        rows=Rows(data.read, len(places[0]), len(places[1]), data.dropped),
        scores=scores,
        coefficients=_coefficients(model),
        notes=tuple(notes),
        warnings=(*told, *suspected(model, matrix, fitted.target.values, fitted.weight)),
        seed=int(seed),
        seconds=seconds,
        interrupted=_interrupted(model, watched),
    )


@dataclass(frozen=True, eq=False)
class _Data:
    """Rows of a table that count, by their places in it."""

    frame: Frame
    target: Target
    weight: Array | None
    kept: Array
    row_name: Callable[[int], str]
    read: int  # rows of the table
    dropped: tuple[tuple[str, int], ...]

    def row(self, place: int) -> str:
        """Return what a row is called in messages."""
        return self.row_name(int(self.kept[place]) + 1)

    def part(self, index: Array) -> _Data:
        """Return some of the rows."""
        target = Target(self.target.values[index], self.target.classes, self.target.loss)
        return _Data(
            {name: values[index] for name, values in self.frame.items()},
            target,
            None if self.weight is None else self.weight[index],
            self.kept[index],
            self.row_name,
            self.read,
            self.dropped,
        )


@dataclass
class _Watched:
    """Passes progress on, and remembers how many alphas there are."""

    told: Callable[[Progress], None] | None
    count: int = 1

    def __call__(self, step: Progress) -> None:
        self.count = step.count
        if self.told is not None:
            self.told(step)


def _feature_names(
    table: Table,
    target: str,
    weight: str | None,
    features: Sequence[str] | None,
    exclude: Sequence[str],
) -> list[str]:
    table.require([target, *_some(weight), *(features or ()), *exclude])
    for name, role in ((target, "target"), (weight, "weight")):
        if features is not None and name in features:
            raise TableError(f"column {name!r} is the {role}; it cannot be a feature")
    if weight == target:
        raise TableError(f"column {target!r} is the target; it cannot be the weight")
    given = table.parts[0].columns if features is None else features
    names = [n for n in dict.fromkeys(given) if n not in (target, weight) and n not in exclude]
    if not names:
        raise TableError(f"no column is left to predict {target!r} from")
    return names


def _some(name: str | None) -> list[str]:
    return [] if name is None else [name]


def _rows(
    table: Table,
    columns: Frame,
    target: str,
    weight: str | None,
    loss: Any,
    names: Sequence[str],
    drop_missing: bool,
) -> _Data:
    """Leave out the rows that do not count, and read the target of the others."""
    absent = missing(columns[target])
    if not len(absent):
        raise TableError(f"{table.parts[0].shown} has no data rows")
    counts = np.ones(len(absent), bool)
    w = None
    if weight is not None:
        w = columns[weight].astype(np.float64)
        bad = ~((w >= 0) & np.isfinite(w))
        if bad.any():
            at = int(np.argmax(bad))
            value = "missing" if np.isnan(w[at]) else f"{w[at]:g}"
            raise TableError(
                f"weight {weight!r} is {value} at {table.row_name(at + 1)}; needed is a number of "
                "at least 0"
            )
        counts = w > 0
        if not counts.any():
            raise TableError(f"weight {weight!r} is 0 in every row; at least one must count")
    without = absent & counts
    if without.any() and not drop_missing:
        first, many = table.row_name(int(np.argmax(without)) + 1), np.count_nonzero(without)
        raise TableError(
            f"target {target!r} is missing at {first} ({many} of {len(absent)} rows); fill it, or "
            "pass --drop-missing-target to leave such rows out"
        )
    kept = np.flatnonzero(counts & ~absent)
    if not len(kept):
        raise TableError(f"target {target!r} is missing in every row that counts")
    column = columns[target][kept]
    if column.dtype == object and all(isinstance(cell, bool | np.bool_) for cell in column):
        column = column.astype(bool)

    def where(place: int) -> str:
        return table.row_name(int(kept[place]) + 1)

    found = read_target(target, column, loss, where)
    reasons = {"weight 0": ~counts, "no target": without}
    return _Data(
        {name: columns[name][kept] for name in names},
        found,
        None if w is None else w[kept],
        kept,
        table.row_name,
        len(absent),
        tuple((why, int(rows.sum())) for why, rows in reasons.items() if rows.any()),
    )


def _estimator(
    classes: bool, alpha: float | str, folds: int, rule: str
) -> tuple[Any, dict[str, Any]]:
    if alpha == CROSS_VALIDATED:
        return ClassifierCV if classes else RegressorCV, {"cv": folds, "rule": rule}
    return Classifier if classes else Regressor, {"alpha": float(alpha)}


def _fit(model: Any, prepared: Prepared, data: _Data) -> list[str]:
    """Fit the model, and return what it warns of."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", NotConverged)
        try:
            model.fit(prepared, data.target.values, sample_weight=data.weight)
        except Unsupported as error:
            raise TableError(str(error)) from None
    told = [one for one in found if issubclass(one.category, NotConverged)]
    for one in found:
        if one not in told:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    model.progress = None
    return [f"not converged: {one.message}" for one in told]


def _encoded(step: Preprocessing, data: _Data) -> tuple[Array, list[str]]:
    """Return the matrix of test rows; what was never seen in the others is no level."""
    try:
        return step.apply(data.frame, where=data.row), []
    except ValueError as error:
        matrix = step.apply(data.frame, unknown="ignore", where=data.row)
        said = str(error).partition("; correct it")[0]
        return matrix, [f"{said}; tested as no level"]


def _classes(target: Target) -> tuple[tuple[Any, int], ...]:
    if not target.classes:
        return ()
    labels, counts = np.unique(target.values, return_counts=True)
    return tuple(zip(labels.tolist(), counts.tolist(), strict=True))


def _outputs(model: Any, target: str) -> tuple[str, ...]:
    if not hasattr(model, "classes_"):
        several = len(model.loss_.outputs) > 1
        return tuple(model.loss_.outputs) if several else (target,)
    labels = tuple(str(label) for label in model.classes_.tolist())
    return labels[1:] if model.coding_.layout == "one" else labels


def _coefficients(model: Any) -> tuple[Coefficient, ...]:
    values = np.atleast_2d(model.coef_).T
    units = values / model.preprocessing_.scale[:, None]
    found = [
        Coefficient(name, tuple(value), tuple(unit))
        for name, value, unit in zip(
            model.preprocessing_.names, values.tolist(), units.tolist(), strict=True
        )
    ]
    return tuple(sorted(found, key=lambda one: -one.size))


def _interrupted(model: Any, watched: _Watched) -> str:
    """Say where Ctrl-C ended the fit; nothing where it did not."""
    if hasattr(model, "cv_"):
        said = f"after {len(model.cv_.alphas)} of {watched.count} strengths"
        return said if model.interrupted_ else ""
    return f"after {model.n_iter_} iterations" if model.interrupted_ else ""
