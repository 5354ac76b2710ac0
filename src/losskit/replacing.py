"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty file to write, which becomes `path` when the block ends and vanishes if it
    fails.

    It lies beside the target, and is flushed to the disk before it takes the target's place: at
    every moment `path` is what it was or all that was written. A process that is killed leaves a
    file whose name ends in ".part" and nothing else. Where `path` is a link, what it points to is
    replaced; an existing file keeps its permissions.

    Raises:
        OSError: there is no folder for it, it is no file, or it may not be written.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no folder for it", os.fspath(path))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "it is no file that could be replaced", os.fspath(path))
    beside = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        if target.exists():
            beside.chmod(target.stat().st_mode & 0o777)
        yield beside
        with beside.open("rb+") as written:
            os.fsync(written.fileno())  # else a crash could leave the name to an empty file
        os.replace(beside, target)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    _flush_folder(target.parent)


def _flush_folder(folder: Path) -> None:
    """Let the new name last through a power failure, where the system can say so of a folder."""
    with suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
