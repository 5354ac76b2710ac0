"""What the site calls "proved" is proved by SymPy here, and false claims are not."""

import dataclasses
from pathlib import Path

import pytest

import losskit

EVERYTHING = {"range", "lipschitz", "curvature", "convex", "kinks", "symmetric"}
WHOLLY_PROVED = (
    "squared_error absolute_error huber smooth_l1 pseudo_huber log_cosh fair cauchy barron "
    "quantile expectile epsilon_insensitive squared_epsilon_insensitive asymmetric_absolute "
    "asymmetric_squared linex binary_cross_entropy logistic_margin hinge squared_hinge "
    "smoothed_hinge modified_huber perceptron exponential"
).split()


@pytest.fixture
def proofs(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "docs" / "ext")
    import proofs

    return proofs


@pytest.mark.parametrize("name", WHOLLY_PROVED)
def test_every_number_is_proved(proofs, name):
    assert proofs.proved(losskit.get(name)) == EVERYTHING


@pytest.mark.parametrize("name", ["poisson", "gamma"])
def test_the_shape_of_count_losses_is_proved_for_every_target(proofs, name):
    assert proofs.proved(losskit.get(name)) >= {"lipschitz", "curvature", "convex", "kinks"}


@pytest.mark.parametrize(
    ("name", "number", "wrong"),
    [
        ("huber", "lipschitz", 1.001),
        ("huber", "lipschitz", 0.999),
        ("huber", "lipschitz", float("inf")),
        ("squared_error", "lipschitz", 1e9),
        ("binary_cross_entropy", "curvature", (0.0, 0.2501)),
        ("binary_cross_entropy", "curvature", (0.001, 0.25)),
        ("linex", "range", (0.0, 10.0)),
        ("linex", "range", (-0.1, float("inf"))),
        ("hinge", "kinks", ()),
        ("asymmetric_absolute", "symmetric", True),
        ("log_cosh", "symmetric", False),
    ],
)
def test_a_wrong_number_is_not_proved(proofs, name, number, wrong):
    loss = losskit.get(name)
    claimed = dataclasses.replace(loss.properties, **{number: wrong})
    assert number not in proofs.holding(loss, claimed)


def test_a_loss_with_a_dip_is_not_proved_convex(proofs):
    loss = losskit.cauchy
    claimed = dataclasses.replace(loss.properties, curvature=(0.0, 1.0))
    assert claimed.convex
    assert not proofs.holding(loss, claimed) & {"convex", "curvature"}
