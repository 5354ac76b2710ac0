"""Embeddings: a linear map is trained until vectors of a kind are neighbours."""

import numpy as np

import losskit

rng = np.random.default_rng(0)
kind = rng.integers(0, 5, size=200)
signal = np.eye(5)[kind] + 0.3 * rng.normal(size=(200, 5))
noise = 3.0 * rng.normal(size=(200, 15))  # louder than what tells the kinds apart
inputs = np.hstack([signal, noise])


def nearest_is_of_a_kind(vectors: np.ndarray) -> float:
    """Return the share of vectors whose nearest neighbour is of their kind."""
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    near = vectors @ vectors.T - 9 * np.eye(len(vectors))
    return float(np.mean(kind[near.argmax(axis=1)] == kind))


print(f"inputs                 {nearest_is_of_a_kind(inputs):.0%} of nearest neighbours agree")
for loss in (
    losskit.supervised_contrastive(temperature=0.2),
    losskit.triplet.mined(margin=0.5, mining="semi_hard"),
):
    weights = 0.1 * rng.normal(size=(20, 5))
    for _ in range(80):
        slope = loss.gradient(inputs @ weights, kind)
        weights -= 0.1 * inputs.T @ slope
    print(f"{loss.name:22} {nearest_is_of_a_kind(inputs @ weights):.0%}")
    assert nearest_is_of_a_kind(inputs @ weights) > 0.8
