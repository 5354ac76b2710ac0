"""Metrics of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from losskit.metrics.definition import metric
from losskit.metrics.rows import Data


@metric(better="higher", takes="text", surrogate="cross_entropy")
def bleu(
    data: Data,
    *,
    tokenize: Literal["13a", "intl", "char", "zh", "none"] = "13a",
    lowercase: bool = False,
    smooth: Literal["exp", "floor", "add-k", "none"] = "exp",
) -> float:
    """How many word sequences of up to four words a corpus of translations shares with its
    references, from 0 to 100.

    `y_true` holds for each sentence its reference, a string, or several of them in a list;
    `y_pred` its translation. Computed by sacreBLEU, whose tokenisers and smoothing these are (Post
    2018, A call for clarity in reporting BLEU scores): a figure of the corpus, not a mean over
    sentences, so there are no weights; with `mask`, sentences that do not count are left out.

    >>> import losskit.metrics
    >>> round(losskit.metrics.bleu(["the cat sat on a mat"], ["the cat sat on the mat"]), 4)
    53.7285
    """
    from sacrebleu.metrics import BLEU

    references, translations = _sentences(data)
    most = max(map(len, references))
    streams: Any = [[r[i] if i < len(r) else None for r in references] for i in range(most)]
    scorer = BLEU(lowercase=lowercase, tokenize=tokenize, smooth_method=smooth)
    return scorer.corpus_score(translations, streams).score


def _sentences(data: Data) -> tuple[list[list[str]], list[str]]:
    for name, given in (("y_true", data.y_true), ("y_pred", data.y_pred)):
        if isinstance(given, str) or not hasattr(given, "__len__"):
            raise TypeError(f"bleu: {name} is a {type(given).__name__}; needed is a list of text")
    references, translations = list(data.y_true), list(data.y_pred)
    if len(references) != len(translations):
        raise ValueError(
            f"bleu: y_true has {len(references)} sentences and y_pred {len(translations)}; several "
            "references of one sentence go in a list of their own"
        )
    counts = np.ones(len(references), bool) if data.mask is None else np.asarray(data.mask)
    if counts.dtype != np.bool_ or counts.shape != (len(references),):
        raise TypeError(f"bleu: mask has to be {len(references)} booleans, True where one counts")
    kept = np.flatnonzero(counts).tolist()
    if not kept:
        raise ValueError("bleu: there is no sentence that counts")
    return (
        [_references(references[i], i) for i in kept],
        [_text(translations[i], f"y_pred[{i}]") for i in kept],
    )


def _references(given: Any, index: int) -> list[str]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        return [_text(given, f"y_true[{index}]")]
    if not given:
        raise ValueError(f"bleu: y_true[{index}] holds no reference")
    return [_text(text, f"y_true[{index}][{j}]") for j, text in enumerate(given)]


def _text(given: Any, place: str) -> str:
    if not isinstance(given, str):
        raise TypeError(f"bleu: {place} is a {type(given).__name__}; needed is text")
    return str(given)
