"""A PostgreSQL server of the tests' own, where the machine has the programs of one."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MISSING = next((p for p in ("initdb", "pg_ctl", "psql") if shutil.which(p) is None), None)


@dataclass(frozen=True)
class Postgres:
    """A running server, asked through psql."""

    folder: str
    user: str

    def ask(self, script: str, stdin: str | None = None) -> list[list[str]]:
        """Run SQL and return the rows of its result as text; raise what the server says."""
        options = ["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", self.folder]
        done = subprocess.run(
            ["psql", *options, "-d", "postgres", "-U", self.user, "-c", script],
            input=stdin, capture_output=True, text=True, timeout=120, user=_owner(), cwd="/",
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr)
        return [line.split("\t") for line in done.stdout.splitlines()]


@contextmanager
def server() -> Iterator[Postgres]:
    """Start a server that listens on a socket in a folder of its own, and stop it afterwards."""
    folder = tempfile.mkdtemp(prefix="losskit-pg-", dir="/tmp")  # a socket's path must be short
    owner = _owner()
    if owner is not None:
        os.chown(folder, owner, -1)
    name = pwd.getpwuid(os.getuid() if owner is None else owner).pw_name
    data = str(Path(folder) / "data")
    run = {"check": True, "capture_output": True, "timeout": 120, "user": owner, "cwd": "/"}
    try:
        subprocess.run(["initdb", "-D", data, "-U", name, "-A", "trust", "-E", "UTF8"], **run)
        how = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        log = str(Path(folder) / "log")
        subprocess.run(
            ["pg_ctl", "-D", data, "-w", "-l", log, "-o", how, "start"],
            check=True, timeout=120, user=owner, cwd="/", stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield Postgres(folder, name)
        finally:
            subprocess.run(["pg_ctl", "-D", data, "-m", "immediate", "stop"], **run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owner() -> int | None:
    """Return as whom to run the server: it refuses to run as root."""
    return pwd.getpwnam("postgres").pw_uid if os.getuid() == 0 else None
