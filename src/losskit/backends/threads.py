"""The thread pool of the compiled kernels: ranges of spans are handed to a few threads of our own.

Not Numba's: its default threading layer kills a forked child, its other one aborts under
concurrent calls.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator

# Not imported where it is used: a fork during an import leaves the child waiting for it for ever.
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise

_RANGES_PER_THREAD = 4  # so that a thread that started late does not hold the others up

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_chosen: int | None = None
_limit: ContextVar[float] = ContextVar("limit", default=math.inf)


def set_num_threads(n: int | None) -> None:
    """Choose how many threads the compiled kernels use; None goes back to the environment's choice.

    Results do not depend on it.

    >>> import losskit
    >>> losskit.set_num_threads(2)
    >>> losskit.set_num_threads(None)
    """
    global _chosen
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
        raise ValueError(
            f"set_num_threads: was given {n!r}; needed: an integer of at least 1, or None"
        )
    _chosen = n


def get_num_threads() -> int:
    """Give the number of threads the compiled kernels use.

    It is what `set_num_threads` chose, else the first whole number among ``LOSSKIT_NUM_THREADS``,
    ``NUMBA_NUM_THREADS`` and ``OMP_NUM_THREADS``, else the number of CPUs this process may run on.
    """
    if _chosen is not None:
        return _chosen
    for name in ("LOSSKIT_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        first = os.environ.get(name, "").split(",")[0].strip()  # OpenMP has one per nesting level
        if first.isdecimal() and int(first) > 0:
            return int(first)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def at_most(n: int) -> Iterator[None]:
    """Have kernels that are called within, by this thread, use no more threads than `n`."""
    before = _limit.set(n)
    try:
        yield
    finally:
        _limit.reset(before)


def over_ranges(work: Callable[[int, int], object], count: int) -> None:
    """Call ``work(first, last)`` over ranges that cover ``range(count)``, on several threads.

    The calling thread takes its share.  The first exception is raised when all have ended.
    """
    threads = int(min(get_num_threads(), _limit.get(), count))
    if threads <= 1:
        work(0, count)
        return
    pieces = min(count, threads * _RANGES_PER_THREAD)
    edges = [count * i // pieces for i in range(pieces + 1)]
    ranges = deque(pairwise(edges))

    def take() -> None:
        while True:
            try:
                first, last = ranges.popleft()
            except IndexError:
                return
            work(first, last)

    futures = []
    try:
        pool = _get_pool(threads - 1)
        futures = [pool.submit(take) for _ in range(threads - 1)]
    except RuntimeError:  # the interpreter or the pool is shutting down: this thread does it all
        pass
    try:
        take()
    finally:
        ranges.clear()
        for future in futures:
            future.exception()  # waits
    for future in futures:
        future.result()


def _get_pool(size: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size < size:
            if _pool is not None:
                _pool.shutdown(wait=False)  # what was submitted still runs
            _pool = ThreadPoolExecutor(size, thread_name_prefix="losskit")
            _pool_size = size
        return _pool


def _forget_pool() -> None:
    """A forked child has the pool's object but none of its threads."""
    global _lock, _pool, _pool_size
    _lock = threading.Lock()
    _pool = None
    _pool_size = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
