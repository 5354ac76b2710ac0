"""The last layer of a language model without its logits: the same numbers in a tenth of memory."""

import tracemalloc

import numpy as np

import losskit

rng = np.random.default_rng(0)
tokens, width, vocabulary = 2048, 64, 8000
hidden = rng.normal(size=(tokens, width)).astype(np.float32)
weight = (rng.normal(size=(vocabulary, width)) / 8).astype(np.float32)
labels = rng.integers(0, vocabulary, size=tokens)
labels[::7] = -100  # padding


def whole():
    """Cross-entropy of logits that are all in memory at once."""
    logits = hidden @ weight.T
    loss = losskit.token_cross_entropy
    value, slope = loss.value_and_gradient(labels, logits, raw=True)
    return value, (slope @ weight, slope.T @ hidden)


def fused():
    """The same in one sweep over blocks of tokens."""
    return losskit.linear_cross_entropy.value_and_gradient(
        labels, hidden, weight, ignore_index=-100, memory=2**22
    )


found = {}
for way in (whole, fused):
    way()  # compiles
    tracemalloc.start()
    found[way] = way()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    print(f"{way.__name__:6} loss {found[way][0]:.6f}, {peak:4.0f} MiB at the peak")

pairs = list(zip(found[whole][1], found[fused][1], strict=True))
print(f"largest difference of a gradient: {max(float(abs(a - b).max()) for a, b in pairs):.1e}")
assert all(np.allclose(a, b, atol=1e-7) for a, b in pairs)
