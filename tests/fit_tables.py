"""Tables that the tests of `losskit fit` and `losskit predict` write, and the command itself."""

import sys
from pathlib import Path

import numpy as np
import pytest

from losskit.cli.main import main

COMMAND = [sys.executable, "-m", "losskit"]


def write(path, columns):
    """Write columns as CSV and return the path as text."""
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def columns(n=80, seed=0):
    """Return two columns of numbers, one of text, and a target that they tell in part."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.normal(size=n)
    city = rng.choice(["Bergen", "Oslo", "Moss"], n)
    y = np.where(x + (city == "Oslo") + rng.normal(size=n) > 0, "yes", "no")
    return {"x": x.round(4), "z": z.round(4), "city": city, "y": y}


def command(capsys, *arguments):
    """Run the command in this process; return its exit code and what it printed."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return stopped.value.code, out, err


def fit(run, path, *arguments, alpha="0.01"):
    """Run `losskit fit` on the target `y` without cross-validation."""
    given = [] if alpha is None else ["--alpha", alpha]
    output = Path(str(path)).with_name("m.losskit")
    return run("fit", path, "--target", "y", "-o", output, *given, *arguments)
