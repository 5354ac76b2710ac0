"""What losses as JAX functions take, and what they say of what they do not: see `jax_behaviour`."""

from __future__ import annotations

from typing import Any

import numpy as np

import losskit
from jax_common import CLASSES, INPUTS, LOGITS, SLOPES, TARGETS, close, function, raises, slow

# --- values that are wrong ---------------------------------------------------------------


def check_wrong_values_are_errors_in_numpy_words() -> None:
    import jax

    y, p = np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.9, 0.4])
    loss = function("binary_cross_entropy")
    raises(ValueError, r"y_pred\[1\] = 2.7 .* pass raw=True", lambda: loss(y, 3 * p))
    raises(ValueError, r"y_true\[1\] = 2", lambda: loss(2 * y, p))
    raises(ValueError, "is not a number", lambda: jax.grad(loss, 1)(y, p * np.nan))
    raises(ValueError, "2\\*y - 1", lambda: function("hinge")(y, p))
    raises(ValueError, r"or mask it \(mask= is True", lambda: loss(y, p * np.nan))
    raises(ValueError, r"batch is empty.* use sums\(\)", lambda: loss(y[:0], p[:0]))
    raises(ValueError, "weights sum to zero", lambda: loss(y, p, mask=np.zeros(3, bool)))
    raises(ValueError, r"sample_weight\[1\] = -1", lambda: loss(y, p, sample_weight=[1, -1, 1]))
    rows = function("cross_entropy")
    raises(ValueError, "class index", lambda: rows(CLASSES + 3, LOGITS, raw=True))
    raises(ValueError, r"outside \[0, 1\]", lambda: rows(CLASSES, LOGITS))
    thirds = np.full((6, 4), 0.3)
    raises(ValueError, "sums to 1.2", lambda: rows(CLASSES, thirds))
    assert np.isnan(float(jax.jit(rows)(CLASSES, thirds)))
    assert np.isnan(float(jax.jit(loss)(y, 3 * p)))
    assert float(loss(y[:0], p[:0], empty="zero")) == 0


def check_wrong_shapes_are_errors_while_tracing() -> None:
    import jax

    y, p = np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.9, 0.4])
    loss, rows = function("binary_cross_entropy"), function("cross_entropy")
    raises(ValueError, r"y_pred\[..., 0\]", lambda: jax.jit(loss)(y, p[:, None]))
    raises(ValueError, "same shape", lambda: jax.vmap(loss)(np.ones((2, 3)), np.ones((2, 4))))
    raises(ValueError, "class indexes", lambda: jax.jit(rows)(CLASSES[:2], LOGITS))
    raises(TypeError, "booleans", lambda: loss(y, p, mask=np.ones(3)))
    raises(TypeError, "takes data as", lambda: loss(y))
    raises(TypeError, "real numbers", lambda: loss(y, p + 1j))
    raises(ValueError, "reduction", lambda: loss(y, p, reduction="avg"))
    raises(TypeError, "query=", lambda: loss(y, p, query=[0, 0, 1]))
    raises(losskit.Unsupported, "arrays$", lambda: function("triplet_mined"))
    raises(losskit.Unsupported, "algorithm", lambda: function("list_mle"))
    raises(losskit.Unsupported, "rank", lambda: function("log_loss"))


def check_validate_raises_from_compiled_programs() -> None:
    import jax

    y, p = np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.9, 0.4])
    loss = function("binary_cross_entropy")
    checked = jax.jit(lambda y, p: loss(y, p, validate=True))
    close(checked(y, p), losskit.binary_cross_entropy(y, p))

    def run() -> Any:
        made = checked(y, 3 * p).block_until_ready()
        jax.effects_barrier()
        return made

    raises(jax.errors.JaxRuntimeError, r"y_pred\[1\] = 2.7 lies outside", run)
    assert np.isnan(float(loss(y, 3 * p, validate=False)))


@slow
def check_validate_in_vmap_blames_who_is_wrong() -> None:
    import jax

    y, p = np.array([1.0, -1.0, 1.0]), np.array([0.3, 0.2, 0.4])
    loss = function("hinge")
    each = jax.vmap(lambda y, p: loss(y, p, validate=True))
    for made in (each, jax.jit(each)):
        close(made(y, p), loss(y, p, reduction="none"))
        wrong = lambda made=made: _waited(made(y * [1, 1, 0], p))  # noqa: E731
        raises(jax.errors.JaxRuntimeError, "y_true = 0 lies outside", wrong)


@slow
def check_validate_in_shards_raises_where_the_loss_is_read() -> None:
    import jax
    from jax.sharding import Mesh, PartitionSpec

    loss, by_row = function("hinge"), PartitionSpec("data")
    sharded = jax.shard_map(
        lambda y, p, m: loss(y, p, mask=m, axis_name="data", validate=True),
        mesh=Mesh(np.array(jax.devices()), ("data",)),
        in_specs=(by_row,) * 3,
        out_specs=PartitionSpec(),
    )
    y, p = np.array([1.0, -1, 1, 1]), np.array([0.3, 0.2, 0.1, 0.4])
    second, none = np.array([False, False, True, True]), np.zeros(4, bool)
    for made in (sharded, jax.jit(sharded)):  # of the first shard nothing counts
        close(made(y, p, second), losskit.hinge(y, p, mask=second))
        for data, told in (
            (
                (y * [1, 1, 0, 1], p, second),
                r"y_true\[0\] = 0 lies .*part 1 along axis_name='data'",
            ),
            ((y, p, none), "weights sum to zero"),
        ):
            call = lambda made=made, data=data: _waited(made(*data))  # noqa: E731
            raises(jax.errors.JaxRuntimeError, told, call)
    slope = jax.jit(jax.grad(sharded, 1))
    close(slope(y, p, second), losskit.hinge.gradient(y, p, mask=second))
    raises(
        jax.errors.JaxRuntimeError, "part 1", lambda: _waited(slope(y * [1, 1, 0, 1], p, second))
    )


def _waited(made: Any) -> Any:
    return made.block_until_ready()


def check_probabilities_for_raw_scores_are_told() -> None:
    import warnings

    p = np.random.default_rng(3).dirichlet(np.ones(4), 6)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        function("cross_entropy")(CLASSES, p, raw=True)
        function("cross_entropy")(CLASSES, np.zeros((6, 4)), raw=True)
    assert [str(w.message).partition(":")[0] for w in told] == ["cross_entropy"]
    assert told[0].filename == __file__


def check_infinite_scores_give_limits() -> None:
    import jax

    loss = function("binary_cross_entropy")
    y, f = np.array([1.0, 1.0, 0.0, 0.0]), np.array([np.inf, -np.inf] * 2)
    value = jax.jit(lambda f: loss(y, f, raw=True, reduction="none"))(f)
    assert np.asarray(value).tolist() == [0, np.inf, np.inf, 0]
    slope = jax.grad(lambda f: loss(y, f, raw=True, reduction="sum"))(f)
    assert np.asarray(slope).tolist() == [0, -1, 1, 0]


# --- types -------------------------------------------------------------------------------


def check_results_have_the_predictions_type() -> None:
    import jax
    import jax.numpy as jnp

    loss = function("huber")
    for dtype in (jnp.float16, jnp.bfloat16, jnp.float32, jnp.float64):
        f = jnp.asarray(INPUTS @ SLOPES, dtype)
        value, slope = jax.value_and_grad(lambda f: loss(TARGETS, f))(f)
        assert value.dtype == slope.dtype == dtype
        precision = float(jnp.finfo(dtype).eps)
        close(np.float64(value), losskit.huber(TARGETS, np.asarray(f, float)), 4 * precision)
    assert loss(np.array([1, 2]), np.array([1, 4])).dtype == jnp.float64
    huge = jnp.full(3, 300.0, jnp.float16)
    assert float(function("squared_error")(jnp.zeros(3, jnp.float16), huge)) == np.inf
    assert float(function("absolute_error")(jnp.zeros(3, jnp.float16), huge)) == 300


def check_short_types_of_classes_hold_every_class() -> None:
    import jax.numpy as jnp

    logits = np.random.default_rng(4).normal(size=(2, 3000))
    weights = tuple(np.linspace(1, 2, 3000))
    for dtype, label in ((np.uint8, 156), (np.int8, 100), (np.float16, 2048), (jnp.bfloat16, 256)):
        y = np.array([label, 5]).astype(dtype)
        ours = losskit.cross_entropy(ignore_index=-100, class_weight=weights)
        close(ours.to("jax")(y, logits, raw=True), ours(y.astype(int), logits, raw=True))


def check_weights_are_not_cut_to_the_predictions_type() -> None:
    import jax

    f = (INPUTS @ SLOPES).astype(np.float32)
    for scale in (1e-50, 1e50):
        for loss, y, x in (
            (function("huber"), TARGETS, f),
            (function("crammer_singer"), CLASSES, LOGITS.astype(np.float32)),
        ):
            w = np.arange(1.0, len(y) + 1)
            by = jax.grad(lambda x, w, loss=loss, y=y: loss(y, x, sample_weight=w))
            close(loss(y, x, sample_weight=scale * w), loss(y, x, sample_weight=w), 1e-6)
            made = by(x, scale * w)
            assert made.dtype == np.float32
            close(made, by(x, w), 1e-6)


def check_weights_that_are_no_weights() -> None:
    y, p = np.array([0.0, 1.0]), np.array([0.2, 0.9])
    for reduction in ("mean", "sum", "none"):
        for wrong in (np.inf, np.nan, -1.0):
            options = {"sample_weight": [wrong, 1.0], "reduction": reduction}
            raises(
                ValueError, r"sample_weight\[0\] = .* must be finite and not negative",
                lambda options=options: function("squared_error")(y, p, **options),
            )  # fmt: skip
    spoiled = np.array([[0.1, 0.2, 0.3, 0.4], [np.nan] * 4])
    ours, options = losskit.cross_entropy(class_weight=(1.0, 2, 3, 4)), {"sample_weight": [1.0, 0]}
    made = ours.to("jax")(spoiled, LOGITS[:2], raw=True, **options)
    close(made, ours(spoiled, LOGITS[:2], raw=True, **options))


def check_arrays_are_taken_as_in_numpy() -> None:
    import jax.numpy as jnp
    import pandas as pd

    loss, f = function("huber"), INPUTS @ SLOPES
    wide = np.stack([TARGETS, f])[:, ::-1]
    for y, x in (wide, wide.astype(">f8"), (TARGETS.tolist()[::-1], pd.Series(wide[1]))):
        close(loss(y, x), losskit.huber(*wide))
    for wrong, said in (
        (np.ma.array(f, mask=f > 0), "y_pred is a masked array: pass its data, and mask=~y_pred"),
        (f.astype(object), "holding a float .* convert it"),
        (f.astype(np.longdouble), "float128; needed are real numbers: convert it"),
        (jnp.asarray(f, jnp.float8_e4m3fn), "float8_e4m3fn; needed are real numbers of 8 to 64"),
        (None, "holding a NoneType"),
    ):
        raises(TypeError, said, lambda wrong=wrong: loss(TARGETS, wrong))
    swapped = pd.Series([1.0, 2.0], [0, 1]), pd.Series([1.0, 2.0], [1, 0])
    raises(ValueError, "same labels in another order", lambda: loss(*swapped))


def check_options_that_do_not_exist_are_told() -> None:
    loss, band = function("huber"), function("quantile", q=(0.1, 0.9))
    raises(TypeError, r"takes no nan=.*\(y_true, y_pred\)", lambda: loss(1.0, 2.0, nan="omit"))
    raises(ValueError, "needed is one of 'mean'", lambda: loss(1.0, 2.0, reduction="sums"))
    raises(TypeError, "takes no reduction=", lambda: loss.sums(1.0, 2.0, reduction="sum"))
    raises(TypeError, "takes no reduction=", lambda: band.sums([1.0], [[1, 2]], reduction="sum"))
    lists = function("softmax_ranking")
    data = [1.0, 0.0, 1.0], [1.0, 2.0, 3.0]
    for wrong in (2.0, True, 0):
        raises(
            TypeError, "number of lists", lambda n=wrong: lists(*data, query=[0, 0, 0], num_lists=n)
        )
    raises(TypeError, "dtype <U1", lambda: lists(*data, query=["a", "a", "b"], num_lists=2))


def check_a_slip_of_the_pen_is_told() -> None:
    loss = function("huber")
    raises(TypeError, "did you mean 'reduction'", lambda: loss(1.0, 2.0, reducton="sum"))
    raises(TypeError, "validate has to be True", lambda: loss(1.0, 2.0, validate="yes"))
    raises(TypeError, "takes no delta=.*losskit.huber", lambda: losskit.huber.to("jax", delta=2.0))
    raises(
        NameError, "axis_name='data' is no mapped axis", lambda: loss(1.0, 2.0, axis_name="data")
    )
    raises(TypeError, "num_lists=-2.5", lambda: function("list_net")([1.0], [1.0], query=[0],
           num_lists=-2.5))  # fmt: skip


def check_parameters_are_fixed_numbers() -> None:
    import jax
    import jax.numpy as jnp

    told = "delta is a JAX array; parameters are numbers, fixed"
    raises(TypeError, told, lambda: jax.grad(lambda d: function("huber", delta=d)(1.0, 2.0))(1.0))
    raises(TypeError, told, lambda: function("huber", delta=jnp.array(2.0)))
    weighted = function("cross_entropy", class_weight=jnp.array([1.0, 2.0]))
    assert weighted.loss == losskit.cross_entropy(class_weight=(1.0, 2.0))


def check_an_algorithm_names_the_lists_that_run() -> None:
    import losskit.jax.lists

    y, p = np.array([[2.0, 0, 1]]), np.array([[0.1, 0.2, 0.4]])
    named = losskit.jax.lists.losses_of_lists()
    assert named
    for name in named:
        close(function(name)(y, p), losskit.get(name)(y, p))
        raises(losskit.Unsupported, name, lambda: function("list_mle"))
    spread = losskit.listwise(losskit.cross_entropy, target="softmax")
    close(spread.to("jax")(y, p), spread(y, p))


def check_a_loss_may_bear_any_name() -> None:
    def np(y, f):  # type: ignore[no-untyped-def]
        """Is called as the module that generated text calls."""
        return abs(f - y)

    assert float(losskit.loss(np).to("jax")(1.0, 3.0)) == 2
