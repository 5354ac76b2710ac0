"""Penalties: the laws over all of them, what users call, and what they are told."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from laws import penalties as laws
from losskit import penalties
from losskit.formula import FormulaError, Positive, Unsupported, sqrt
from losskit.penalties import L1, L2, MCP, SCAD, Box, ElasticNet, GroupLasso, NonNegative

single = pytest.mark.parametrize("penalty", laws.SEPARABLE, ids=repr)
convex = pytest.mark.parametrize("penalty", laws.CONVEX, ids=repr)
blocks = pytest.mark.parametrize("penalty", laws.BLOCKS, ids=repr)
alphas = pytest.mark.parametrize("alpha", laws.ALPHAS)
EVEN = [p for p in laws.SEPARABLE if p.name in ("L1", "L2", "ElasticNet", "MCP", "SCAD", "capped")]


@single
@alphas
def test_steps(penalty: Any, alpha: float) -> None:
    for step in laws.STEPS:
        laws.law_prox_is_the_least(penalty, alpha, step)
        laws.law_fixed_points(penalty, alpha, step)
    laws.law_steps_per_weight(penalty, alpha)
    laws.law_types(penalty, alpha)


@single
@pytest.mark.parametrize("alpha", [0.5, 3.0])
def test_what_follows(penalty: Any, alpha: float) -> None:
    laws.law_distance(penalty, alpha)
    laws.law_convexity(penalty, alpha)
    laws.law_strengths(penalty, alpha)


@convex
@alphas
def test_conjugates(penalty: Any, alpha: float) -> None:
    laws.law_conjugate_bounds(penalty, alpha)
    for step in laws.STEPS[::2]:
        laws.law_fenchel(penalty, alpha, step)


GRADIENTS = [[0.3, -2.0, 1 / 3], [3.0], [-0.1], [1.0, 2.0], [1e-9, -2e-9, 0.0], [1e7, 0.1, -3.0]]


@pytest.mark.parametrize("penalty", laws.SEPARABLE + laws.BLOCKS, ids=repr)
@pytest.mark.parametrize("g", [[*g, 0.0, 0.0][:3] for g in GRADIENTS], ids=str)
def test_alpha_max(penalty: Any, g: list[float]) -> None:
    laws.law_alpha_max(penalty, np.array(g))


@single
def test_text_for_a_loop(penalty: Any) -> None:
    numba = pytest.importorskip("numba")
    laws.law_forms_agree(penalty, 0.5, numba.njit)


@blocks
def test_blocks(penalty: Any) -> None:
    alpha = 3.0
    for step in (0.25, 1.0, 6.0):
        laws.law_block_prox(penalty, alpha, step)
        if penalty.convex:
            laws.law_block_fenchel(penalty, alpha, step)
    laws.law_block_distance(penalty, alpha)
    laws.law_outputs_join_blocks(penalty, alpha)


@pytest.mark.parametrize("penalty", EVEN, ids=repr)
def test_blocks_of_one(penalty: Any) -> None:
    laws.law_blocks_of_one(penalty, 0.5)


@pytest.mark.parametrize("penalty", laws.SEPARABLE[:13] + laws.BLOCKS, ids=repr)
def test_it_travels(penalty: Any) -> None:
    laws.law_travels(penalty)


# --- known numbers


def test_values_by_hand() -> None:
    w = [0.5, -2.0, 0.0]
    assert L1.value(w, 0.5) == 1.25
    assert L2.value(w, 0.5) == 0.25 * (0.25 + 4)
    assert ElasticNet.value(w, 0.5) == 0.25 * 2.5 + 0.125 * 4.25
    assert GroupLasso([0, 1, 0]).value([3.0, -2.0, 4.0], 0.5) == 3.5
    assert Box.value([1.0, -1.0], 9.0) == 0
    assert Box.value([1.0, -1.1], 9.0) == math.inf
    assert NonNegative.value([-0.0, 1.0], 1.0) == 0


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_values_are_the_integrals_of_published_slopes(alpha: float) -> None:
    """Zhang (2010), eq. 2.1; Fan and Li (2001), eq. 2.7."""
    x = np.linspace(0, 12, 120001)
    mcp = np.maximum(alpha - x / 3.0, 0)
    scad = np.where(x <= alpha, alpha, np.maximum(3.7 * alpha - x, 0) / 2.7)
    for penalty, slope in ((MCP, mcp), (SCAD, scad)):
        area = np.concatenate([[0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(x))])
        for i in range(0, x.size, 4000):
            assert penalty.value([x[i]], alpha) == pytest.approx(area[i], abs=1e-4 * alpha)


def test_conjugate_of_the_elastic_net() -> None:
    """Σ max(|z| − l1, 0)²/(2·l2)."""
    z = np.random.default_rng(0).normal(size=50) * 3
    l1, l2 = ElasticNet(l1_ratio=0.7).elastic(0.9)
    expected = (np.maximum(np.abs(z) - l1, 0) ** 2).sum() / (2 * l2)
    assert ElasticNet(l1_ratio=0.7).conjugate(z, 0.9) == pytest.approx(expected, rel=1e-13)
    assert L2.conjugate(z, 0.9) == pytest.approx((z @ z) / 1.8, rel=1e-13)
    assert L1.conjugate([0.9, -0.9], 0.9) == 0
    assert L1.conjugate([np.nextafter(0.9, 1), 0.0], 0.9) == math.inf
    assert L1.conjugate([0.0], 0.0) == 0
    assert L2.conjugate([1e-3], 1e-60) == pytest.approx(5e53, rel=1e-12)


def test_alpha_max_by_hand() -> None:
    g = np.array([0.3, -0.7, 0.1])
    assert L1.alpha_max(g) == MCP.alpha_max(g) == SCAD.alpha_max(g) == 0.7
    assert ElasticNet(l1_ratio=0.25).alpha_max(g) == pytest.approx(2.8, rel=1e-15)
    assert L2.alpha_max(g) == Box.alpha_max(g) == NonNegative.alpha_max(g) == math.inf
    assert L2.alpha_max(1e-20 * g) == math.inf
    assert NonNegative.alpha_max([0.1, 0.0]) == L2.alpha_max([0.0]) == L1.alpha_max([]) == 0
    assert GroupLasso([0, 0, 1]).alpha_max([3.0, -4.0, 1.0]) == 5
    assert Box(lower=0.5, upper=1.0).alpha_max([0.0]) == math.inf


def test_no_negative_zeros() -> None:
    for penalty in (L1, MCP, SCAD, ElasticNet, GroupLasso([0, 0])):
        made = penalty.prox([-0.1, 0.1], 1.0, 1.0)
        assert not made.any()
        assert not np.signbit(made).any()


def test_lengths_of_blocks_neither_overflow_nor_underflow() -> None:
    penalty = GroupLasso([0, 0, 1, 1])
    w = np.array([3e200, 4e200, 3e-200, 4e-200])
    assert penalty.value(w[2:].tolist() * 2, 1.0) == pytest.approx(1e-199)
    assert penalty.value(w, 1.0) == pytest.approx(5e200)
    np.testing.assert_allclose(penalty.prox(w, 1e-201, 1.0)[2:], w[2:] * 0.98, rtol=1e-12)


def test_weights_are_not_shrunk_beyond_the_reach_of_mcp_and_scad() -> None:
    v = np.array([10.0, -20.0])
    assert np.array_equal(MCP.prox(v, 0.5, 1.0), v)
    assert np.array_equal(SCAD.prox(v, 0.5, 1.0), v)


# --- what users call


def test_parameters() -> None:
    assert L1() == L1
    assert MCP(2.0) == MCP(gamma=2.0) == MCP(gamma=2) != MCP
    assert MCP(gamma=2.0)() == MCP(gamma=2.0)
    assert len({MCP, MCP(gamma=3.0), MCP(gamma=2.0), SCAD}) == 3
    assert repr(Box) == "losskit.penalties.Box(lower=-1.0, upper=1.0)"
    assert repr(GroupLasso(["a", "b"])) == "losskit.penalties.GroupLasso(('a', 'b'))"
    assert "1000 in all" in repr(GroupLasso(range(1000)))
    assert ElasticNet.params == {"l1_ratio": 0.5}
    assert MCP.doc.startswith("Charges small weights")
    assert MCP(gamma=2.0).__doc__.endswith("Parameters: gamma=2.0.")
    assert "Zhang" in MCP.cite


def test_by_name() -> None:
    assert [penalties.get(name) for name in ("l1", "l2", "elasticnet")] == [L1, L2, ElasticNet]
    assert penalties.get("elasticnet", l1_ratio=0.25) == ElasticNet(l1_ratio=0.25)
    assert penalties.get("l1", l1_ratio=0.25) == L1
    assert penalties.get(None) is None
    assert penalties.get(MCP(gamma=2.0)) == MCP(gamma=2.0)
    assert set(penalties.names()) == {
        "l1", "l2", "elasticnet", "mcp", "scad", "box", "nonnegative"
    }  # fmt: skip
    assert all(penalties.get(name).definition.own for name in penalties.names())


def test_blocks_by_label() -> None:
    penalty = GroupLasso(["b", "a", "b"])
    assert penalty.blocks(3).tolist() == [1, 0, 1]
    assert L1.blocks(3).tolist() == [0, 1, 2]
    assert penalty.at([0, 2]) == GroupLasso(["b", "b"])
    assert L1.at([0, 2]) == L1
    assert not penalty.separable
    assert penalty.elastic(1.0) is None
    assert GroupLasso(np.array([1, 0])) == GroupLasso([1, 0])


def test_a_smooth_penalty_that_rounds_is_convex() -> None:
    @penalties.penalty
    def root(w, v, step, alpha):
        return alpha * (w * w) / (1 + sqrt(1 + w * w)), v

    assert root.convex

    @penalties.penalty
    def bowl(w, v, step, alpha):
        return alpha * w * w / (1 + w * w), v

    assert not bowl.convex


def test_a_million_weights_take_milliseconds() -> None:
    v = np.random.default_rng(0).normal(size=10**6)
    for penalty in (L1, L2, ElasticNet, MCP, SCAD, Box, NonNegative, GroupLasso(range(10**6))):
        penalty.prox(v, 0.5, 0.3)
        took = []
        for _ in range(3):
            start = time.perf_counter()
            penalty.prox(v, 0.5, 0.3)
            took.append(time.perf_counter() - start)
        assert min(took) < 0.4, penalty.name  # 5 to 40 ms on an idle core


def test_the_guide_has_them_all() -> None:
    text = (Path(__file__).parents[1] / "docs" / "guide" / "penalties.md").read_text()
    for name in penalties.__all__:
        assert f"`{name}" in text, name


# --- what users are told

BAD = [
    (lambda: MCP(gamma=1.0), ValueError, r"MCP: gamma=1.0; needed is a number in \(1, ∞\)"),
    (lambda: MCP(gamma=math.nan), ValueError, "gamma=nan"),
    (lambda: SCAD(a=2), ValueError, r"SCAD: a=2; needed is a number in \(2, ∞\)"),
    (lambda: ElasticNet(l1_ratio=1.5), ValueError, r"l1_ratio=1.5; needed is a number in \[0, 1\]"),
    (lambda: ElasticNet(l1_ratio="half"), ValueError, "l1_ratio='half'"),
    (lambda: Box(lower=2.0), ValueError, "lower=2, upper=1; needed is lower ≤ upper"),
    (lambda: Box(lower=math.nan), ValueError, "lower=nan"),
    (lambda: Box(upper=-math.inf), ValueError, "upper=-inf"),
    (lambda: MCP(gama=2.0), TypeError, "no parameter 'gama'; did you mean 'gamma'"),
    (lambda: L1(alpha=2.0), TypeError, "no parameter 'alpha'; it has none"),
    (lambda: L1([0.5]), TypeError, r"L1.value\(w, alpha\)"),
    (lambda: MCP(2.0, gamma=2.0), TypeError, "gamma is given twice"),
    (lambda: L1.value([1.0, math.nan], 1.0), ValueError, r"L1: w\[1\] = nan"),
    (lambda: L1.prox([[1.0], [math.inf]], 1.0, 1.0), ValueError, r"v\[1, 0\] = inf"),
    (lambda: L1.value([1.0], -1.0), ValueError, r"alpha=-1.0; needed is a number in \[0, ∞\)"),
    (lambda: L1.value([1.0], math.nan), ValueError, "alpha=nan"),
    (lambda: L1.value(["a"], 1.0), TypeError, "w has dtype"),
    (lambda: L1.value(1.0, 1.0), ValueError, r"w has shape \(\); needed is \(d,\), or \(d, K\)"),
    (lambda: L1.prox([1.0], 0.0, 1.0), ValueError, "step = 0.0; needed is a finite number above 0"),
    (lambda: L1.prox([1.0, 2.0], [1.0, -1.0], 1.0), ValueError, r"step\[1\] = -1.0"),
    (lambda: L1.prox(np.ones((2, 2)), [1.0, 1.0], 1.0), ValueError, r"step has shape \(2,\)"),
    (lambda: L1.prox([1.0, 2.0], [1.0, 1.0, 1.0], 1.0), ValueError, r"step has shape \(3,\)"),
    (lambda: L1.distance([1.0], [1.0, 2.0], 1.0), ValueError, r"w has shape \(1,\) and g \(2,\)"),
    (lambda: GroupLasso([0, 1]).value([1.0], 1.0), ValueError, "2 group labels and there are 1"),
    (lambda: GroupLasso([0, 1]).blocks(3), ValueError, "one label for each weight"),
    (lambda: GroupLasso([0, 0]).prox([1.0, 2.0], [1.0, 2.0], 1.0), ValueError, "block of weight 0"),
    (lambda: GroupLasso([0, 1.5]), TypeError, r"groups\[1\]=1.5; needed are whole numbers"),
    (lambda: GroupLasso([0, "a"]), TypeError, r"groups\[1\]='a'"),
    (lambda: GroupLasso(3), TypeError, "groups=3; needed is one label for each weight"),
    (lambda: penalties.grouped(NonNegative, [0]), ValueError, "does not charge w and -w alike"),
    (lambda: penalties.grouped(GroupLasso([0]), [0]), TypeError, "a penalty of single weights"),
    (lambda: penalties.get("lasso"), ValueError, "there is no penalty called 'lasso'"),
    (lambda: penalties.get("elastic_net"), ValueError, "did you mean 'elasticnet'"),
    (lambda: penalties.get("grouplasso"), ValueError, r"GroupLasso\(groups\)"),
    (lambda: penalties.get(GroupLasso), TypeError, "call it with its arguments"),
    (lambda: penalties.get(1.0), TypeError, "penalty=1.0; needed is a name"),
    (lambda: L1.scalar("cuda"), Unsupported, "'numpy' and 'numba', not 'cuda'"),
    (lambda: L1.scalar("numba", "slope"), ValueError, "needed is one of prox, value"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "said"), BAD, ids=[said for *_, said in BAD])
def test_bad_input_is_one_line(call: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)


def formula_of_loss(y, f):
    """Belongs to a loss."""
    return y, f


def no_prox(w, v, step, alpha):
    """Has one formula."""
    return alpha * w


def entangled(w, v, step, alpha):
    """Has a value that looks at the step."""
    return alpha * abs(w) * step, v


def textual(w, v, step, alpha):
    """Has no prox."""
    return alpha * abs(w), "v"


def optional(w, v, step, alpha, top: Positive | None = None):
    """Has a parameter that is no number."""
    return alpha * abs(w), v


def reserved(w, v, step, alpha, mask: Positive = 1.0):
    """Has a parameter with the name of a call option."""
    return alpha * abs(w), v


def parameter(w, v, step, alpha, top: Positive = -1.0):
    """Has a default outside its domain."""
    return alpha * abs(w), v


WRONG = [
    (formula_of_loss, ValueError, r"a penalty takes \(w, v, step, alpha\)"),
    (no_prox, FormulaError, "returns two formulas, value and prox"),
    (entangled, FormulaError, "the formula of value may not depend on step"),
    (textual, FormulaError, "the formula of prox is 'v', no expression"),
    (optional, ValueError, "top=None"),
    (reserved, ValueError, "reserved"),
    (parameter, ValueError, "top=-1.0; needed is a number in"),
]


@pytest.mark.parametrize(("function", "kind", "said"), WRONG, ids=[f.__name__ for f, *_ in WRONG])
def test_wrong_definitions_are_one_line(function: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        penalties.penalty(function)
    assert "\n" not in str(caught.value)


def test_what_is_no_definition() -> None:
    with pytest.raises(TypeError, match="makes a penalty of a function"):
        penalties.penalty(3)
    with pytest.raises(ValueError, match="a penalty needs a name"):
        penalties.penalty(lambda w, v, step, alpha: (w, v))
