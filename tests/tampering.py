"""JSON as strangers might change it, and what tests say of errors about it."""

from __future__ import annotations

import builtins
import copy
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

PAYLOAD = "__import__('os').system('touch pwned')"
HOSTILE: tuple[Any, ...] = (
    PAYLOAD, f"x):\n    {PAYLOAD}\ndef f(", f'"""\n{PAYLOAD}\n"""', "y\nimport os", "lambda: 0",
    "class", "np", "_private", "\uff4e\uff50", "exp", "f", "y", "t1", "axis", "", "x" * 101,
    "\x1b[2J", "{a.__class__}", "{0}", None, True, False, 0, -1, 1, 2, 10**30, 1.5, 1e308,
    {"float": "nan"}, {"float": "inf"}, {"float": PAYLOAD}, {}, [], [[]], [0], [10**9],
    ["symbol", "z"], ["constant", "1"], ["exp", [-1]], ["exp", [0, 0]], ["eval", [0]], ["sum", [0]],
    ["__class__", [0]], {"kind": "number"}, [None] * 70,
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a JSON value, as a path."""
    found = [path]
    if isinstance(value, (dict, list)):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(one, (*path, key))
    return found


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    made = copy.deepcopy(value)
    holder = made
    for key in path[:-1]:
        holder = holder[key]
    if new is KeyError:
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return made


def mutants(value: Any, count: int, seed: int) -> list[Any]:
    """Mutated copies of a JSON value: places replaced, removed, added, exchanged."""
    rng = random.Random(seed)
    spots = places(value)
    made = []
    for _ in range(count):
        one = value
        for _ in range(rng.choice((1, 1, 1, 2))):
            path = rng.choice(spots)
            try:
                kind = rng.random()
                if kind < 0.75 or not path:
                    one = changed(one, path, copy.deepcopy(rng.choice(HOSTILE)))
                elif kind < 0.85:
                    one = changed(one, path, KeyError)
                elif kind < 0.95:
                    other = rng.choice(spots)
                    here = one
                    for key in other:
                        here = here[key]
                    one = changed(one, path, copy.deepcopy(here))
                else:
                    one = changed(one, (*path[:-1], PAYLOAD), 1)
            except (KeyError, IndexError, TypeError):
                continue  # an earlier change took the place away
        made.append(one)
    return made


NO_NAMES = (
    PAYLOAD, "a b", "a\n", "a;b", "a#", "a(", '"""', "class", "None", "True", "_a", "__builtins__",
    "np", "axis", "float", "clip_lower", "ﬁ", "ªb", "1a", "", "a" * 101, "a\u202e", "\ud800", "a\0",
)  # fmt: skip


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


def check_one_line(error: ValueError, where: str) -> None:
    text = str(error)
    assert text.startswith(where)
    assert "\n" not in text
    assert len(text) < 500
    assert text.isprintable()


@contextmanager
def watched() -> Iterator[list[str]]:
    """Give the texts that `compile`, `exec` and `eval` are handed while the block runs."""
    seen: list[str] = []

    def spy(real: Any) -> Any:
        def function(source: Any, *more: Any, **options: Any) -> Any:
            if isinstance(source, (str, bytes)):  # an import runs code that was compiled before
                seen.append(str(source))
            return real(source, *more, **options)

        return function

    with (
        patch.object(builtins, "compile", spy(builtins.compile)),
        patch.object(builtins, "exec", spy(builtins.exec)),
        patch.object(builtins, "eval", spy(builtins.eval)),
    ):
        yield seen
