"""The `evaluate` and `fit` directives: a command, run while the site is built, and its output."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
ROOT = Path(__file__).parents[2]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("evaluate", Evaluate)
    app.add_directive("fit", Fit)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Evaluate(Directive):
    """`{evaluate} FILE OPTIONS` shows `losskit evaluate examples/data/FILE OPTIONS`."""

    command = "evaluate"
    required_arguments = 1
    final_argument_whitespace = True
    has_content = False
    option_spec: ClassVar[dict[str, object]] = {}

    def run(self) -> list[nodes.Node]:
        """Return the command and what it printed as one block."""
        file, *options = shlex.split(self.arguments[0])
        words = [self.command, f"examples/data/{file}", *options]
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "examples").symlink_to(ROOT / "examples")  # what it writes goes elsewhere
            done = subprocess.run(
                [sys.executable, "-m", "losskit", *words],
                cwd=folder,
                capture_output=True,
                text=True,
                env=os.environ | {"COLUMNS": "100", "NO_COLOR": "1"},
                check=False,
            )
        if done.returncode != 0:
            logger.warning("losskit %s failed: %s", shlex.join(words), done.stderr)
        command = shlex.join(words).replace(" --", " \\\n    --")
        text = f"$ losskit {command}\n\n{done.stdout.strip()}"
        return [nodes.literal_block(text, text, language="text", classes=["terminal"])]


class Fit(Evaluate):
    """`{fit} FILE OPTIONS` shows `losskit fit examples/data/FILE OPTIONS`."""

    command = "fit"
