"""Rewrite the golden texts: `make golden`, then review `git diff tests/golden`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import losskit

HERE = Path(__file__).parent


def texts() -> Iterator[tuple[str, str]]:
    """Yield the file name and the text of each loss in each backend that prints it."""
    for name in losskit.names("pointwise"):
        loss = losskit.get(name)
        yield f"{name}.numpy.txt", loss.source("numpy")
        yield f"{name}.numba.txt", _program(loss.source("numba"))
        yield f"{name}.sql.txt", loss.source("sql") + "\n"
        yield f"{name}.latex.txt", "".join(f"{line}\n" for line in _latex(loss))
    for name in losskit.names("rows"):
        yield f"{name}.numpy.txt", losskit.get(name).source("numpy")


def update() -> int:
    """Write all texts, drop those of losses that are gone, and return how many changed."""
    made = dict(texts())
    old = {path.name: path.read_text("utf-8") for path in HERE.glob("*.txt")}
    for name in old.keys() - made.keys():
        (HERE / name).unlink()
    for name, text in made.items():
        if old.get(name) != text:
            (HERE / name).write_text(text, "utf-8")
    return len({name for name, _ in made.items() ^ old.items()})


def _program(kernel: str) -> str:
    """Return the part of a kernel that is the loss's own; the rest names versions and the CPU."""
    start = kernel.index("def _program(")
    end = kernel.find("\n\n\n", start)
    return kernel[start:end] + "\n"


def _latex(loss: losskit.Loss) -> Iterator[str]:
    yield loss.latex()
    try:
        for order in (1, 2):
            yield loss.latex(order=order)
    except losskit.Unsupported as error:
        yield f"% {error}"


if __name__ == "__main__":
    print(f"{update()} golden texts changed; review them with git diff")
