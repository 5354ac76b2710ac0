"""Logistic regression by hand: a loss, its gradient by the raw score, and nothing else."""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

import losskit

x, y = load_breast_cancer(return_X_y=True)
x = StandardScaler().fit_transform(x)
loss = losskit.binary_cross_entropy

weights, intercept = np.zeros(x.shape[1]), 0.0
for step in range(201):
    score = x @ weights + intercept
    value, gradient = loss.value_and_gradient(y, score, raw=True)
    if step % 50 == 0:
        print(f"step {step:3d}  loss {value:.4f}")
    weights -= 0.5 * (x.T @ gradient)
    intercept -= 0.5 * gradient.sum()

assert value < 0.07
