"""Compiled kernels on disk, so that a second process compiles nothing, without trusting strangers.

Machine code is loaded only from a directory that is ours, closed to everybody else and no symbolic
link, and there only from plain files that are ours.  If any of that fails, kernels are compiled in
memory and nothing is read or written.  Numba's own file locators are not used: ``NUMBA_CACHE_DIR``
and ``NUMBA_CACHE_LOCATOR_CLASSES`` would move the files to where nobody checked.

A kernel's text is never run from a file.  The file beside the machine code is for tracebacks and
for the reader; its name is the hash of the text, the machine code's name the hash of that and the
types.  The machine code is stored in Numba's own form, a pickle behind its SHA-256, which discards
a truncated file and is no protection from its owner.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging  # noqa: F401 - see COMPILING
import os
import pickle
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

#: Held around every compilation and every fork: no child inherits a half-taken lock of LLVM.
#: A fork takes locks in the reverse order of registration, and compiling takes that of `logging`:
#: `logging` must have registered its own before us, or the two wait for each other.
COMPILING = threading.RLock()

_PATIENCE = 60.0  # seconds; should a later library's lock be in our way, better fork than wait
_held: list[bool] = []

if hasattr(os, "register_at_fork"):

    def _before_fork() -> None:
        _held.append(COMPILING.acquire(timeout=_PATIENCE))

    def _after_fork() -> None:
        if _held.pop():
            COMPILING.release()

    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


def directory() -> Path | None:
    """Give the directory of compiled kernels, made if missing; None if it is not to be trusted.

    It is ``LOSSKIT_CACHE_DIR``, else ``platformdirs.user_cache_dir("losskit")``.  It must belong to
    this user, have mode 0700 (or less) and be no symbolic link.
    """
    chosen = os.environ.get("LOSSKIT_CACHE_DIR")
    if chosen:
        path = Path(chosen)
    else:
        import platformdirs

        path = Path(platformdirs.user_cache_dir("losskit", appauthor=False))
    try:
        path = Path(os.path.abspath(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        state = path.lstat()
    except (OSError, ValueError):
        return None
    return path if stat.S_ISDIR(state.st_mode) and _ours(state) else None


def toolchain() -> tuple[str, ...]:
    """Name all that machine code depends on besides the text: versions, CPU and its features."""
    import llvmlite
    import numba
    import numpy
    from numba.core.registry import cpu_target

    cpu = cpu_target.target_context.codegen().magic_tuple()
    return (
        f"python {sys.implementation.cache_tag} {sys.platform}",
        f"numpy {numpy.__version__}",
        f"numba {numba.__version__}",
        f"llvmlite {llvmlite.__version__}",
        f"cpu {' '.join(map(str, cpu))}",
    )


def load(text: str) -> ModuleType:
    """Run a kernel's text as a module whose function `kernel` keeps its machine code on disk.

    The text decides what runs: a file of the same name that holds anything else is replaced, or
    left alone where it cannot be.
    """
    key = hashlib.sha256(text.encode()).hexdigest()
    folder = directory()
    filename = f"<losskit kernel {key}>"
    if folder is not None:
        path = folder / f"{key}.py"
        if _read(path) == text.encode() or _write(path, text.encode()):
            filename = str(path)
    module = ModuleType(f"losskit_kernel_{key[:16]}")
    # Numba looks a function's module up by name while it compiles and when it loads machine code.
    sys.modules[module.__name__] = module
    exec(compile(text, filename, "exec"), module.__dict__)  # our own text, never the file's
    if folder is not None:
        module.kernel._cache = _cache_class()(folder, key)
    return module


def _cache_class() -> Any:
    from numba.core import compiler
    from numba.core.caching import _Cache
    from numba.core.runtime import rtsys
    from numba.core.serialize import dumps

    class DiskCache(_Cache):
        """What a Numba dispatcher asks for machine code; every failure means: compile."""

        def __init__(self, folder: Path, key: str) -> None:
            self._folder = folder
            self._key = key

        @property
        def cache_path(self) -> str:
            return str(self._folder)

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            # All that loaded code calls is in it but Numba's run-time; `refresh()` would also fill
            # the registries of what can be compiled, which takes a quarter of a second.
            rtsys.initialize(target_context)
            content = _read(self._path(sig))
            if content is None or hashlib.sha256(content[32:]).digest() != content[:32]:
                return None
            try:
                return compiler.CompileResult._rebuild(target_context, *pickle.loads(content[32:]))
            except Exception:  # whatever another version may have written
                return None

        def save_overload(self, sig: Any, data: Any) -> None:
            if data.library.has_dynamic_globals or directory() != self._folder:
                return
            payload = dumps(data._reduce())
            _write(self._path(sig), hashlib.sha256(payload).digest() + payload)

        def enable(self) -> None:
            pass

        def disable(self) -> None:
            pass

        def flush(self) -> None:
            pass

        def _path(self, sig: Any) -> Path:
            types = hashlib.sha256(repr(sig).encode()).hexdigest()[:16]
            return self._folder / f"{self._key}-{types}.bin"

    return DiskCache


def _ours(state: os.stat_result) -> bool:
    if not hasattr(os, "geteuid"):  # Windows: the profile folder's access list does this
        return True
    return state.st_uid == os.geteuid() and not state.st_mode & 0o077


def _read(path: Path) -> bytes | None:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NONBLOCK", 0)  # a planted named pipe must not hang us
    try:
        handle = os.open(path, flags)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode) or not _ours(state):
            return None
        try:
            return file.read()
        except OSError:
            return None


def _write(path: Path, content: bytes) -> bool:
    with contextlib.suppress(OSError), _temporary(path) as name:
        with os.fdopen(os.open(name, _NEW, 0o600), "wb") as file:
            file.write(content)
        os.replace(name, path)
        return True
    return False


_NEW = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[str]:
    name = f"{path}.{os.getpid()}.{threading.get_ident()}.{os.urandom(4).hex()}"
    try:
        yield name
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
