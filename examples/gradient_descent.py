"""Logistic regression by hand: a loss, its gradient by the raw score, and nothing else."""

import numpy as np

import losskit

rng = np.random.default_rng(0)
x = rng.normal(size=(569, 4))
y = (rng.random(569) < 1 / (1 + np.exp(-(x @ [2.0, -1.0, 0.5, 0.0] + 1.0)))).astype(float)
loss = losskit.binary_cross_entropy

weights, intercept = np.zeros(x.shape[1]), 0.0
for step in range(401):
    score = x @ weights + intercept
    value, gradient = loss.value_and_gradient(y, score, raw=True)
    if step % 100 == 0:
        print(f"step {step:3d}  loss {value:.4f}")
    weights -= 0.5 * (x.T @ gradient)
    intercept -= 0.5 * gradient.sum()

assert np.abs(x.T @ gradient).max() < 1e-3  # nothing left to gain
print("weights", weights.round(2), "intercept", round(intercept, 2))
