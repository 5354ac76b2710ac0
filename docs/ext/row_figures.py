"""What the figure of a loss over classes, labels, vectors or lists shows: one thing that varies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from figures import POINTS, Array, Curve, Plot

CURVES = 3


def plot_of(loss: Any) -> Plot | None:
    """Return the curves that show `loss`, or None where one variable shows nothing of it."""
    draw = _DRAWN.get(loss.definition.axis)
    if draw is None:
        return None
    return draw(loss)


def _classes(loss: Any) -> Plot:
    kinds = dict(loss.definition.inputs)
    if any(one.classes == "level" for one in kinds.values()):
        x = np.linspace(-5, 5, POINTS)
        scores = x[:, None] + np.array([1.0, -1.0])
        curves = [
            Curve(f"y = {y}", x, *_along(loss, [np.full(POINTS, y), scores], [1.0, 1.0]))
            for y in range(3)
        ]
        return Plot("score, above thresholds at −1 and 1", tuple(curves))
    links = {link.name for link in loss.definition.links}
    x = np.linspace(0.005, 0.995, POINTS) if "softmax" in links else np.linspace(-3, 3, POINTS)
    lead = np.log(2 * x / (1 - x)) if "softmax" in links else x
    scores = np.stack((lead, np.zeros(POINTS), np.zeros(POINTS)), axis=-1)
    label = "probability of the true class" if "softmax" in links else "lead of the true class"
    numbers = [name for name, one in kinds.items() if one.rank == 1 and not one.classes]
    curves = []
    for each, setting, extra in _variants(loss, numbers):
        data = {"y": np.zeros(POINTS, int), "f": scores}
        columns = [
            data["f"] if one.trained else data["y"] if one.classes else np.full(POINTS, extra)
            for one in kinds.values()
        ]
        curves.append(Curve(setting, x, *_along(each, columns, [1.0, 0.0, 0.0])))
    return Plot(f"{label}, of three", tuple(curves), "derivative by its score")


def _labels(loss: Any) -> Plot:
    x = np.linspace(-5, 5, POINTS)
    curves = [
        Curve(f"y = {y}", x, *_along(loss, [np.full((POINTS, 1), y), x[:, None]], [1.0]))
        for y in (1, 0)
    ]
    return Plot("raw score of the only label", tuple(curves))


def _features(loss: Any) -> Plot | None:
    kinds = dict(loss.definition.inputs)
    vectors = [name for name, one in kinds.items() if one.trained and one.rank == 2]
    if not vectors:
        return _pairs_of_scores(loss)
    if len(vectors) == 3:
        x = np.linspace(0, 4, POINTS)
        curves = []
        for each, setting, _ in _variants(loss, []):
            data = [_line(0 * x), _line(0 * x + 1), _line(-x)]
            value = each(*data, reduction="none")
            slope = -each.gradient(*data, reduction="none")[2][:, 0]
            curves.append(Curve(setting, x, value, slope))
        return Plot("distance of the negative, the positive being at 1", tuple(curves))
    others = [name for name in kinds if name not in vectors]
    if len(vectors) != 2 or len(others) > 1:
        return None
    targets = _targets(kinds[others[0]]) if others else [None]
    fixed = np.stack((np.ones(POINTS), np.zeros(POINTS)), axis=-1)
    turned = _only_direction(loss, kinds, vectors, targets[0])
    x = np.linspace(0, np.pi, POINTS) if turned else np.linspace(-3, 3, POINTS)
    moved = np.stack((np.cos(x), np.sin(x)), axis=-1) if turned else _line(x)
    moves = np.stack((-np.sin(x), np.cos(x)), axis=-1) if turned else _line(1 + 0 * x)
    curves = []
    for y in targets:
        held = {vectors[0]: moved, vectors[1]: fixed if turned else _line(0 * x)}
        data = [held[name] if name in held else np.full(POINTS, y) for name in kinds]
        value = loss(*data, reduction="none")
        slope = (loss.gradient(*data, reduction="none")[0] * moves).sum(axis=1)
        name = "" if y is None else f"{others[0].replace('_true', '')} = {y:g}".replace("-", "−")
        curves.append(Curve(name, x, value, slope))
    label = "angle between the vectors" if turned else "difference of the vectors"
    return Plot(label, tuple(curves))


def _pairs_of_scores(loss: Any) -> Plot | None:
    kinds = dict(loss.definition.inputs)
    scores = [name for name, one in kinds.items() if one.trained]
    others = [name for name in kinds if name not in scores]
    if len(scores) != 2 or len(others) > 1:
        return None
    x = np.linspace(-5, 5, POINTS)
    curves = []
    for y in (1.0, -1.0) if others else (1.0,):
        held = {scores[0]: x, scores[1]: 0 * x}
        data = [held[name] if name in held else np.full(POINTS, y) for name in kinds]
        value = loss(*data, reduction="none")
        slope = loss.gradient(*data, reduction="none")[0]
        name = f"{others[0].replace('_true', '')} = {y:g}".replace("-", "−") if others else ""
        curves.append(Curve(name, x, value, slope))
    return Plot(f"{scores[0]} less {scores[1]}", tuple(curves))


def _items(loss: Any) -> Plot:
    x = np.linspace(-5, 5, POINTS)
    scores = np.stack((x, 0 * x), axis=-1)
    grades = np.broadcast_to([1.0, 0.0], scores.shape)
    curves = [
        Curve(setting, x, *_along(each, [grades, scores], [1.0, 0.0]))
        for each, setting, _ in _variants(loss, [])
    ]
    return Plot("lead of the relevant item, of two", tuple(curves))


def _along(loss: Any, data: list[Array], moves: list[float]) -> tuple[Array, Array]:
    """Return values, and slopes where the scores of a row move so."""
    value = loss(*data, raw=True, reduction="none")
    slope = loss.gradient(*data, raw=True, reduction="none")
    return value, slope @ np.array(moves)


def _variants(loss: Any, numbers: list[str]) -> Iterator[tuple[Any, str, float]]:
    """Yield the loss for several values of a number in its rows, or of its first parameter."""
    if numbers:
        for y in (1.0, -1.0):
            yield loss, f"{numbers[0]} = {y:g}".replace("-", "−"), y
        return
    yield from islice(_family(loss), CURVES)


def _family(loss: Any) -> Iterator[tuple[Any, str, float]]:
    from losskit.formula import Domain

    first = next((p for p in loss.definition.parameters if isinstance(p.domain, Domain)), None)
    value = None if first is None else loss.params[first.name]
    if first is None or value is None:
        yield loss, "", 0.0
        return
    values = [value, 0.3, 0.7] if first.domain.upper == 1 else [value, value / 2.5, value * 2.5]
    if value == 0:
        values = [0.0, 0.2, 0.5] if first.domain.upper == 1 else [0.0, 0.5, 2.0]
    for v in dict.fromkeys(values):
        if first.domain.contains(v):
            yield loss(**{first.name: v}), f"{first.name} = {v:g}".replace("-", "−"), 0.0


def _targets(one: Any) -> list[Any]:
    return sorted(one.domain.values, reverse=True) or [1.0, -1.0]


def _only_direction(loss: Any, kinds: Any, vectors: list[str], y: Any) -> bool:
    """Whether the lengths of the vectors do not matter."""

    def at(length: float) -> Any:
        held = {vectors[0]: [[length, 0.0]], vectors[1]: [[0.6, 0.8]]}
        return loss(*(held[name] if name in held else [y] for name in kinds))

    return bool(np.isclose(at(1.0), at(3.0)))


def _line(x: Array) -> Array:
    return np.stack((x, 0 * x), axis=-1)


_DRAWN: dict[str, Callable[[Any], Plot | None]] = {
    "class": _classes,
    "label": _labels,
    "feature": _features,
    "item": _items,
}
