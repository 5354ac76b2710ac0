"""Curvatures that no booster could train by are refused; "auto" never ends in one."""

import numpy as np
import pytest

import losskit
from losskit.boosting import classes, hosts
from losskit.boosting.objective import objective


def _refusal(name, host):
    """Return why a loss is refused, nothing if it is not."""
    try:
        return "" if objective(name, host) else None
    except losskit.Unsupported as said:
        return str(said)


@pytest.mark.parametrize("host", hosts.HOSTS)
def test_what_auto_chooses_is_never_refused(host):
    found = [_refusal(name, host) for name in losskit.names()]
    assert found.count("") > 45
    assert not [said for said in found if said.startswith("curvature=")]


@pytest.mark.parametrize(
    ("loss", "curvature"),
    [
        ("absolute_error", "exact"),
        ("hinge", "exact"),
        ("crammer_singer", "exact"),
        ("multiclass_perceptron", "exact"),
        ("asymmetric_absolute", "majorizer"),
        (losskit.quantile(q=0.9), "majorizer"),
        (losskit.quantile(q=(0.1, 0.9)), "majorizer"),
        ("hinge", "majorizer"),
    ],
)
def test_a_curvature_of_0_is_refused(loss, curvature):
    said = rf"^curvature='{curvature}': .*choose 'auto' or 'constant'$"
    with pytest.raises(losskit.Unsupported, match=said):
        objective(loss, "xgboost", curvature=curvature)
    made = objective(loss, "xgboost", curvature=curvature, floor=1.0)  # which says by what
    assert made.floor == 1.0


def test_slope_over_distance_of_a_symmetric_corner_is_a_curvature():
    made = objective("absolute_error", "xgboost", curvature="majorizer")
    _, hessian = made.gradient_and_hessian(np.array([2.0, -4.0]), np.zeros(2))
    assert hessian.tolist() == [0.5, 0.25]
    objective("generalized_cross_entropy", "xgboost", curvature="exact")


@pytest.mark.parametrize("curvature", ["fisher", "majorizer"])
def test_whole_rows_have_no_parabola(curvature):
    with pytest.raises(losskit.Unsupported, match="cross_entropy sees a whole row"):
        objective("cross_entropy", "lightgbm", curvature=curvature)


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (losskit.cross_entropy, True),
        (losskit.cross_entropy(label_smoothing=0.1), False),  # its slope is p − q
        (losskit.categorical_focal, False),
    ],
)
def test_slopes_tell_the_curvature_of_a_softmax_alone(loss, told):
    """The formula of the curvature takes 20 times as long; nothing else would notice."""
    assert classes._is_softmax(loss) is told
