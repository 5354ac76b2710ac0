"""The `losskit` command: its sub-commands, and how every failure ends in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from losskit.cli.codes import BAD_INPUT, INTERRUPTED, OUR_FAULT, PIPE_CLOSED
from losskit.cli.evaluate import evaluate
from losskit.cli.fit import fit
from losskit.cli.list import list_losses
from losskit.cli.predict import predict
from losskit.cli.show import show
from losskit.cli.translate import translate


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from losskit import __version__

        click.echo(f"losskit {__version__}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
    help="Show the version and exit.",
)  # fmt: skip
def losskit() -> None:
    """Loss functions, written once as formulas.

    Fit a model to a file with `losskit fit` and apply it with `losskit predict`, score predictions
    with `losskit evaluate`, see the catalogue with `losskit list` and one loss with `losskit show`.
    """


losskit.add_command(fit)
losskit.add_command(predict)
losskit.add_command(evaluate)
losskit.add_command(list_losses)
losskit.add_command(show)
losskit.add_command(translate)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 2 bad input; no failure shows a traceback.

    Set LOSSKIT_DEBUG to see the traceback of an unexpected error.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # names need not fit the terminal's encoding
    code = _run(list(sys.argv[1:] if arguments is None else arguments))
    sys.exit(_flushed(code))


def _run(arguments: list[str]) -> int:
    # Click's own main() answers a closed pipe and Ctrl-C in its way, so it is not used.
    try:
        with losskit.make_context("losskit", arguments) as context:
            losskit.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return BAD_INPUT
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "losskit"
        return _fail(f"{error.format_message()} See '{path} --help'.", BAD_INPUT)
    except click.ClickException as error:
        return _fail(error.format_message(), BAD_INPUT)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        return PIPE_CLOSED
    except OSError as error:
        return _fail(f"{error.filename or 'standard output'}: {error.strerror or error}", OUR_FAULT)
    except Exception as error:  # whatever it is, it ends in one line
        from losskit.tables import TableError

        if os.environ.get("LOSSKIT_DEBUG"):
            raise
        if isinstance(error, (TableError, ValueError)):
            return _fail(str(error), BAD_INPUT)
        text = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
        return _fail(f"{text}; please report it (LOSSKIT_DEBUG=1 shows where)", OUR_FAULT)
    return 0


def _flushed(code: int) -> int:
    """Write out what stdout still holds; a pipe that closed or a full disk is no traceback."""
    if sys.stdout is None:
        return code
    try:
        sys.stdout.flush()
    except OSError as error:
        closed = isinstance(error, BrokenPipeError)
        code = PIPE_CLOSED if closed else _fail(f"cannot write: {error.strerror}", OUR_FAULT)
    if code == PIPE_CLOSED:
        # The interpreter flushes stdout once more on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _fail(message: str, code: int) -> int:
    try:
        click.echo(f"losskit: error: {message}", err=True)
    except BrokenPipeError:
        pass
    return code
