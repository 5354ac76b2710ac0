"""Errors of the core in the words of whoever called it for a user.

The core advises options of its own calls, which an adapter for a framework may not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def in_words(words: Mapping[str, str]) -> Iterator[None]:
    """Have TypeErrors and ValueErrors say the values of `words` where they would say the keys.

    >>> with in_words({"pass raw=True": "pass from_logits=True"}):
    ...     raise ValueError("for logits pass raw=True")
    Traceback (most recent call last):
    ValueError: for logits pass from_logits=True
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        reword(error, words)
        raise


def reword(error: Exception, words: Mapping[str, str]) -> None:
    """Change an error's text: what `in_words` does, for code that a compiler traces."""
    if error.args and isinstance(error.args[0], str):
        said = error.args[0]
        for theirs, ours in words.items():
            said = said.replace(theirs, ours)
        error.args = (said, *error.args[1:])
