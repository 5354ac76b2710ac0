"""The loss-beside-derivative figures, drawn from the losses themselves while the site is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

# Ink of text and axes, then the curves' colours in order; _static/losskit.css has the same palette.
THEMES = {
    "light": ("#48566b", "#d1d5da", ("#0b6e6e", "#d9730d", "#6b5bd2")),
    "dark": ("#b8c2d0", "#48566b", ("#4fc3c3", "#ffb454", "#a99bff")),
}
POINTS = 1201


@dataclass(frozen=True)
class Curve:
    """One line of a figure: a loss and its derivative along the raw score."""

    label: str
    x: Array
    value: Array
    slope: Array


@dataclass(frozen=True)
class Plot:
    """What a figure shows: curves over one axis."""

    xlabel: str
    curves: tuple[Curve, ...]
    slope: str = "derivative"


def plot_of(loss: Any) -> Plot | None:
    """Return the curves that show `loss` best: by parameter over the residual, or by target."""
    if loss.kind != "pointwise":
        import row_figures

        return row_figures.plot_of(loss)
    outputs = len(loss.definition.outputs)
    domain = loss.target_domain
    if outputs == 2:
        return _two_outputs(loss)
    if domain.values or (loss.task == "binary"):
        targets = (1.0, 0.0) if domain.contains(0.0) else (1.0, -1.0)
        x = np.linspace(-5, 5, POINTS)
        return Plot("raw score f", tuple(_at_target(loss, y, x) for y in targets))
    if loss.task == "counts":
        targets = (1.0, 4.0, 10.0)
        x = np.linspace(-2.2, 4, POINTS)
        return Plot("raw score f = log of the mean", tuple(_at_target(loss, y, x) for y in targets))
    y = 1.0 if not domain.contains(0.0) or _flat_at_zero(loss) else 0.0
    lower = max(-4.0, loss.prediction_domain(raw=True).lower + 0.02)
    x = np.linspace(lower, y + 4, POINTS)
    label = "residual r = f − y" if y == 0 else f"prediction f, for the target y = {y:g}"
    curves = [_curve(each, _setting(each), y, x) for each in _family(loss)]
    return Plot(label, tuple(curves))


def _flat_at_zero(loss: Any) -> bool:
    """Whether a target of 0 shows nothing, as it does for relative errors."""
    at = loss([0.0] * 2, [0.5, 3.0], raw=True, reduction="none")
    return bool(at[0] == at[1])


def _family(loss: Any) -> list[Any]:
    """The loss, then the same at two other values of its first parameter."""
    for parameter in loss.definition.parameters[:1]:
        value = loss.params[parameter.name]
        if value is None:
            break
        domain = parameter.domain
        if domain.upper == 1:
            values = [0.5, 0.1, 0.9]
        elif domain.lower == 0 and value < 0.2:  # a width too small to be seen at this scale
            values = [value, 5 * value, 10 * value]
        elif domain.lower == 0:
            values = [value, value / 2.5, value * 2.5]
        else:
            values = [value, value - 2, value + 1]
        return [loss(**{parameter.name: float(v)}) for v in values if domain.contains(float(v))]
    return [loss]


def _setting(loss: Any) -> str:
    name = next(iter(loss.params), "")
    return f"{name} = {loss.params[name]:g}".replace("-", "−") if name else ""


def _at_target(loss: Any, y: float, x: Array) -> Curve:
    return _curve(loss, f"y = {y:g}".replace("-", "−"), y, x)


def _curve(loss: Any, label: str, y: float, x: Array) -> Curve:
    target = np.full(x.shape, y)
    value = loss(target, x, raw=True, reduction="none")
    try:
        slope = loss.gradient(target, x, raw=True, reduction="none")
    except NotImplementedError:
        slope = np.full(x.shape, np.nan)
    return Curve(label, x, value, slope)


def _two_outputs(loss: Any) -> Plot:
    x = np.linspace(-4, 4, POINTS)
    curves = []
    for spread in (1.0, 0.5, 2.0):
        pred = np.stack((x, np.full(x.shape, np.log(spread))), axis=-1)
        target = np.zeros(x.shape)
        value = loss(target, pred, raw=True, reduction="none")
        slope = loss.gradient(target, pred, raw=True, reduction="none")[:, 0]
        curves.append(Curve(f"sd = {spread:g}", x, value, slope))
    return Plot("residual r = mean − y", tuple(curves))


def draw(plot: Plot, folder: Path, stem: str) -> None:
    """Write the figure and its thumbnail, each for a light and a dark page."""
    for theme, (ink, faint, colours) in THEMES.items():
        with style(ink, faint):
            _page_figure(plot, colours, folder / f"{stem}-{theme}.svg")
            _thumbnail(plot, colours, folder / f"{stem}-small-{theme}.svg")


def _page_figure(plot: Plot, colours: tuple[str, ...], path: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.1), layout="constrained")
    parts: tuple[tuple[str, Callable[[Curve], Array]], ...] = (
        ("loss", lambda c: c.value),
        (plot.slope, lambda c: c.slope),
    )
    for axis, (title, part) in zip(axes, parts, strict=True):
        for i, (curve, colour) in enumerate(zip(plot.curves, colours, strict=False)):
            label = curve.label or None
            axis.plot(curve.x, _broken(part(curve)), color=colour, label=label, zorder=9 - i)
        _frame(axis, [part(c) for c in plot.curves])
        axis.set_title(title, loc="left")
        axis.set_xlabel(plot.xlabel)
    if not any(np.isfinite(c.slope).any() for c in plot.curves):
        axes[1].text(0.5, 0.5, "none: the loss is a step", transform=axes[1].transAxes, ha="center")
    if len(plot.curves) > 1:
        axes[0].legend(frameon=False, loc="best", handlelength=1.4)
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)


def _thumbnail(plot: Plot, colours: tuple[str, ...], path: Path) -> None:
    figure, axis = plt.subplots(figsize=(2.6, 1.1))
    curve = plot.curves[0]
    axis.axhline(0, lw=0.8, color=mpl.rcParams["grid.color"])
    axis.axvline(0, lw=0.8, color=mpl.rcParams["grid.color"])
    axis.plot(curve.x, _broken(curve.slope), color=colours[1], lw=1.3)
    axis.plot(curve.x, _broken(curve.value), color=colours[0], lw=2.0)
    shown = [curve.value, curve.slope]
    axis.set_ylim(*_limits(shown))
    axis.set_axis_off()
    figure.subplots_adjust(0, 0, 1, 1)
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)


def _frame(axis: Any, lines: list[Array]) -> None:
    axis.axhline(0, lw=0.8, color=mpl.rcParams["grid.color"], zorder=0)
    axis.axvline(0, lw=0.8, color=mpl.rcParams["grid.color"], zorder=0)
    axis.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axis.tick_params(length=0)
    low, high = _limits(lines)
    if low < high:
        axis.set_ylim(low, high)
    axis.margins(x=0)


def _limits(lines: list[Array]) -> tuple[float, float]:
    """Limits that show the middle of steep curves instead of their far ends."""
    values = np.concatenate([line[np.isfinite(line)] for line in lines])
    if values.size == 0:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    typical = float(np.quantile(np.abs(values), 0.75)) or 1.0
    low, high = max(low, -3.0 * typical), min(high, 3.0 * typical)
    margin = 0.06 * (high - low) or 0.1
    return low - margin, high + margin


def _broken(line: Array) -> Array:
    """The line with a gap at each jump, so that no false vertical stroke joins the two sides."""
    steps = np.abs(np.diff(line))
    usual = np.nanquantile(steps, 0.95) if np.isfinite(steps).any() else 0.0
    spread = np.nanmax(line) - np.nanmin(line) if np.isfinite(line).any() else 0.0
    out = line.copy()
    jumps = np.flatnonzero((steps > 0.04 * spread) & (steps > 8 * usual))
    out[jumps + 1] = np.nan
    return out


@contextmanager
def style(ink: str, faint: str) -> Iterator[None]:
    settings = {
        "font.family": "DejaVu Sans",
        "font.size": 9.5,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.labelsize": 9.5,
        "lines.linewidth": 2.0,
        "grid.color": faint,
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.titlecolor": ink,
        "xtick.color": ink,
        "ytick.color": ink,
        "lines.color": faint,
        "svg.hashsalt": "losskit",
    }
    with mpl.rc_context(settings):
        yield
