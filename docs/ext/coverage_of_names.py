"""Fail the build when a public name has no place in the site, or a public member no docstring.

Named so because `coverage` is another package's name.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

logger = logging.getLogger(__name__)

# Modules whose `__all__` is the public interface.
MODULES = ("losskit", "losskit.formula")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the check."""
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn, which `-W` makes an error, once for every public name that the site leaves out."""
    described = set(env.domains.python_domain.objects)
    for module, name in public_names():
        if f"{module}.{name}" not in described:
            logger.warning("%s.%s is public but has no place in the site", module, name)
    for qualified in undocumented_members():
        logger.warning("%s is public but has no docstring", qualified)


def public_names() -> Iterator[tuple[str, str]]:
    """Yield every public name with its module, losses included."""
    import losskit

    for module in MODULES:
        for name in dict.fromkeys(importlib.import_module(module).__all__):
            yield module, name
    for name in losskit.names():
        yield "losskit", name


def undocumented_members() -> Iterator[str]:
    """Yield the public methods and properties of public classes that have no docstring."""
    for module, name in public_names():
        thing: Any = getattr(importlib.import_module(module), name)
        if inspect.isclass(thing) and thing.__module__.startswith("losskit"):
            for member, value in vars(thing).items():
                callable_or_property = callable(value) or isinstance(value, property)
                if not member.startswith("_") and callable_or_property and not value.__doc__:
                    yield f"{module}.{name}.{member}"
