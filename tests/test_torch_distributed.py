"""DDP over unequal, weighted batches has exactly the gradient of the whole batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

import losskit.torch

NAMES = ("binary_cross_entropy", "huber")
PARTS = (slice(7), slice(7, 10))  # of the workers


def batch():
    """Return data whose parts differ in size and in weight."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(10, 3, dtype=torch.float64, generator=generator)
    y = torch.randint(0, 2, (10,), generator=generator).double()
    return x, y, torch.rand(10, dtype=torch.float64, generator=generator) * 5


def model():
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)
    ).double()


def gradients(network) -> list[list[float]]:
    return [p.grad.reshape(-1).tolist() for p in network.parameters()]


def worker(rank: int, folder: str) -> dict[str, list[list[list[float]]]]:
    """Train a step on this worker's part: at once, then in two micro-batches."""
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=len(PARTS)
    )
    x, y, w = (one[PARTS[rank]] for one in batch())
    found = {}
    for name in NAMES:
        one, network = losskit.torch.Loss(name), model()
        parallel = DistributedDataParallel(network)
        numerator, denominator = one.parts(parallel(x)[:, 0], y, sample_weight=w)
        value = losskit.torch.global_mean(numerator, denominator)
        value.backward()
        found[name] = [[[value.item()]], gradients(network)]
        network.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        with parallel.no_sync():
            numerator, denominator = one.parts(parallel(x[:2])[:, 0], y[:2], sample_weight=w[:2])
            numerator.backward()
            total += denominator
        numerator, denominator = one.parts(parallel(x[2:])[:, 0], y[2:], sample_weight=w[2:])
        numerator.backward()
        losskit.torch.divide_gradients(network.parameters(), total + denominator)
        found[name].append(gradients(network))
    distributed.destroy_process_group()
    return found


@pytest.mark.slow
def test_two_workers_have_the_gradient_of_the_whole():
    x, y, w = batch()
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            subprocess.Popen(
                [sys.executable, __file__, str(rank), folder], stdout=subprocess.PIPE, text=True,
                env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
                cwd=Path(__file__).parent,
            )
            for rank in range(len(PARTS))
        ]  # fmt: skip
        answers = [json.loads(one.communicate(timeout=300)[0].splitlines()[-1]) for one in workers]
    for name in NAMES:
        network = model()
        value = losskit.torch.Loss(name)(network(x)[:, 0], y, sample_weight=w)
        value.backward()
        for answer in answers:
            [[mean]], at_once, in_parts = answer[name]
            assert mean == pytest.approx(value.item(), rel=1e-14)
            for made in (at_once, in_parts):
                for got, want in zip(made, gradients(network), strict=True):
                    assert got == pytest.approx(want, rel=1e-12, abs=1e-15)


if __name__ == "__main__":
    print(json.dumps(worker(int(sys.argv[1]), sys.argv[2])))
