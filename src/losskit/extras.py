"""Packages that losskit works with and does not bring itself, but an extra of its own does."""

from __future__ import annotations

from importlib.util import find_spec

_EXTRAS = ("torch", "jax", "keras", "xgboost", "lightgbm", "catboost", "ibis")


def require(package: str) -> None:
    """Raise ModuleNotFoundError that says what to install where `package` is not there."""
    if find_spec(package) is None:
        raise ModuleNotFoundError(
            f"losskit.{package} needs {package}: {how_to_install(package)}", name=package
        )


def how_to_install(package: str) -> str:
    """Return the command that brings a package.

    >>> how_to_install("torch"), how_to_install("sympy")
    ("pip install 'losskit[torch]'", 'pip install sympy')
    """
    return f"pip install 'losskit[{package}]'" if package in _EXTRAS else f"pip install {package}"
