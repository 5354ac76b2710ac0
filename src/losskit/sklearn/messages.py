"""What errors say of metrics and scorers, which do not have the options of a loss's own calls."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from inspect import Parameter, signature
from typing import Any

from losskit.backends import suggest
from losskit.sklearn.responses import PREDICT, is_of_classes, judged, levels
from losskit.wording import in_words

RAW = "take metric(…, raw=True)"
_RAW_HINTS = ("for raw scores (logits, log-means) ", "for raw scores (logits) ")
_ADVICE = {
    "pass nan='omit' or nan='propagate'": "give it weight 0",
    "; pass empty='zero' to get 0, or use accumulate()": "",
    "; for empty parts use accumulate() or reduction='none'": "",
    ", or pass empty='zero' to count it as 0": "",
}
_PREDICTIONS = "needed are predictions, not raw scores (logits, log-means)"
_OTHER_MODEL = (
    "needed is an estimator whose predict keeps to that, as losskit.Regressor of this loss does, "
    "or another loss"
)


def advice_of_metrics(loss: Any) -> AbstractContextManager[None]:
    """Have errors advise what there is in `losskit.sklearn.metric`."""
    if is_of_classes(loss) and not levels(loss):
        return in_words(_ADVICE | {"pass raw=True": RAW})
    return in_words(_ADVICE | {hint + "pass raw=True": _PREDICTIONS for hint in _RAW_HINTS})


def advice_of_scorers(asked: str) -> AbstractContextManager[None]:
    """Have errors of metrics advise what there is in `losskit.sklearn.scorer`, which asked an
    estimator for this.
    """
    if asked != PREDICT:
        return in_words({RAW: RAW.replace("metric", "scorer")})
    said = [hint + RAW for hint in _RAW_HINTS]
    return in_words(dict.fromkeys([*said, _PREDICTIONS], _OTHER_MODEL))


def loss_for(role: str, loss: Any, parameters: dict[str, Any], elsewhere: Mapping[str, str]) -> Any:
    """Return the loss of a metric or scorer; raise TypeError at what is passed `elsewhere`."""
    try:
        return judged(loss, parameters)
    except TypeError:
        for name in parameters:
            if name in elsewhere:
                raise TypeError(f"{role}(…, {name}=): {elsewhere[name]}") from None
        raise


def refuse_unknown(metric: Any, given: Mapping[str, Any]) -> None:
    """Raise TypeError at the first keyword that the call of a metric does not have."""
    taken = keywords(type(metric).__call__)
    for name in given:
        said = suggest(name, taken)
        if name == "raw":
            said = f"; {RAW}"
        raise TypeError(
            f"the metric {metric.__name__} takes {', '.join(taken)} beside y_true and y_pred, and "
            f"no {name!r}{said}"
        )


def keywords(call: Any) -> list[str]:
    """Return the names of what a call takes by keyword only."""
    known = signature(call).parameters.values()
    return [p.name for p in known if p.kind is Parameter.KEYWORD_ONLY]
