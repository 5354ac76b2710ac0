"""Fail the build when a public name has no place in the site, or a public member no docstring.

Named so because `coverage` is another package's name.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

logger = logging.getLogger(__name__)

# The modules whose names are the public interface.
FRAMEWORKS = ("torch", "jax", "keras", "sklearn", "ibis", "xgboost", "lightgbm", "catboost")
MODULES = (
    "losskit", "losskit.formula", "losskit.metrics", "losskit.penalties",
    *(f"losskit.{name}" for name in FRAMEWORKS),
)  # fmt: skip
# Members for losskit's own modules, which users have no use for.
INTERNAL = {"form"}


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the check."""
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn, which `-W` makes an error, once for every public thing that the site leaves out."""
    for message in missing(env.domains.python_domain.objects):
        logger.warning("%s", message)


def missing(described: Container[str]) -> Iterator[str]:
    """Yield what is wrong with a site that describes the names `described`."""
    for module, name in public_names():
        # What `losskit` offers too is described there.
        if f"{module}.{name}" not in described and not (
            name in _names("losskit") and f"losskit.{name}" in described
        ):
            yield f"{module}.{name} is public but has no place in the site"
    for qualified, member in public_members():
        if qualified not in described:
            yield f"{qualified} is public but has no place in the site"
        if not member.__doc__:
            yield f"{qualified} is public but has no docstring"


def public_names() -> Iterator[tuple[str, str]]:
    """Yield every public name with its module, losses included."""
    import losskit
    from losskit.by_rank import BY_RANK
    from losskit.fit.solvers.auto import SOLVERS

    for module in MODULES:
        for name in dict.fromkeys(_names(module)):
            yield module, name
    for name in (*losskit.names(), *BY_RANK):
        yield "losskit", name
    for place in SOLVERS.values():
        module, _, name = place.partition(":")
        yield module, name


def _names(module: str) -> list[str]:
    """What a module offers: `losskit` itself lists its names where it imports them lazily."""
    if module.rpartition(".")[2] in FRAMEWORKS:
        return _written_names(module)
    loaded = importlib.import_module(module)
    return list(loaded.__all__ if hasattr(loaded, "__all__") else loaded._PUBLIC)


def _written_names(module: str) -> list[str]:
    """What a framework's package offers, by its text: importing it would import the framework."""
    file = importlib.util.find_spec("losskit").submodule_search_locations[0]
    tree = ast.parse(Path(file, module.rpartition(".")[2], "__init__.py").read_text())
    said = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    every = said["__all__"]
    return list(ast.literal_eval(every if isinstance(every, ast.List) else said["_PUBLIC"]))


def public_members() -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties of the public classes, also of losskit's bases."""
    for module in ("losskit", "losskit.penalties"):
        for name in _names(module):
            thing: Any = getattr(importlib.import_module(module), name)
            if inspect.isclass(thing):
                for member, value in _members(thing).items():
                    yield f"{module}.{name}.{member}", value


def _members(thing: type) -> dict[str, Any]:
    bases = [base for base in thing.__mro__[::-1] if base.__module__.startswith("losskit.")]
    every = {member: value for base in bases for member, value in vars(base).items()}
    return {
        member: value
        for member, value in every.items()
        if (inspect.isfunction(value) or isinstance(value, property))
        and not member.startswith("_")
        and member not in INTERNAL
    }
