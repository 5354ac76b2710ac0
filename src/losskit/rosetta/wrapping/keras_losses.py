"""Keras: a `losskit.keras.Loss` with the settings of theirs."""

from __future__ import annotations

from typing import Any

from losskit.rosetta.wrapping.recognising import Recognised, clips, scales, unheeded


def differing(found: Recognised) -> list[str]:
    """Return why a loss of Keras gives other numbers."""
    entry = found.entry
    handled = ("reduction", "name", "dtype", "axis")
    reasons = [*clips(found), *scales(entry), *unheeded(found, handled)]
    if entry.key.endswith("Hinge"):
        reasons.append(entry.name.differs[0])
    if entry.name.ours:
        reasons += entry.name.differs
    if found.settings.get("axis", -1) not in (-1, None):
        reasons.append("axis is not the last")
    return reasons


def made(found: Recognised) -> Any:
    """Return a Keras loss of ours for an object or function of Keras."""
    import losskit.keras

    said = found.settings
    options = {n: said[n] for n in ("name", "dtype") if n in said}
    reduction = None if found.whole else said["reduction"]
    return losskit.keras.Loss(found.loss, from_logits=found.raw, reduction=reduction, **options)
