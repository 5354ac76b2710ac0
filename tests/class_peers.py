"""Losses over classes and labels by JAX's autodiff of plain formulas, and by other libraries.

`python -m class_peers jax|torch|optax|keras|sklearn` writes what they find for the data here to
standard output as JSON: one process each, as their settings belong to a whole process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

ROWS, CLASSES = 40, 5
CLASS_WEIGHT = [0.5, 1.0, 2.0, 0.25, 3.0]
POS_WEIGHT = [0.5, 1.0, 2.0, 4.0, 3.0]
# The settings that are compared: name of a case → loss, parameters.
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "cross_entropy": ("cross_entropy", {}),
    "smoothed": (
        "cross_entropy", {"label_smoothing": 0.1, "z_loss": 0.01, "temperature": 0.7}
    ),
    "token_cross_entropy": ("token_cross_entropy", {}),
    "categorical_focal": ("categorical_focal", {}),
    "weighted_focal": ("categorical_focal", {"gamma": 0.5, "alpha": CLASS_WEIGHT}),
    "generalized_cross_entropy": ("generalized_cross_entropy", {}),
    "kl_divergence": ("kl_divergence", {}),
    "js_divergence": ("js_divergence", {}),
    "categorical_brier": ("categorical_brier", {}),
    "poly1": ("poly1", {"epsilon": 0.75}),
    "crammer_singer": ("crammer_singer", {"margin": 0.5}),
    "weston_watkins": ("weston_watkins", {"margin": 0.5}),
    "multiclass_perceptron": ("multiclass_perceptron", {}),
    "sparsemax": ("sparsemax", {}),
    "ordinal": ("ordinal", {}),
    "multilabel_cross_entropy": ("multilabel_cross_entropy", {"pos_weight": POS_WEIGHT}),
    "multilabel_asymmetric": (
        "multilabel_asymmetric", {"gamma_pos": 1.0, "gamma_neg": 3.0, "margin": 0.0}
    ),
    "dice": ("dice", {"smooth": 0.5}),
    "tversky": ("tversky", {"alpha": 0.3, "beta": 0.7}),
    "jaccard": ("jaccard", {}),
    "reinforce": ("reinforce", {"baseline": 0.5, "entropy_bonus": 0.1}),
}  # fmt: skip
SOFT = (
    "cross_entropy", "smoothed", "generalized_cross_entropy", "kl_divergence", "js_divergence",
    "categorical_brier", "poly1", "sparsemax",
)  # fmt: skip
OF_LABELS = (
    "multilabel_cross_entropy", "multilabel_asymmetric", "dice", "tversky", "jaccard",
)  # fmt: skip


def scores() -> np.ndarray[Any, Any]:
    """Return raw scores (rows, classes): modest, large, equal."""
    rng = np.random.default_rng(3)
    f = rng.normal(size=(ROWS, CLASSES)) * rng.choice([0.1, 1.0, 4.0], size=(ROWS, 1))
    f[0], f[1], f[2] = 0.0, [40, -40, 0, 1, 2], [-40, 40, 1, 0, 2]
    return f


def data(case: str) -> tuple[np.ndarray[Any, Any], ...]:
    """Return the data of a case: targets, raw scores, and what a loss has besides."""
    rng, f = np.random.default_rng(4), scores()
    index = rng.integers(0, CLASSES, ROWS)
    if case == "ordinal":
        steps = np.cumsum(0.05 + abs(f) / 2, axis=1)
        return rng.integers(0, CLASSES + 1, ROWS), 5 - steps
    if case in OF_LABELS:
        labels = (rng.random((ROWS, CLASSES)) < 0.4).astype(float)
        labels[3:6] = rng.random((3, CLASSES))
        return labels, f
    if case in SOFT:
        soft = rng.dirichlet(np.ones(CLASSES), ROWS)
        soft[::4] = np.eye(CLASSES)[index[::4]]
        return soft, f
    if case == "reinforce":
        return index, f, rng.normal(size=ROWS)
    return index, f


def directions() -> np.ndarray[Any, Any]:
    """Return what Hessians are multiplied by."""
    return np.random.default_rng(5).normal(size=(ROWS, CLASSES))


def by_jax() -> dict[str, Any]:
    """Return value, gradient, diagonal of the Hessian and product of each case, row by row."""
    import jax

    jax.config.update("jax_enable_x64", True)
    found = {}
    for case, formula in _formulas().items():
        y, f, *others = data(case)
        if y.ndim == 1 and case != "ordinal":
            y = np.eye(CLASSES)[y]

        def row(f: Any, *o: Any, formula: Any = formula) -> Any:
            return formula(o[0], f, *o[1:])

        def all_of_it(*x: Any, row: Any = row) -> Any:
            return (*jax.value_and_grad(row)(*x), jax.hessian(row)(*x))

        value, gradient, h = map(np.asarray, jax.jit(jax.vmap(all_of_it))(f, y, *others))
        diagonal, product = np.einsum("rii->ri", h), np.einsum("rij,rj->ri", h, directions())
        found[case] = [one.tolist() for one in (value, gradient, diagonal, product)]
    return found


def _formulas() -> dict[str, Callable[..., Any]]:
    import jax
    import jax.numpy as jnp

    log_p, p = jax.nn.log_softmax, jax.nn.softmax
    sg, ls = jax.nn.sigmoid, jax.nn.log_sigmoid

    def smoothed(y: Any, f: Any) -> Any:
        z, t = f / 0.7, 0.9 * y + 0.1 / CLASSES
        return -(t * log_p(z)).sum() + 0.01 * jax.nn.logsumexp(z) ** 2

    def focal(y: Any, f: Any, gamma: float) -> Any:
        own = (y * log_p(f)).sum()
        return (y @ (1 - p(f))) ** gamma * -own

    def xlogx(x: Any) -> Any:
        return jnp.where(x > 0, x * jnp.log(jnp.where(x > 0, x, 1)), 0)

    def js(y: Any, f: Any) -> Any:
        q = p(f)
        return (xlogx(y) + xlogx(q)).sum() / 2 - xlogx((y + q) / 2).sum()

    def others(y: Any, f: Any) -> Any:
        return jnp.where(y > 0, -jnp.inf, f)

    def sparse(y: Any, f: Any) -> Any:
        z = jnp.sort(f)[::-1]
        k = jnp.arange(1, CLASSES + 1)
        size = (1 + k * z > jnp.cumsum(z)).sum()
        t = (jnp.where(k <= size, z, 0).sum() - 1) / size
        q = jnp.maximum(f - t, 0)
        return (q * f).sum() - (q * q).sum() / 2 + (y * y).sum() / 2 - (y * f).sum()

    def ordinal(y: Any, f: Any) -> Any:
        exceeds = jnp.concatenate([jnp.ones(1), sg(f), jnp.zeros(1)])
        return -jnp.log(exceeds[y] - exceeds[y + 1])

    def multilabel(y: Any, f: Any) -> Any:
        return -(jnp.array(POS_WEIGHT) * y * ls(f) + (1 - y) * ls(-f)).mean()

    def asymmetric(y: Any, f: Any) -> Any:
        return -(y * sg(-f) * ls(f) + (1 - y) * sg(f) ** 3 * ls(-f)).mean()

    def tversky(y: Any, f: Any, a: float, b: float, s: float) -> Any:
        i, fp, fn = (y * sg(f)).sum(), ((1 - y) * sg(f)).sum(), (y * (1 - sg(f))).sum()
        return 1 - (i + s) / (i + a * fp + b * fn + s)

    def dice(y: Any, f: Any) -> Any:
        return 1 - (2 * (y * sg(f)).sum() + 0.5) / (y.sum() + sg(f).sum() + 0.5)

    def reinforce(y: Any, f: Any, reward: Any) -> Any:
        return -(reward - 0.5) * (y * log_p(f)).sum() + 0.1 * (p(f) * log_p(f)).sum()

    return {
        "cross_entropy": lambda y, f: -(y * log_p(f)).sum(),
        "smoothed": smoothed,
        "token_cross_entropy": lambda y, f: -(y * log_p(f)).sum(),
        "categorical_focal": lambda y, f: focal(y, f, 2.0),
        "weighted_focal": lambda y, f: y @ jnp.array(CLASS_WEIGHT) * focal(y, f, 0.5),
        "generalized_cross_entropy": lambda y, f: (y * (1 - p(f) ** 0.5)).sum() / 0.5,
        "kl_divergence": lambda y, f: (xlogx(y) - y * log_p(f)).sum(),
        "js_divergence": js,
        "categorical_brier": lambda y, f: ((p(f) - y) ** 2).sum(),
        "poly1": lambda y, f: (y * (0.75 * (1 - p(f)) - log_p(f))).sum(),
        "crammer_singer": lambda y, f: jax.nn.relu(0.5 + others(y, f).max() - y @ f),
        "weston_watkins": lambda y, f: ((1 - y) * jax.nn.relu(0.5 + f - y @ f)).sum(),
        "multiclass_perceptron": lambda y, f: f.max() - y @ f,
        "sparsemax": sparse,
        "ordinal": ordinal,
        "multilabel_cross_entropy": multilabel,
        "multilabel_asymmetric": asymmetric,
        "dice": dice,
        "tversky": lambda y, f: tversky(y, f, 0.3, 0.7, 1.0),
        "jaccard": lambda y, f: tversky(y, f, 1.0, 1.0, 1.0),
        "reinforce": reinforce,
    }


def by_torch() -> dict[str, Any]:
    """Return torch's losses of the cases' data."""
    import torch
    import torch.nn.functional as F

    def tensors(case: str) -> Any:
        return [torch.tensor(one) for one in data(case)]

    (soft, f), (index, _), (labels, _) = map(
        tensors, ("cross_entropy", "crammer_singer", "multilabel_cross_entropy")
    )
    ignored = index.clone()
    ignored[::3] = -100
    weight = torch.tensor(CLASS_WEIGHT, dtype=f.dtype)
    return {
        name: one.tolist()
        for name, one in {
            "soft": F.cross_entropy(f, soft, reduction="none"),
            "index": F.cross_entropy(f, index, reduction="none"),
            "smoothed": F.cross_entropy(f, index, label_smoothing=0.1, reduction="none"),
            "class_weight": F.cross_entropy(f, index, weight=weight),
            "ignored": F.cross_entropy(f, ignored),
            "weighted, ignored": F.cross_entropy(f, ignored, weight=weight),
            "kl_divergence": F.kl_div(F.log_softmax(f, 1), soft, reduction="none").sum(1),
            "multi_margin": F.multi_margin_loss(f, index, margin=0.5, reduction="none"),
            "multilabel": F.multilabel_soft_margin_loss(f, labels, reduction="none"),
            "pos_weight": F.binary_cross_entropy_with_logits(
                f, labels, pos_weight=torch.tensor(POS_WEIGHT, dtype=f.dtype), reduction="none"
            ).mean(1),
        }.items()
    }


def by_optax() -> dict[str, Any]:
    """Return Optax's losses of the cases' data."""
    import jax
    import optax.losses as theirs

    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    (soft, f), (index, _), (labels, _) = map(
        data, ("cross_entropy", "crammer_singer", "multilabel_cross_entropy")
    )
    soft, f, index, labels = map(jnp.asarray, (soft, f, index, labels))
    logit, of_label = f[..., None], labels[..., None]  # one channel: it takes the sigmoid
    none = {"reduction": "none", "axis": (1,)}
    made = {
        "soft": theirs.softmax_cross_entropy(f, soft),
        "index": theirs.softmax_cross_entropy_with_integer_labels(f, index),
        "kl_divergence": theirs.kl_divergence(jax.nn.log_softmax(f), soft),
        "poly1": theirs.poly_loss_cross_entropy(f, soft, epsilon=0.75),
        "crammer_singer": theirs.multiclass_hinge_loss(f, index),
        "multiclass_perceptron": theirs.multiclass_perceptron_loss(f, index),
        "sparsemax": theirs.multiclass_sparsemax_loss(f, index),
        "dice": theirs.dice_loss(logit, of_label, smooth=0.25, **none)[:, 0],
        "tversky": theirs.dice_loss(logit, of_label, alpha=0.3, beta=0.7, **none)[:, 0],
    }
    return {name: np.asarray(one).tolist() for name, one in made.items()}


def by_keras() -> dict[str, Any]:
    """Return Keras's losses of the modest rows' probabilities; of one row where it has no more."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import keras
    from keras import losses as theirs

    keras.config.set_floatx("float64")
    keras.config.set_epsilon(1e-14)
    (soft, f), (index, _), (labels, _) = map(
        data, ("cross_entropy", "crammer_singer", "multilabel_cross_entropy")
    )
    e = np.exp(f - f.max(1, keepdims=True))
    p, hot, sigmoid = e / e.sum(1, keepdims=True), np.eye(CLASSES)[index], 1 / (1 + np.exp(-f))
    focal = {"alpha": 1.0, "gamma": 2.0}
    made = {
        "categorical_focal": theirs.categorical_focal_crossentropy(hot, p, **focal),
        "generalized_cross_entropy": theirs.CategoricalGeneralizedCrossEntropy(reduction=None)(
            index, p
        ),
        "kl_divergence": theirs.kl_divergence(soft, p),
        "crammer_singer": theirs.categorical_hinge(hot, abs(f)),
        "dice": [
            float(theirs.Dice(reduction="sum")(a, b)) for a, b in zip(labels, sigmoid, strict=True)
        ],
        "tversky": [
            float(theirs.Tversky(alpha=0.3, beta=0.7, reduction="sum")(a, b))
            for a, b in zip(labels, sigmoid, strict=True)
        ],
    }
    return {name: np.asarray(one).tolist() for name, one in made.items()}


def by_sklearn() -> dict[str, Any]:
    """Return scikit-learn's losses of the cases' data."""
    from sklearn._loss import HalfMultinomialLoss
    from sklearn.metrics import brier_score_loss, hinge_loss, log_loss

    index, f = data("crammer_singer")
    e = np.exp(f - f.max(1, keepdims=True))
    p, classes = e / e.sum(1, keepdims=True), np.arange(CLASSES)
    half = HalfMultinomialLoss(n_classes=CLASSES)
    return {
        "index": half.loss(index.astype(float), np.ascontiguousarray(f)).tolist(),
        "log_loss": log_loss(index, p, labels=classes),
        "crammer_singer": hinge_loss(index, f, labels=classes),
        "categorical_brier": brier_score_loss(index, p, labels=classes, scale_by_half=False),
    }


if __name__ == "__main__":
    json.dump(globals()[f"by_{sys.argv[1]}"](), sys.stdout)
