"""The thread pool of the compiled kernels."""

import pytest

from losskit.backends import threads


@pytest.fixture
def restored_threads():
    yield
    threads.set_num_threads(None)


def test_number_of_threads_follows_the_environment(monkeypatch, restored_threads):
    names = ("LOSSKIT_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    assert threads.get_num_threads() >= 1
    for name, value, wanted in zip(reversed(names), ("3,2", "4", "5"), (3, 4, 5), strict=True):
        monkeypatch.setenv(name, value)
        assert threads.get_num_threads() == wanted
    monkeypatch.setenv("LOSSKIT_NUM_THREADS", "many")
    assert threads.get_num_threads() == 4
    threads.set_num_threads(7)
    assert threads.get_num_threads() == 7


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "2"])
def test_number_of_threads_must_be_a_positive_integer(bad):
    with pytest.raises(ValueError, match="at least 1"):
        threads.set_num_threads(bad)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 1000])
def test_ranges_cover_everything_once(count, restored_threads):
    threads.set_num_threads(3)
    seen = []
    threads.over_ranges(lambda first, last: seen.extend(range(first, last)), count)
    assert sorted(seen) == list(range(count))


def test_an_exception_in_a_worker_reaches_the_caller(restored_threads):
    threads.set_num_threads(2)

    def work(first, last):
        raise KeyError(first)

    with pytest.raises(KeyError):
        threads.over_ranges(work, 100)
    seen = []
    threads.over_ranges(lambda first, last: seen.append(last - first), 100)
    assert sum(seen) == 100
