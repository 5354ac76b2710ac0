"""`losskit.wrap`: a loss object of another library, and ours that gives the same number.

Recognising one needs nothing of its library but the object: `recognising`. What is made of it is
one file for each kind of object: `modules` (PyTorch), `keras_losses`, `functions` (JAX), `scaled`
(scikit-learn, and names of objectives).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from losskit.rosetta.differences import equation
from losskit.rosetta.finding import found as found_for
from losskit.rosetta.reading import read
from losskit.rosetta.wrapping.recognising import Recognised, recognised
from losskit.rosetta.wrapping.scaled import Scaled

# The module that makes ours of what was recognised, by `made` and `differing`.
_MAKERS = {
    "torch": "losskit.rosetta.wrapping.modules",
    "keras": "losskit.rosetta.wrapping.keras_losses",
    "optax": "losskit.rosetta.wrapping.functions",
    "sklearn": "losskit.rosetta.wrapping.scaled",
}


def wrap(theirs: Any, *, nearest: bool = False) -> Any:
    """Return the loss of ours that gives the same number as a loss object of another library.

    `theirs` is a module or function of `torch.nn`, a Keras loss, an object of scikit-learn's loss
    module or one of its metrics, an Optax function (any of them may be a `functools.partial`), or
    the name of a booster's objective, for what that trains on: "reg:squarederror" is half the
    square. A loss of ours is returned as it is. The result is called as theirs is: a
    `losskit.torch.Loss`, a `losskit.keras.Loss`, a function of JAX arrays, or a `Scaled` loss of
    `(y_true, y_pred)`, with its parameters, scale, reduction, factor and clip. Gradients are ours.

    Raises ValueError where the numbers differ, and says where; `nearest=True` gives ours all the
    same. Raises TypeError for what is no loss that is known.

    >>> import losskit
    >>> from sklearn.metrics import mean_poisson_deviance
    >>> deviance = losskit.wrap(mean_poisson_deviance)
    >>> deviance
    Scaled(losskit.poisson, factor=0.5, above_infimum=True)
    >>> y, p = [1.0, 0.0, 2.0], [1.5, 0.5, 2.0]
    >>> round(deviance(y, p), 12) == round(mean_poisson_deviance(y, p), 12)
    True
    """
    if isinstance(theirs, str):
        return _objective(theirs, nearest)
    if type(theirs).__module__.partition(".")[0] == "losskit":
        return theirs
    found = recognised(theirs)
    maker = _MAKERS.get(found.entry.library.name)
    if maker is None:
        raise TypeError(
            f"{found.title} is known by name only: losskit.translate({found.title!r}) tells what "
            "it is in ours"
        )
    module = import_module(maker)
    reasons = [*found.reasons, *module.differing(found)]
    if reasons and (not nearest or found.loss is None):
        near = f"; the nearest of ours is {found.loss!r} (nearest=True)"
        ours = "" if found.loss is None else near
        raise ValueError(f"{found.title}: {'; '.join(reasons)}{ours}")
    make: Callable[[Recognised], Any] = module.made
    return make(found)


def _objective(text: str, nearest: bool) -> Any:
    asked = read(text)
    entry, loss = found_for(asked)
    if entry is None:
        return loss
    if not entry.library.objective:
        raise ValueError(
            f"{text!r} names no booster's objective: give wrap the object or function "
            f"{entry.title} itself; losskit.translate({text!r}) tells what it is in ours"
        )
    name = entry.name
    reasons = [f"equal only at {constant}" for constant in entry.allows(asked.parameters)]
    reasons += [f"{n}={v!r} is not of ours" for n, v in entry.unheeded(asked.parameters).items()]
    if name.reports:
        reasons.append(
            f"{entry.library.title} reports {name.reports} by this name, and trains on a mean of "
            f"losses, ours = {entry.factor:g} · theirs; use losskit.{loss.name} and take the root"
        )
    if isinstance(entry.factor, str):
        raise ValueError(f"{text}: {equation(entry.factor, name.shift)}")
    if reasons and not nearest:
        raise ValueError(f"{text}: {'; '.join(reasons)} (nearest=True gives what it trains on)")
    if entry.factor == 1 and not name.shift:
        return loss
    return Scaled(loss, entry.factor, name.shift, raw=True)


__all__ = ["Scaled", "wrap"]
