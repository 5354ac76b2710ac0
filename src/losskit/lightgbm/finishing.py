"""What makes a trained model complete: its start, in the first trees, and the way back, declared.

A booster of a custom objective predicts raw scores without the start. LightGBM's own objectives
keep theirs in the leaves of the first tree (`Tree::AddBias`), and their name in the model's head,
which says how raw scores become predictions; here both are put where they have them, so that the
model's file needs no losskit to predict.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from losskit.formula.expr import Unsupported
from losskit.several import Several

# LightGBM's objective with the same way back from raw scores: `ConvertOutput` of its objectives.
_OF_ONE = {"identity": "regression", "log": "poisson", "logit": "binary sigmoid:1"}
_OF_SEVERAL = {
    "softmax": "multiclass num_class:{0}",
    "logit": "multiclassova num_class:{0} sigmoid:1",  # classes each against the rest
}
# A model's text ends with its parameters, and what the Python package adds to it.
_END, _LAST, _TOLD = "end of parameters", "pandas_categorical:", "losskit:"
_MOVED = ("leaf_value", "leaf_const", "internal_value")


def finish(booster: Any, loss: Any, start: Any) -> None:
    """Complete a trained model in place; `start` is None where it began elsewhere."""
    outputs = booster.num_model_per_iteration()
    head, *trees = booster.model_to_string(num_iteration=-1).split("\nTree=")
    # Without the sizes of the trees' texts, which change, LightGBM reads them one after the other.
    lines = [line for line in head.split("\n") if not line.startswith("tree_sizes=")]
    declared = _declared(loss, outputs)
    if declared is not None:
        at = next(i for i, line in enumerate(lines) if line.startswith("feature_names="))
        lines.insert(at, f"objective={declared}")
    for place, added in enumerate([] if start is None else np.atleast_1d(start).tolist()):
        trees[place] = "\n".join(_moved(line, added) for line in trees[place].split("\n"))
    booster.model_from_string("\nTree=".join(["\n".join(lines), *trees]))


def add_to_leaves(booster: Any, start: Any) -> None:
    """Add a start to the first trees of a booster that is to be trained further.

    Its predictions stay raw. Raises Unsupported for trees with linear models in their leaves.
    """
    if "is_linear=1" in booster.model_to_string(num_iteration=1):
        raise Unsupported(
            "linear_tree=True goes without keep_training_booster=True: LightGBM lets nobody set "
            "the constants of linear leaves but in the text of a model that is complete"
        )
    trees = booster.dump_model(num_iteration=1)["tree_info"]
    for place, (tree, added) in enumerate(zip(trees, np.atleast_1d(start).tolist(), strict=True)):
        for leaf in range(tree["num_leaves"]):
            booster.set_leaf_output(place, leaf, booster.get_leaf_output(place, leaf) + added)


def with_loss(text: str, told: str) -> str:
    """Return a model's text with a line that tells its loss, which LightGBM does not look at."""
    place = text.rindex(_LAST)
    return f"{text[:place]}{_TOLD}{told}\n{text[place:]}"


def told_loss(text: str) -> str | None:
    """Return what `with_loss` wrote into a model's text, None where nobody did."""
    after = text[text.rindex(_END) :] if _END in text else ""
    found = [line for line in after.split("\n") if line.startswith(_TOLD)]
    return found[0].removeprefix(_TOLD) if found else None


def _declared(loss: Any, outputs: int) -> str | None:
    """Return the objective to declare, None where none of LightGBM's has this way back."""
    link = loss.members[0].link if isinstance(loss, Several) else loss.link
    if isinstance(link, tuple) or (outputs > 1 and link.name not in _OF_SEVERAL):
        return None
    return (_OF_ONE if outputs == 1 else _OF_SEVERAL)[link.name].format(outputs)


def _moved(line: str, added: float) -> str:
    name, _, values = line.partition("=")
    if name not in _MOVED:
        return line
    return f"{name}={' '.join(repr(float(value) + added) for value in values.split())}"
