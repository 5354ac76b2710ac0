"""What a person asked: library, name, parameters and the library wanted, from a line of text.

`LightGBM huber alpha=0.9`, `torch.nn.HuberLoss(delta=2)`, `reg:pseudohubererror`,
`Quantile:alpha=0.9`, `objective='mape'`, `huber:delta=2 to keras`: names are read leniently, values
are literals, and nothing is evaluated.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import Any

from losskit.backends import suggest
from losskit.rosetta.facts import TITLES, Library
from losskit.rosetta.libraries import LIBRARIES
from losskit.rosetta.listing import library_named


@dataclass(frozen=True)
class Asked:
    """A line of text taken apart."""

    text: str
    name: str
    library: Library | None = None
    wanted: Library | None = None  # "… to torch"
    parameters: dict[str, Any] = field(default_factory=dict)


_PAIR = re.compile(r"([^\W\d]\w*)\s*=\s*(\[[^\]]*\]|\([^)]*\)|[^\s,;()]+)")
_TITLE = re.compile(rf"\b(?:{'|'.join(TITLES)})\s*=")
_TOWARDS = ("to", "in", "into", "for", "as")


def read(text: str) -> Asked:
    """Take a line apart; raise ValueError where it names nothing."""
    # objective='huber' and loss_function="Huber:delta=2" name a loss as huber does.
    plain = _TITLE.sub(" ", text).replace("'", "").replace('"', "")
    parameters: dict[str, Any] = {}
    for name, value in _PAIR.findall(plain):
        if name in parameters:
            raise ValueError(f"{text!r} gives {name} twice")
        # Frameworks call no reduction at all "none", which is no None.
        parameters[name] = value if name == "reduction" else literal(value)
    words = re.sub(r"[()\[\],;]", " ", _PAIR.sub(" ", plain)).split()
    wanted, words = _towards([word.rstrip(":") for word in words])
    library, words = _library(words)
    loose = [word for word in words if re.fullmatch(r"[-+.\d]+(e[-+]?\d+)?", word)]
    if loose:
        raise ValueError(f"{text!r}: {loose[0]} is the value of which parameter? As in delta=2")
    name = " ".join(words).removeprefix("losskit.")
    if not name:
        raise ValueError(f"{text!r} names no loss; as in 'LightGBM huber alpha=0.9'")
    return Asked(text, name, library, wanted, parameters)


def literal(text: str) -> Any:
    """Return the value that a literal stands for, a word being itself.

    >>> literal("0.9"), literal("true"), literal("[0.1, 0.9]"), literal("cosine")
    (0.9, True, [0.1, 0.9], 'cosine')
    """
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def squeezed(name: str) -> str:
    """Return a name without case and separators, by which names are compared.

    >>> squeezed("nn.HuberLoss"), squeezed("huber_loss")
    ('nnhuberloss', 'huberloss')
    """
    return "".join(mark for mark in name.lower() if mark.isalnum())


def _towards(words: list[str]) -> tuple[Library | None, list[str]]:
    """Take "to torch" from the end; raise ValueError where that is no library."""
    at = [i for i, word in enumerate(words) if word.lower() in _TOWARDS and i + 1 < len(words)]
    if not at:
        return None, words
    name = " ".join(words[at[-1] + 1 :])
    if found := library_named(name):
        return found, words[: at[-1]]
    known = {alias: each for each in LIBRARIES for alias in (each.name, *each.aliases)}
    titles = ", ".join(each.title for each in LIBRARIES)
    raise ValueError(f"no library {name!r}{suggest(name.lower(), known)}; name one of {titles}")


def _library(words: list[str]) -> tuple[Library | None, list[str]]:
    """Take the library's name, or the path before a name, away."""
    for i, word in enumerate(words):
        if (found := library_named(word)) and len(words) > 1:
            return found, words[:i] + words[i + 1 :]
    for i, word in enumerate(words):
        for library in LIBRARIES:
            for prefix in sorted(library.prefixes, key=len, reverse=True):
                if word.lower().startswith(f"{prefix.lower()}."):
                    return library, [*words[:i], word[len(prefix) + 1 :], *words[i + 1 :]]
    return None, words
