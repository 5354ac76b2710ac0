"""What errors of the library's core say, in the words of the calls that a user of PyTorch made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from losskit.wording import in_words

_PARTS = "parts() of losskit.torch.Loss gives 0 and 0 for it"
_ADVICE = {
    "pass nan='omit' or nan='propagate'": "mask it (mask= is True where an example counts)",
    "pass empty='zero' to get 0, or use accumulate()": _PARTS,
    "pass empty='zero' for 0": _PARTS.replace("Loss", "LinearCrossEntropy"),
    "for empty parts use accumulate() or reduction='none'": f"skip it; {_PARTS}",
    ".astype('int64')": ".long()",
}
_NAMES = {"y_true": "target", "y_pred": "input"}


@contextmanager
def advice_of_torch(named: bool = False) -> Iterator[None]:
    """Have errors advise what there is in `losskit.torch`, and with `named` name data as there."""
    try:
        with in_words(_ADVICE):
            yield
    except (TypeError, ValueError) as error:
        if named:
            name_as_torch(error)
        raise


def name_as_torch(error: Exception) -> None:
    """Have an error of (y_true, y_pred) name them as `(input, target)` of a module."""
    if error.args and isinstance(error.args[0], str):
        said = re.sub(r"\by_(true|pred)\b", lambda found: _NAMES[found[0]], error.args[0])
        error.args = (said, *error.args[1:])
