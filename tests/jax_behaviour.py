"""What losses promise as JAX functions, one function for each promise.

Run as `python jax_behaviour.py fast|slow` it writes what failed, by name, here and in
`jax_arguments`: JAX's settings, threads and devices belong to a whole process.
"""

from __future__ import annotations

import json
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

import jax_arguments
import losskit
from jax_common import (
    CLASSES,
    INPUTS,
    LOGITS,
    MASK,
    SLOPES,
    SLOW,
    TARGETS,
    WEIGHTS,
    close,
    function,
    raises,
    slow,
)  # fmt: skip

# --- derivatives -------------------------------------------------------------------------


def check_slope_at_zero_is_minus_one_half() -> None:
    import jax

    loss = function("binary_cross_entropy")
    slope = jax.grad(lambda f: loss(1.0, f, raw=True))
    assert float(slope(0.0)) == -0.5
    assert float(jax.jit(slope)(0.0)) == -0.5
    assert float(jax.grad(slope)(0.0)) == 0.25
    margin = function("logistic_margin")
    assert float(jax.grad(lambda f: margin(1.0, f))(0.0)) == -0.5


def check_perfect_prediction_has_slope_zero() -> None:
    import jax

    for name in ("absolute_error", "quantile", "huber", "epsilon_insensitive"):
        assert float(jax.grad(function(name), 1)(2.0, 2.0)) == 0


@slow
def check_hessians_of_rows() -> None:
    import jax
    import jax.numpy as jnp

    loss = function("cross_entropy", label_smoothing=0.1)

    def mean(z: Any) -> Any:
        return loss(CLASSES, z, raw=True)

    def plain(z: Any) -> Any:
        target = 0.9 * jax.nn.one_hot(CLASSES, 4) + 0.025
        return -(target * jax.nn.log_softmax(z)).sum(axis=-1).mean()

    z = jnp.asarray(LOGITS)
    forward, backward = jax.hessian(mean)(z), jax.jacrev(jax.jacrev(mean))(z)
    close(forward, jax.hessian(plain)(z))
    close(backward, forward)
    ours = losskit.cross_entropy(label_smoothing=0.1).hessian(CLASSES, LOGITS, raw=True)
    close(np.einsum("ijij->ij", forward), ours)
    close(jax.jacrev(jax.hessian(mean))(z), jax.jacrev(jax.hessian(plain))(z), 1e-11)


@slow
def check_third_derivatives() -> None:
    import jax

    third = jax.grad(jax.grad(jax.grad(lambda f: function("log_cosh")(0.0, f))))
    t = np.tanh(0.7)
    close(third(0.7), -2 * t * (1 - t * t))


@slow
def check_a_hessian_has_what_is_off_the_diagonal() -> None:
    import jax
    import jax.numpy as jnp

    def plain(p: Any) -> Any:
        return ((p[0] - 1.5) ** 2 * jnp.exp(-2 * p[1]) / 2 + p[1]).sum()

    p = jnp.array([0.3, -0.2])
    ours = jax.hessian(lambda p: function("gaussian_nll")(1.5, p, raw=True))(p)
    close(ours, jax.hessian(plain)(p))


def check_derivatives_by_targets_are_true_or_refused() -> None:
    import jax
    import jax.numpy as jnp

    soft = np.random.default_rng(1).dirichlet(np.ones(4), 6)
    made = jax.grad(lambda y: function("cross_entropy")(y, LOGITS, raw=True))(jnp.asarray(soft))
    close(made, -jax.nn.log_softmax(LOGITS) / 6)
    logit = jax.grad(lambda y: function("binary_cross_entropy")(y, 0.7, raw=True))
    close(logit(0.3), -0.7)
    raises(
        losskit.Unsupported, "smape: this derivative by y_true",
        lambda: jax.grad(lambda y: function("smape")(y, 0.7))(0.3),
    )  # fmt: skip
    raises(
        losskit.Unsupported, "no derivative",
        lambda: jax.grad(lambda f: function("zero_one")(1.0, f))(0.3),
    )  # fmt: skip


def check_derivatives_by_weights() -> None:
    import jax
    import jax.numpy as jnp

    weights = WEIGHTS.copy()
    weights[0] = 0  # where the derivative is as true as elsewhere
    for loss, y, f in (
        (function("huber"), TARGETS, INPUTS @ SLOPES),
        (function("crammer_singer"), CLASSES, LOGITS),
    ):
        w = weights[: len(y)]
        values = np.asarray(loss(y, f, reduction="none"))
        mean = (values * w).sum() / w.sum()
        made = jax.grad(lambda w, a=loss, y=y, f=f: a(y, f, sample_weight=w))(jnp.asarray(w))
        close(made, (values - mean) / w.sum())


# --- weights, masks, reductions ----------------------------------------------------------


def check_what_is_masked_may_be_nan() -> None:
    import jax

    f = INPUTS @ SLOPES
    spoiled, y = np.where(MASK, f, np.nan), np.where(MASK, TARGETS, np.nan)
    loss, options = function("huber"), {"mask": MASK, "sample_weight": WEIGHTS}
    assert float(loss(y, spoiled, **options)) == float(loss(TARGETS, f, **options))
    made = jax.grad(lambda f: loss(y, f, **options))(spoiled)
    close(made, losskit.huber.gradient(TARGETS, f, **options))
    assert (np.asarray(made)[~MASK] == 0).all()


@slow
def check_what_is_masked_may_be_nan_in_rows() -> None:
    import jax

    counts = np.array([1, 0, 1, 1, 0, 1], bool)
    spoiled = np.where(counts[:, None], LOGITS, np.nan)
    loss = function("cross_entropy")
    slope = jax.grad(lambda z: loss(CLASSES, z, raw=True, mask=counts))
    close(slope(spoiled), losskit.cross_entropy.gradient(CLASSES, LOGITS, raw=True, mask=counts))
    back = jax.vjp(slope, spoiled)[1](np.ones_like(LOGITS) * LOGITS)[0]
    ours = losskit.cross_entropy.hessian_vector_product
    close(back, ours(CLASSES, LOGITS, LOGITS, raw=True, mask=counts))


def check_reductions_and_sums() -> None:
    loss, f = function("quantile", q=0.9), INPUTS @ SLOPES
    ours = losskit.quantile(q=0.9)
    for reduction in ("mean", "sum", "none"):
        options = {"sample_weight": WEIGHTS, "reduction": reduction}
        close(loss(TARGETS, f, **options), ours(TARGETS, f, **options))
    above, below = loss.sums(TARGETS, f, sample_weight=WEIGHTS)
    close(above / below, ours(TARGETS, f, sample_weight=WEIGHTS))
    assert float(loss.sums(TARGETS[:0], f[:0])[1]) == 0


@slow
def check_class_weights_and_ignored_rows() -> None:
    import jax

    y = CLASSES.copy()
    y[:2] = -100
    params = {"class_weight": (1.0, 2.0, 0.5, 3.0), "ignore_index": -100}
    loss, ours = function("cross_entropy", **params), losskit.cross_entropy(**params)
    close(loss(y, LOGITS, raw=True), ours(y, LOGITS, raw=True))
    made = jax.grad(lambda z: loss(y, z, raw=True))(LOGITS)
    close(made, ours.gradient(y, LOGITS, raw=True))
    excluded = np.where(np.arange(4) == 3, -np.inf, LOGITS)
    some = np.minimum(CLASSES, 2)
    bare = function("cross_entropy")
    made = jax.grad(lambda z: bare(some, z, raw=True))(excluded)
    close(made, losskit.cross_entropy.gradient(some, excluded, raw=True))


@slow
def check_lists() -> None:
    import jax

    rng = np.random.default_rng(2)
    y, f = rng.integers(0, 3, (4, 5)).astype(float), rng.normal(size=(4, 5))
    y[:, 0], mask = 1, rng.random((4, 5)) < 0.7
    mask[:, 0], mask[3] = True, False
    weight, spoiled = np.array([1.0, 2.0, 0.5, 3.0]), np.where(mask, f, np.nan)
    ours, loss = losskit.softmax_ranking, function("softmax_ranking")
    options = {"mask": mask, "sample_weight": weight}
    close(loss(y, spoiled, **options), ours(y, f, **options))
    slope = jax.grad(lambda f: loss(y, f, **options))(spoiled)
    close(slope, ours.gradient(y, f, **options))
    order = rng.permutation(20)
    ids = np.repeat(np.arange(4), 5)[order]
    flat = y.ravel()[order], f.ravel()[order]
    by_name = ours(*flat, query=np.array([f"q{i}" for i in ids]))
    close(jax.jit(lambda f, q: loss(flat[0], f, query=q, num_lists=7))(flat[1], ids), by_name)
    close(loss(*flat, query=[f"q{i}" for i in ids]), by_name)
    raises(TypeError, "num_lists", lambda: jax.jit(lambda q: loss(*flat, query=q))(ids))
    raises(ValueError, r"query\[.*\] = 3", lambda: loss(*flat, query=ids, num_lists=3))
    gone = jax.jit(lambda q: loss(*flat, query=q, num_lists=3))(ids)
    assert np.isnan(float(gone))


# --- transformations ---------------------------------------------------------------------


def check_vmap_is_a_loop() -> None:
    import jax

    f = INPUTS @ SLOPES
    each = jax.vmap(function("huber"))(TARGETS, f)
    close(each, losskit.huber(TARGETS, f, reduction="none"))
    rows = jax.vmap(lambda y, z: function("crammer_singer")(y, z))(CLASSES, LOGITS)
    close(rows, losskit.crammer_singer(CLASSES, LOGITS, reduction="none"))


@slow
def check_scan_adds_up() -> None:
    import jax

    loss = function("huber")

    def body(carry: Any, part: Any) -> Any:
        above, below = loss.sums(*part)
        return (carry[0] + above, carry[1] + below), None

    parts = TARGETS.reshape(5, 2), (INPUTS @ SLOPES).reshape(5, 2)
    (above, below), _ = jax.lax.scan(body, (0.0, 0.0), parts)
    close(above / below, losskit.huber(TARGETS, INPUTS @ SLOPES))


@slow
def check_shards_give_the_mean_of_the_whole() -> None:
    import jax
    from jax.sharding import Mesh, PartitionSpec

    assert len(jax.devices()) == 2
    mesh, by_row = Mesh(np.array(jax.devices()), ("data",)), PartitionSpec("data")
    mask = np.array([1, 1, 0, 1, 1, 0, 0, 1, 0, 0], bool)  # four count here, one there
    for loss, y, columns in (
        (function("huber"), TARGETS, SLOPES),
        (function("cross_entropy"), np.arange(10) % 4, LOGITS[:3]),
    ):
        options = {"raw": True}

        def local(w: Any, x: Any, y: Any, m: Any, loss: Any = loss, options: Any = options) -> Any:
            return loss(y, x @ w, mask=m, axis_name="data", **options)

        def whole(w: Any, loss: Any = loss, y: Any = y, options: Any = options) -> Any:
            return loss(y, INPUTS @ w, mask=mask, **options)

        specs = {"mesh": mesh, "in_specs": (PartitionSpec(), *[by_row] * 3),
                 "out_specs": PartitionSpec()}  # fmt: skip
        sharded = jax.shard_map(local, **specs)
        close(sharded(columns, INPUTS, y, mask), whole(columns), 1e-15)
        slope = jax.grad(whole)(columns)
        close(jax.jit(jax.grad(sharded))(columns, INPUTS, y, mask), slope, 1e-15)
        inside = jax.shard_map(jax.grad(local), **specs)
        close(inside(columns, INPUTS, y, mask), slope, 1e-15)


@slow
def check_gradients_of_untracked_shards_average_to_that_of_the_whole() -> None:
    import jax

    loss = function("huber")

    def local(w: Any, x: Any, y: Any, m: Any) -> Any:
        return loss(y, x @ w, mask=m, axis_name="part")

    parts = INPUTS.reshape(2, 5, 3), TARGETS.reshape(2, 5), MASK.reshape(2, 5)
    each = jax.vmap(jax.grad(local), axis_name="part", in_axes=(None, 0, 0, 0))(SLOPES, *parts)
    whole = jax.grad(lambda w: loss(TARGETS, INPUTS @ w, mask=MASK))(SLOPES)
    close(each.mean(axis=0), whole)


def check_several_values_are_columns() -> None:
    import jax

    band, f = function("quantile", q=(0.1, 0.9)), INPUTS[:, :2]
    assert repr(losskit.quantile(q=(0.1, 0.9)).to("jax")) == repr(band)
    ours = losskit.quantile(q=(0.1, 0.9))
    close(band(TARGETS, f), ours(TARGETS, f))
    close(jax.grad(lambda f: band(TARGETS, f))(f), ours.gradient(TARGETS, f))
    above, below = band.sums(TARGETS, f, sample_weight=WEIGHTS)
    close(above / below, ours(TARGETS, f, sample_weight=WEIGHTS))


def check_a_function_pickles_and_says_its_name() -> None:
    loss = pickle.loads(pickle.dumps(function("huber", delta=2.0)))
    assert repr(loss) == "losskit.jax.function(losskit.huber(delta=2.0))"
    assert float(loss(1.0, 6.0)) == 8.0
    assert "np.abs" in losskit.huber.source("jax")
    assert losskit.huber.to("jax").loss == losskit.huber
    assert (loss.__name__, function("quantile", q=(0.1, 0.9)).__name__) == ("huber", "quantile")


def check_no_other_framework_is_imported() -> None:
    function("huber")
    others = {"catboost", "keras", "lightgbm", "optax", "pandas", "tensorflow", "torch", "xgboost"}
    assert not others & {*sys.modules}


def check_a_loss_of_ones_own() -> None:
    import jax

    from losskit.formula import sum_

    @losskit.loss
    def cubic(y, f, scale: losskit.formula.Positive = 1.0):  # type: ignore[no-untyped-def]
        """Cares little for small errors."""
        r = (f - y) / scale
        return abs(r) * r * r

    @losskit.loss(axis="feature")
    def apart(first: losskit.formula.Vector, second: losskit.formula.Vector):  # type: ignore[no-untyped-def]
        """Squares the distance."""
        r = first - second
        return sum_(r * r)

    close(jax.grad(lambda f: cubic(scale=2.0).to("jax")(1.0, f))(4.0), 27 / 8)
    value, slope = jax.value_and_grad(apart.to("jax"))(LOGITS, LOGITS + 1)
    close(value, 4)
    close(slope, np.full((6, 4), -2 / 6))


# --- the program -------------------------------------------------------------------------


CHECKS: dict[str, Callable[[], None]] = {
    name: check
    for where in (globals(), vars(jax_arguments))
    for name, check in where.items()
    if name.startswith("check_")
}


def main(pace: str) -> dict[str, str]:
    """Return what failed of what is slow, or of what is fast; "" for what did not."""
    import jax

    jax.config.update("jax_enable_x64", True)
    told = {}
    for name, check in CHECKS.items():
        if (name in SLOW) == (pace == "slow"):
            try:
                check()
                told[name] = ""
            except Exception:
                told[name] = traceback.format_exc()
    return told


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout)
