"""A framework that is not installed: what its package says when it is imported."""

import subprocess
import sys

import pytest

from losskit.backends import TO
from losskit.extras import how_to_install

# Its meta path finds nothing of the package, as where it is not installed.
CODE = """
import sys
from importlib import import_module
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, *more):
        return None if name.partition(".")[0] == {0!r} else super().find_spec(name, *more)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
try:
    import_module("losskit.{0}")
except ModuleNotFoundError as missing:
    print(missing)
"""
PACKAGES = sorted({path.split(".")[1] for path in TO.values()} - {"backends", "sklearn"} | {"ibis"})


@pytest.mark.parametrize("package", PACKAGES)
def test_a_missing_framework_is_told_with_what_to_install(package):
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(package)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"losskit.{package} needs {package}: {how_to_install(package)}"
