"""From docstrings as they are written, with Markdown's backticks, to what Sphinx reads."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring

ANY_ARRAY = r"(~?numpy\.ndarray)\[~?typing\.Any, ~?numpy\.dtype\[~?typing\.Any\]\]"
SETTINGS = Config(napoleon_use_ivar=True, napoleon_use_rtype=False)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the translations."""
    app.connect("autodoc-process-docstring", translate)
    app.connect("autodoc-process-signature", shorten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def translate(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Rewrite the lines of one docstring in place."""
    text = as_rst(lines)
    if what != "property":  # whose first sentence may hold a colon, which napoleon takes for a type
        text = GoogleDocstring(text, SETTINGS, app, what, name, thing, options).lines()
    lines[:] = text


def shorten(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, taken: str, given: str
) -> tuple[str | None, ...]:
    """Return a signature in which an array of any type and shape is an `ndarray`."""
    return tuple(text and re.sub(ANY_ARRAY, r"\1", text) for text in (taken, given))


def as_rst(lines: list[str]) -> list[str]:
    """Return the lines of a docstring with Markdown's backticks made reStructuredText's."""
    return [line if _is_code(line) else _markup(line) for line in lines]


def _is_code(line: str) -> bool:
    return line.lstrip().startswith((">>>", "..."))


def _markup(line: str) -> str:
    line = re.sub(r"(?<!`)`([^`]+)`(?![`_])", r"``\1``", line)
    # `coef_` is no link, neither in a sentence nor where it heads one of the attributes.
    line = re.sub(r"(?<![\w`])([A-Za-z]\w*_)(?![\w`:])", r"``\1``", line)
    line = re.sub(r"^(\s+\w*)_:", r"\1\\_:", line)
    outside = re.split(r"(``.*?``)", line)
    outside[::2] = [part.replace("|", r"\|") for part in outside[::2]]
    return "".join(outside)
