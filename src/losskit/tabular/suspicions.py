"""What looks wrong in the data of a fit or in its outcome, a sentence for each.

Each function is a cheap check of what it is given and returns the sentences that apply, often
none. A matrix is (n, d), dense or a SciPy sparse one, of finite numbers; `names` are its columns'.
They suspect: the reader decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.arrays import Array

# Rows that are looked at where a check has to sort.
_ROWS = 10_000
# Findings of one kind that are told; the rest are counted.
_TOLD = 5
_CELLS = 1 << 20  # of a dense block
# Columns whose correlation is within this of 1 or −1 hold the same, up to rounding in a file.
_SAME = 1e-9
# A feature that leaves less than this share of the target unexplained is suspected to know it.
_UNEXPLAINED = 0.005
_LEAST_ROWS = 20
_LEAST_CHANGES = 10  # of class between neighbours in random order
# Of more columns than this, those are looked at that correlate most with the target.
_COLUMNS = 1000
_PROBES = 4
# Squares of numbers beyond 1e154 overflow; such columns are not suspected of anything.
_quiet = np.errstate(over="ignore", invalid="ignore")


def constant_columns(x: Any, names: Sequence[str]) -> list[str]:
    """Say which columns hold one number only, so that no coefficient of theirs means anything.

    >>> constant_columns(np.array([[1.0, 2.0], [1.0, 3.0]]), ["one", "age"])
    ["'one' is 1 in all rows: it cannot matter"]
    """
    low, high = _ranges(x)
    found = np.flatnonzero(low == high).tolist()
    return _told([f"{names[j]!r} is {low[j]:.6g} in all rows: it cannot matter" for j in found])


@_quiet
def duplicate_columns(
    x: Any, names: Sequence[str], sources: Sequence[object] | None = None
) -> list[str]:
    """Say which columns are the same up to a factor and a constant: the fit splits their effect.

    Args:
        x: the matrix.
        names: of its columns.
        sources: what each column was made of, such as `Preprocessing.sources`; columns of the same
            source (the two levels of a category) are not compared.

    >>> celsius = np.array([[-10.0], [0.0], [20.0], [35.0]])
    >>> duplicate_columns(np.hstack([celsius, 1.8 * celsius + 32]), ["celsius", "fahrenheit"])
    ["'fahrenheit' is 'celsius' in other units: their coefficients share one effect"]
    """
    n, d = x.shape
    if n < 3 or d < 2:
        return []
    # Columns that are the same have the same products with any vectors; of the others, few do.
    probes = np.random.default_rng(0).standard_normal((n, _PROBES))
    probes -= probes.mean(axis=0)
    deviation = _deviations(x)
    varying = deviation > 0
    products = np.asarray(x.T @ probes) / np.where(varying, deviation, 1)[:, None]
    products *= np.where(products[:, :1] < 0, -1.0, 1.0)
    order = np.lexsort(products.T[::-1])
    order = order[varying[order]]
    close = 1e-3 * np.sqrt(n)
    found: dict[int, tuple[int, float]] = {}
    for step in (1, 2, 3):  # an unrelated column may lie between
        left, right = order[:-step], order[step:]
        near = np.abs(products[left] - products[right]).max(axis=1) < close
        for a, b in zip(left[near].tolist(), right[near].tolist(), strict=True):
            first, later = min(a, b), max(a, b)
            if sources is not None and sources[first] == sources[later]:
                continue
            r = _correlation(_dense(x, [first, later]))
            if 1 - abs(r) <= _SAME and (later not in found or first < found[later][0]):
                found[later] = (first, r)
    told = []
    for later in sorted(found):
        first, r = found[later]
        pair = _dense(x, [first, later])
        same = np.array_equal(pair[:, 0], pair[:, 1])
        how = f"{names[first]!r}" if same else f"{names[first]!r} in other units"
        if not same and r < 0:
            how = f"the opposite of {names[first]!r}"
        told.append(f"{names[later]!r} is {how}: their coefficients share one effect")
    return _told(told)


def leaking_features(
    x: Any,
    names: Sequence[str],
    y: Any,
    *,
    classes: bool,
    sources: Sequence[object] | None = None,
) -> list[str]:
    """Say which feature alone predicts the target: it may have been recorded after the outcome.

    The rows are sorted by the feature; where neighbours then have the same target all along, the
    feature knows it, whatever the shape of the dependence. (For numbers this is the idea of
    Chatterjee 2021, "A new coefficient of correlation", JASA 116:2009–2022, with squared ranks.)

    Args:
        x: the matrix; 10 000 random rows are looked at.
        names: of its columns.
        y: the target, (n,), or (n, K) with several of them.
        classes: whether the target's values are labels rather than numbers.
        sources: what each column was made of, such as `Preprocessing.sources`; the levels of a
            category are looked at together.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(500, 2))
    >>> leaking_features(x, ["age", "refund"], x[:, 1] > 0, classes=True)
    ["'refund' alone predicts the target: is it known before the outcome?"]
    """
    n = x.shape[0]
    if n < _LEAST_ROWS:
        return []
    rows = np.random.default_rng(0).permutation(n)[:_ROWS]  # ties then come in random order
    x = _rows(x, rows)
    y = np.asarray(y)[rows].reshape(len(rows), -1)
    targets = [target for column in y.T if (target := _target(column, classes)) is not None]
    groups: dict[object, list[int]] = {}
    for j in _promising(x, targets):
        groups.setdefault(j if sources is None else sources[j], []).append(j)
    found = []
    for columns in groups.values():
        block = _dense(x, columns)
        flags = np.flatnonzero(((block == 0) | (block == 1)).all(axis=0)).tolist()
        keys = [(names[j], block[:, k], False) for k, j in enumerate(columns) if k not in flags]
        if flags:  # levels of a category, whose order means nothing
            name = names[columns[flags[0]]]
            if len(flags) > 1 and sources is not None:
                name = str(sources[columns[0]])
            keys.append((name, block[:, flags] @ np.arange(1.0, len(flags) + 1), True))
        told = next((n for n, k, c in keys for target in targets if _knows(k, c, target)), None)
        if told is not None:
            found.append(f"{told!r} alone predicts the target: is it known before the outcome?")
    return _told(found)


def rare_classes(y: Any, weight: Any = None) -> list[str]:
    """Say which classes are so rare that accuracy says little, or too few rows to learn from.

    >>> rare_classes(["no"] * 980 + ["yes"] * 20)
    ["class 'yes' has 2% of the rows (20 of 1000): see its recall, accuracy says little"]
    """
    labels, codes, counts = np.unique(np.asarray(y), return_inverse=True, return_counts=True)
    shares = np.bincount(codes, weights=None if weight is None else np.asarray(weight, float))
    shares = shares / shares.sum()
    told = []
    for k in np.argsort(shares, kind="stable").tolist():
        label, size = labels[k : k + 1].tolist()[0], f"{counts[k]} of {len(codes)}"
        if counts[k] < 10:
            told.append(f"class {label!r} has too few rows to learn from ({size})")
        elif shares[k] < 0.2 / len(labels):
            told.append(
                f"class {label!r} has {100 * shares[k]:.2g}% of the rows ({size}): see its recall, "
                "accuracy says little"
            )
    return _told(told)


def separable(scores: Any, y: Any, weight: Any = None) -> list[str]:
    """Say whether the fitted linear scores, (n,) or (n, K), split the classes without a mistake.

    Then the loss alone has no minimum: without a penalty the coefficients grow for ever. `y` has
    labels whose sorted order is that of the K scores, and for one score two labels.

    >>> separable([-0.3, 0.1, 0.2], ["no", "yes", "yes"])[0][:51]
    'the fitted scores separate the classes without a mi'
    """
    f = np.asarray(scores, float)
    labels, codes = np.unique(np.asarray(y), return_inverse=True)
    f = f.reshape(len(codes), -1)
    if weight is not None:
        f, codes = f[np.asarray(weight) > 0], codes[np.asarray(weight) > 0]
    if len(labels) < 2 or not len(codes):
        return []
    if f.shape[1] == 1:
        if len(labels) != 2 or len(np.unique(codes)) < 2:
            return []
        clean = f[codes == 1].min() > f[codes == 0].max()
    else:
        own = f[np.arange(len(codes)), codes]
        others = f.copy()
        others[np.arange(len(codes)), codes] = -np.inf
        clean = bool((own > others.max(axis=1)).all()) and len(np.unique(codes)) > 1
    if not clean:
        return []
    return [
        "the fitted scores separate the classes without a mistake: without a penalty the "
        "coefficients would grow for ever, and the penalty alone decides their size"
    ]


def edge_of_grid(alphas: Any, best: int) -> list[str]:
    """Say whether the chosen strength is the first or last that was tried, `alphas[best]`.

    >>> edge_of_grid([1.0, 0.1, 0.01], 2)
    ['the best alpha, 0.01, is the smallest that was tried: a smaller one may be better']
    """
    grid = np.asarray(alphas, float)
    chosen = grid[best]
    if len(grid) < 2 or grid.min() < chosen < grid.max():
        return []
    if chosen == grid.min():
        advice = "a smaller one may be better" if chosen > 0 else "no penalty may be needed"
        return [f"the best alpha, {chosen:.4g}, is the smallest that was tried: {advice}"]
    return [
        f"the best alpha, {chosen:.4g}, is the largest that was tried: the features hardly help, "
        "or a larger one is better"
    ]


@dataclass(frozen=True, eq=False)
class _Target:
    values: Array  # codes of classes, or ranks of numbers
    classes: bool
    apart: float  # how far apart two random rows are
    floor: float  # what neighbours differ by in sum where rows are sorted by the target itself

    def differences(self, order: Array) -> Array:
        """Return how far apart neighbours are, (n − 1,), in this order of the rows."""
        values = self.values[order]
        if self.classes:
            return (values[1:] != values[:-1]).astype(float)
        return np.diff(values) ** 2


def _target(y: Array, classes: bool) -> _Target | None:
    """Return what `_knows` asks of a target, None where it does not vary."""
    _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(counts) < 2:
        return None
    if classes:
        shares = counts / len(y)
        return _Target(codes, True, float(1 - shares @ shares), len(counts) - 1)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[codes]  # ties share their mean
    return _Target(
        ranks, False, 2 * float(ranks.var()), float((np.diff(np.sort(ranks)) ** 2).sum())
    )


def _knows(key: Array, category: bool, target: _Target) -> bool:
    """Whether rows with neighbouring keys (the same one of a category) have the same target."""
    order = np.argsort(key, kind="stable")
    differences = target.differences(order)
    floor = target.floor
    if category:
        key = key[order]
        differences, floor = differences[key[1:] == key[:-1]], 0.0
    if len(differences) * 2 < len(key) or key.min() == key.max():
        return False
    expected = target.apart * len(differences)
    if target.classes and expected < _LEAST_CHANGES:  # a class of few rows may lie at an end
        return False
    return bool(differences.sum() - floor <= _UNEXPLAINED * expected)


@_quiet
def _promising(x: Any, targets: Sequence[_Target]) -> list[int]:
    d = x.shape[1]
    if d <= _COLUMNS:
        return list(range(d))
    encoded = []
    for target in targets:
        values = target.values.astype(float)[:, None]
        if target.classes:
            values = (values == np.unique(values)[:_COLUMNS]).astype(float)
        encoded.append(values - values.mean(axis=0))
    deviation = _deviations(x)
    products = np.abs(np.asarray(x.T @ np.hstack(encoded))).max(axis=1)
    products /= np.where(deviation > 0, deviation, np.inf)
    return sorted(np.argsort(products)[-_COLUMNS // 2 :].tolist())


@_quiet
def _correlation(pair: Array) -> float:
    centred = pair - pair.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=0)
    return float(centred[:, 0] @ centred[:, 1])


@_quiet
def _deviations(x: Any) -> Array:
    n, d = x.shape
    if hasattr(x, "tocsc"):
        x = x.tocsc()
        stored = np.diff(x.indptr)
        column = np.repeat(np.arange(d), stored)
        centre = np.bincount(column, x.data, d) / n
        squares = np.bincount(column, (x.data - centre[column]) ** 2, d) + (n - stored) * centre**2
    else:
        centre = np.mean(x, axis=0, dtype=float)
        squares = np.zeros(d)
        step = max(1, _CELLS // max(1, d))
        for start in range(0, n, step):
            squares += ((x[start : start + step] - centre) ** 2).sum(axis=0)
    low, high = _ranges(x)
    squares[low == high] = 0  # the mean of a constant is rounded
    return np.sqrt(squares / n)


def _ranges(x: Any) -> tuple[Array, Array]:
    low, high = x.min(axis=0), x.max(axis=0)
    if hasattr(low, "toarray"):
        low, high = low.toarray().ravel(), high.toarray().ravel()
    return np.asarray(low), np.asarray(high)


def _dense(x: Any, columns: Sequence[int]) -> Array:
    found = x[:, columns]
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found, float)


def _rows(x: Any, rows: Array) -> Any:
    return x.tocsr()[rows].tocsc() if hasattr(x, "tocsr") else np.asfortranarray(x[rows])


def _told(sentences: Sequence[str]) -> list[str]:
    more = len(sentences) - _TOLD
    rest = [f"… and {more} more like this"] if more > 0 else []
    return [*sentences[:_TOLD], *rest]
