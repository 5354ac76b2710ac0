"""What errors of the library's core say, in the words of the calls that a user of Keras made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from losskit.wording import reword

_UNCOUNTED = "give it sample_weight 0"
_ADVICE = {
    "pass raw=True": "pass from_logits=True",
    "pass nan='omit' or nan='propagate'": _UNCOUNTED,
    "mask it (mask= is True where an example counts)": _UNCOUNTED,
    "pass mask= or ignore_index=": "pass sample_weight 0 or ignore_index=",
    "and mask=~": "and sample_weight=~",
    "class indexes; mask= for rows": "class indexes; sample_weight 0 for rows",
}


def told_as_in_keras(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function, whose errors then advise what there is in `losskit.keras`."""
    try:
        return function(*arguments, **options)
    except (TypeError, ValueError) as error:
        reword(error, _ADVICE)
        raise
