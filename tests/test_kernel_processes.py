"""Compiled kernels between processes: the disk cache, its enemies, forks and spawned pools."""

import os
import re
import shutil
import stat
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("numba")

from losskit.backends import kernel_cache

PROGRAM = """
import sys
import numpy as np
from losskit.backends.numba import Bounds, compile_kernel, run, set_num_threads

def kernel():
    return compile_kernel(
        "squared", (("r", "(f - y)"), ("v", "(r * r)")), ("v", "r"),
        outputs=("value", "gradient"), n_outputs=1, parameters=(), dtype="float64",
    )

def answer(n=100_000):
    set_num_threads(2)
    f = np.arange(n) / n
    return run(kernel(), np.zeros(n), f, bounds=Bounds()).value_high
"""


def python(code, cache, **environment):
    """Run PROGRAM and code in a new process and return what it printed."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    made = subprocess.run(
        [sys.executable, "-c", PROGRAM + textwrap.dedent(code)],
        env={**clean, "LOSSKIT_CACHE_DIR": str(cache), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


COUNT = """
    made = answer()
    stats = kernel().stats
    print(made, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def test_the_second_process_compiles_nothing(tmp_path):
    cache, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    asked = {"NUMBA_CACHE_DIR": str(elsewhere)}  # must not move our files
    first = python(COUNT, cache, **asked).split()
    assert first[1:] == ["0", "1"]
    code = """
        from numba.core import event
        compilations = []
        class Count(event.Listener):
            def on_start(self, event):
                compilations.append(event)
            def on_end(self, event):
                pass
        event.register("numba:run_pass", Count())
    """
    second = python(
        textwrap.dedent(code) + textwrap.dedent(COUNT) + "print(len(compilations))", cache, **asked
    )
    assert second.split() == [first[0], "1", "0", "0"]
    assert not elsewhere.exists()
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    names = sorted(path.name for path in cache.iterdir())
    assert len(names) == 2  # the text and the machine code; no temporary file is left
    assert all(re.fullmatch(r"[0-9a-f]{64}(\.py|-[0-9a-f]{16}\.bin)", name) for name in names)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Give a directory that a first process filled, and what it computed."""
    cache = tmp_path_factory.mktemp("filled") / "cache"
    return cache, python(COUNT, cache).split()[0]


@pytest.fixture
def copy(filled, tmp_path):
    """Give a copy of that directory to spoil, and what was computed."""
    cache = tmp_path / "cache"
    shutil.copytree(filled[0], cache)
    return cache, filled[1]


def test_damaged_files_are_replaced_and_never_run(copy, tmp_path):
    (cache, wanted), trace = copy, tmp_path / "trace"
    for path in cache.iterdir():
        content = path.read_bytes()
        if path.suffix == ".py":
            path.write_text(f"open({str(trace)!r}, 'w')")
        else:
            path.write_bytes(content[:-100])
    assert python(COUNT, cache).split() == [wanted, "0", "1"]
    assert not trace.exists()
    assert python(COUNT, cache).split() == [wanted, "1", "0"]  # good again
    for path in cache.glob("*.bin"):
        path.unlink()
        path.symlink_to("/etc/passwd")
    assert python(COUNT, cache).split() == [wanted, "0", "1"]


def test_a_read_only_directory_can_be_read(copy):
    cache, wanted = copy
    cache.chmod(0o500)
    try:
        assert python(COUNT, cache).split() == [wanted, "1", "0"]
        for path in cache.iterdir():
            path.chmod(0o644)  # a file others can read was not written by us
        assert python(COUNT, cache).split() == [wanted, "0", "1"]
    finally:
        cache.chmod(0o700)


def test_a_hostile_directory_is_neither_read_nor_written(copy):
    real, wanted = copy
    real.chmod(0o777)
    before = sorted((p.name, p.stat().st_mtime_ns) for p in real.iterdir())
    assert python(COUNT, real).split() == [wanted, "0", "1"]
    assert sorted((p.name, p.stat().st_mtime_ns) for p in real.iterdir()) == before


def test_which_directories_are_trusted(tmp_path, monkeypatch):
    def directory(path):
        monkeypatch.setenv("LOSSKIT_CACHE_DIR", str(path))
        return kernel_cache.directory()

    good = tmp_path / "deep" / "er" / "good"
    assert directory(good) == good
    assert stat.S_IMODE(good.stat().st_mode) == 0o700
    for mode in (0o755, 0o770, 0o702, 0o701):
        good.chmod(mode)
        assert directory(good) is None
    good.chmod(0o700)
    link = tmp_path / "link"
    link.symlink_to(good)
    assert directory(link) is None
    file = tmp_path / "file"
    file.touch()
    assert directory(file) is None
    assert directory(file / "below") is None
    assert directory("/proc/nowhere/cache") is None
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.chown(good, 65534, 65534)
        assert directory(good) is None


def test_the_default_directory_is_the_users(monkeypatch, tmp_path):
    monkeypatch.delenv("LOSSKIT_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    made = kernel_cache.directory()
    assert made is not None
    assert made.is_relative_to(tmp_path)
    assert made.name == "losskit"


def test_forked_children_compute(copy):
    code = """
        import os, threading, warnings
        warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads: the test
        wanted = answer()
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                answer()
        beside = threading.Thread(target=busy, daemon=True)
        beside.start()
        children = []
        for i in range(5):
            child = os.fork()
            if child == 0:
                os._exit(0 if answer() == wanted and answer(50_000 + i) > 0 else 3)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        stop.set()
        beside.join()
        print(codes)
    """
    assert python(code, copy[0]) == "[0, 0, 0, 0, 0]"


def test_a_fork_while_compiling_does_not_hang_the_child(tmp_path):
    code = """
        import os, threading, time, warnings
        warnings.simplefilter("ignore")
        first = threading.Thread(target=answer)
        first.start()
        time.sleep(0.4)
        child = os.fork()
        if child == 0:
            os._exit(0 if answer() > 0 else 3)
        first.join()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert python(code, tmp_path / "cache") == "0"


def test_a_spawned_pool_computes(copy, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        PROGRAM
        + textwrap.dedent("""
        if __name__ == "__main__":
            import multiprocessing
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                made = pool.map(answer, [100_000] * 4)
            print(len({*made, answer()}))
        """)
    )
    environment = {**os.environ, "LOSSKIT_CACHE_DIR": str(copy[0])}
    made = subprocess.run(
        [sys.executable, script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert made.stdout.strip() == "1", made.stderr


def test_numba_is_imported_by_the_first_kernel_only():
    code = "import sys, losskit.backends.numba, losskit.backends.threads as t; "
    code += "t.get_num_threads(); print('numba' in sys.modules)"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "False"
