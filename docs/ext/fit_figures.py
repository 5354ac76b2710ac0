"""The figure of the guide to fitting: a path of coefficients above its cross-validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from figures import THEMES, style
from matplotlib.ticker import FixedLocator, NullLocator
from sphinx.application import Sphinx
from sphinx.config import Config

DATA = Path(__file__).parents[2] / "examples" / "data" / "breast_cancer.csv"
NAMED = 5  # coefficients that have a colour and a name, the largest at the chosen alpha


def setup(app: Sphinx) -> dict[str, bool]:
    """Draw the figure before Sphinx looks for its sources."""
    app.connect("config-inited", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def draw(app: Sphinx, config: Config) -> None:
    """Fit the model of the guide and draw its path, for a light and a dark page."""
    folder = Path(app.srcdir) / "guide" / "figures"
    folder.mkdir(exist_ok=True)
    model, names = fitted()
    for theme, (ink, faint, colours) in THEMES.items():
        with style(ink, faint):
            figure = path_figure(model, names, ink, colours)
            figure.savefig(folder / f"path-{theme}.svg", transparent=True, metadata={"Date": None})
            plt.close(figure)


def fitted() -> tuple[Any, list[str]]:
    """Return a logistic regression whose L1 strength five folds chose, and its features."""
    import losskit

    table = np.genfromtxt(DATA, delimiter=",", names=True, dtype=None, encoding="utf-8")
    names = [name for name in table.dtype.names if name != "diagnosis"]
    model = losskit.ClassifierCV(penalty="l1", standardize=True, random_state=0)
    return model.fit(np.column_stack([table[n] for n in names]), table["diagnosis"]), names


def path_figure(model: Any, names: list[str], ink: str, colours: tuple[str, ...]) -> Any:
    """Return the figure: coefficients at the left, held-out losses at the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.7), layout="constrained")
    curve, alphas, coef = model.cv_, model.alphas_, model.coef_path_[:, 0]
    _coefficients(left, alphas, coef, names, curve.best, colours)
    _curve(right, curve, colours[0])
    left.set_title("coefficients", loc="left", pad=22)
    right.set_title("loss on held-out rows", loc="left", pad=22)
    for axis in (left, right):
        axis.set_xscale("log")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.invert_xaxis()
        axis.set_xlabel("alpha, from strong to weak")
        for place, name in ((curve.best_1se, "lambda_1se"), (curve.best, "lambda_min")):
            axis.axvline(alphas[place], color=ink, lw=0.9, ls=(0, (4, 3)), zorder=1)
            said = f"{name}\n{curve.path[place].nonzeros} of {len(names)}"
            side, gap = ("right", 4) if place == curve.best_1se else ("left", -4)
            axis.annotate(
                said, (alphas[place], 1.0), (gap, 3), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha=side, va="bottom", fontsize=8, linespacing=1.1,
            )  # fmt: skip
        axis.spines[["top", "right", "left", "bottom"]].set_visible(False)
        axis.tick_params(length=0)
        axis.grid(axis="y", lw=0.5)
    return figure


def _coefficients(
    axis: Any, alphas: Any, coef: Any, names: list[str], chosen: int, colours: tuple[str, ...]
) -> None:
    largest = np.argsort(-np.abs(coef[chosen]))[:NAMED]
    for j in range(coef.shape[1]):
        if j not in largest:
            axis.plot(alphas, coef[:, j], color=mpl.rcParams["grid.color"], lw=0.9, zorder=2)
    for i, j in enumerate(largest):
        axis.plot(
            alphas, coef[:, j], color=colours[i % len(colours)], lw=1.8, zorder=4,
            ls="-" if i < len(colours) else (0, (2, 1)), label=names[j],
        )  # fmt: skip
    axis.legend(frameon=False, loc="upper left", handlelength=1.6, fontsize=8)


def _curve(axis: Any, curve: Any, colour: str) -> None:
    low, high = curve.mean - curve.error, curve.mean + curve.error
    axis.vlines(curve.alphas, low, high, color=colour, alpha=0.35, lw=1.2, zorder=3)
    axis.plot(curve.alphas, curve.mean, "o", color=colour, ms=2.2, zorder=4)
    axis.plot(curve.lambda_min, curve.mean[curve.best], "o", color=colour, ms=6, zorder=5)
    axis.axhline(high[curve.best], color=colour, lw=0.9, ls=(0, (1, 2)), zorder=2)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(FixedLocator([0.05, 0.1, 0.2, 0.4, 0.8]))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_locator(NullLocator())
