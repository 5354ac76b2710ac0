"""Rax: ranking losses on JAX."""

from losskit.rosetta.facts import BY_COUNT, Library

RAX = Library(
    "rax",
    "Rax",
    prefixes=("rax",),
    packages=("rax",),
    weighted=BY_COUNT,
    class_axis="items last",
    order="(scores, labels)",
    options=("where", "weights", "segments"),
)
