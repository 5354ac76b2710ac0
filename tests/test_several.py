"""One loss at several values of a parameter."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import losskit
from losskit.several import Several

RNG = np.random.default_rng(5)
Y = RNG.normal(size=7)
F = RNG.normal(size=(7, 3))
W = RNG.integers(0, 3, 7) + 0.5
BAND = losskit.quantile(q=(0.1, 0.5, 0.9))


def test_a_tuple_for_a_number_makes_several() -> None:
    assert isinstance(BAND, Several)
    assert repr(BAND) == "losskit.quantile(q=(0.1, 0.5, 0.9))"
    assert losskit.get("quantile", q=[0.1, 0.5, 0.9]) == BAND
    assert losskit.get(BAND) is not None
    assert BAND.params == {"q": (0.1, 0.5, 0.9)}
    assert BAND(q=0.3) == losskit.quantile(q=0.3)
    assert hash(BAND) == hash(losskit.quantile(q=(0.1, 0.5, 0.9)))
    assert pickle.loads(pickle.dumps(BAND)) == BAND
    both = losskit.focal(gamma=(1, 2), alpha=0.25)
    assert repr(both) == "losskit.focal(gamma=(1.0, 2.0), alpha=0.25)"


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_it_is_the_mean_over_members(reduction: str) -> None:
    options = {"sample_weight": W, "reduction": reduction}
    own = [m(Y, F[:, i], **options) for i, m in enumerate(BAND.members)]
    assert BAND(Y, F, **options) == pytest.approx(np.mean(own, axis=0))
    value, slope = BAND.value_and_gradient(Y, F, **options)
    assert value == pytest.approx(BAND(Y, F, **options))
    step = 1e-6
    for k in range(3):
        moved = F.copy()
        moved[:, k] += step
        change = np.sum(BAND(Y, moved, **options) - BAND(Y, F, **options)) / step
        assert slope[:, k].sum() == pytest.approx(change, abs=1e-5)
    assert (BAND.gradient(Y, F, **options) == slope).all()
    curved = losskit.huber(delta=(0.5, 2.0))
    g, h = curved.gradient_and_hessian(Y, F[:, :2], **options)
    assert (g == curved.gradient(Y, F[:, :2], **options)).all()
    assert (h == curved.hessian(Y, F[:, :2], **options)).all()


def test_constants_are_those_of_the_members() -> None:
    found = BAND.optimal_constant(Y)
    assert found == pytest.approx([m.optimal_constant(Y) for m in BAND.members])
    assert (BAND.start_score(Y) == found).all()
    assert BAND.infimum(Y) == pytest.approx(np.zeros(7))


@pytest.mark.parametrize(
    ("several", "order"),
    [
        (BAND, (0, 1, 2)),
        (losskit.quantile(q=(0.9, 0.1, 0.5)), (1, 2, 0)),
        (losskit.expectile(q=(0.8, 0.2)), (1, 0)),
        (losskit.asymmetric_absolute(alpha=(1.0, 3.0)), (0, 1)),
        (losskit.huber(delta=(0.5, 1.0, 2.0)), None),
        (losskit.tweedie(power=(1.2, 1.8)), None),
    ],
    ids=repr,
)
def test_what_rises_with_the_parameter_is_found_from_slopes(
    several: Several, order: tuple[int, ...] | None
) -> None:
    assert several.ordered(np.abs(Y)) == order


def test_predictions_of_quantiles_never_cross() -> None:
    X = RNG.normal(size=(60, 1))
    y = X[:, 0] + (1 + X[:, 0] ** 2) * RNG.normal(size=60)
    for q in ((0.1, 0.5, 0.9), (0.9, 0.1, 0.5)):
        model = losskit.Regressor(losskit.quantile(q=q), penalty=None, tol=1e-6).fit(X, y)
        far = np.linspace(-30, 30, 61)[:, None]
        found = model.predict(far)
        assert found.shape == (61, 3)
        assert (np.diff(found[:, np.argsort(q)], axis=1) >= 0).all()
        assert (np.diff(model._raw(far)[:, np.argsort(q)], axis=1) < 0).any()  # lines do cross
        for k, one in enumerate(q):
            alone = losskit.Regressor(losskit.quantile(q=one), penalty=None, tol=1e-6).fit(X, y)
            assert model.coef_[k] == pytest.approx(alone.coef_, abs=1e-9)
            assert (y <= model.predict(X)[:, k]).mean() == pytest.approx(one, abs=0.06)
        assert 0 < model.score(X, y) < 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: losskit.quantile(q=()), "needed is a number in"),
        (lambda: losskit.quantile(q=(0.1, 2.0)), r"q=2.0; needed is a number in \(0, 1\)"),
        (lambda: losskit.focal(gamma=(1, 2), alpha=(0.2, 0.3)), "to one parameter"),
        (lambda: BAND(Y, F[:, :2]), "a column for each of the 3 values of q"),
        (lambda: BAND(Y, Y), "a column for each of the 3 values of q"),
        (lambda: losskit.cross_entropy(label_smoothing=(0.0, 0.1)), "label_smoothing=.*number in"),
        (lambda: losskit.Regressor(BAND).fit(F, F), "predictions of one target; y has 3"),
    ],
)
def test_what_cannot_be(call, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()
    with pytest.raises(TypeError, match=r"takes data as \(y_true, y_pred\)"):
        BAND(Y)
