"""Softmax regression by gradient descent: a rare class is missed until class weights count it."""

import numpy as np

import losskit

rng = np.random.default_rng(0)
centres = np.array([[0.0, 2.0], [2.0, 0.0], [1.2, 1.4]])
labels = rng.choice(3, size=3000, p=[0.48, 0.48, 0.04])
points = centres[labels] + 0.8 * rng.normal(size=(3000, 2))
inputs = np.hstack([points, np.ones((3000, 1))])

balance = (1000 / np.bincount(labels)).round(2)
for loss in (losskit.cross_entropy, losskit.cross_entropy(class_weight=balance)):
    weights = np.zeros((3, 3))
    for _ in range(400):
        scores = inputs @ weights
        weights -= 0.5 * inputs.T @ loss.gradient(labels, scores, raw=True)
    found = (inputs @ weights).argmax(axis=1)
    shares = [float(np.mean(found[labels == k] == k)) for k in range(3)]
    print(f"found of each class: {', '.join(f'{s:.0%}' for s in shares)}   with {loss!r}")

assert shares[2] > 0.4  # of the rare class, which without weights is hardly ever found

smooth = losskit.cross_entropy(label_smoothing=0.1)
print(f"the gradient of one row, {smooth!r}:", smooth.gradient([2], [[1.0, 0.0, 2.0]], raw=True))
