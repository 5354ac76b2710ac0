"""Sharing the processor with a host, whose threads still spin when it asks for derivatives."""

from __future__ import annotations

from contextlib import AbstractContextManager

from losskit.backends.threads import at_most

# So many numbers take about as long as OpenMP's threads spin, waiting for work, before they sleep
# (some milliseconds): ours would wait for those, and two took longer than one.
_PER_THREAD = 1 << 20


def beside_host(size: int) -> AbstractContextManager[None]:
    """Have derivatives of so many scores computed by as many threads as pay beside a host's."""
    return at_most(1 + size // _PER_THREAD)
