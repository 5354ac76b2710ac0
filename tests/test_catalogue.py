"""The catalogue keeps its promises: how many losses, how small each is, what it may contain."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import losskit

SOURCE = Path(losskit.__file__).parent
FILES = sorted(p for p in (SOURCE / "losses").glob("*.py"))
LONGEST = 12

# The catalogue of /shared/catalogue.md: name → aliases, parameter defaults, link.
CATALOGUE = {
    "squared_error": (("mse", "l2"), {}, "identity"),
    "absolute_error": (("mae", "l1"), {}, "identity"),
    "huber": ((), {"delta": 1}, "identity"),
    "smooth_l1": ((), {"beta": 1}, "identity"),
    "pseudo_huber": (("charbonnier",), {"delta": 1}, "identity"),
    "log_cosh": (("logcosh",), {}, "identity"),
    "fair": ((), {"c": 1}, "identity"),
    "cauchy": ((), {"c": 1}, "identity"),
    "barron": ((), {"alpha": 1, "c": 1}, "identity"),
    "lp": ((), {"p": 1.5}, "identity"),
    "quantile": (("pinball",), {"q": 0.5}, "identity"),
    "expectile": ((), {"q": 0.5}, "identity"),
    "epsilon_insensitive": (("svr",), {"epsilon": 0.1}, "identity"),
    "squared_epsilon_insensitive": ((), {"epsilon": 0.1}, "identity"),
    "asymmetric_absolute": ((), {"alpha": 2}, "identity"),
    "asymmetric_squared": ((), {"alpha": 2}, "identity"),
    "linex": ((), {"a": 1}, "identity"),
    "mape": ((), {}, "identity"),
    "smape": ((), {}, "identity"),
    "msle": ((), {}, "identity"),
    "gaussian_nll": ((), {}, ("identity", "log")),
    "poisson": ((), {}, "log"),
    "gamma": ((), {}, "log"),
    "tweedie": ((), {"power": 1.5}, "log"),
    "negative_binomial": (("nb2",), {"dispersion": 1}, "log"),
    "inverse_gaussian": ((), {}, "log"),
    "binary_cross_entropy": (("bce", "logistic"), {"pos_weight": 1}, "logit"),
    "logistic_margin": (("soft_margin",), {}, "identity"),
    "hinge": ((), {}, "identity"),
    "squared_hinge": ((), {}, "identity"),
    "smoothed_hinge": ((), {"gamma": 1}, "identity"),
    "modified_huber": ((), {}, "identity"),
    "perceptron": ((), {}, "identity"),
    "exponential": (("adaboost",), {}, "identity"),
    "zero_one": ((), {}, "identity"),
    "focal": ((), {"gamma": 2, "alpha": None}, "logit"),
    "asymmetric_focal": ((), {"gamma_pos": 0, "gamma_neg": 4, "margin": 0.05}, "logit"),
}
TARGETS = {
    "mape": [(0, False), (-1, True)],
    "msle": [(-1, False), (-0.5, True)],
    "poisson": [(0, True), (-1, False)],
    "gamma": [(0, False)],
    "tweedie": [(0, True), (-1, False)],
    "negative_binomial": [(0, True), (-1, False)],
    "inverse_gaussian": [(0, False)],
    "binary_cross_entropy": [(0, True), (0.5, True), (1, True), (1.1, False)],
    "focal": [(0, True), (0.5, False)],
    "asymmetric_focal": [(1, True), (0.5, False)],
    **{
        name: [(-1, True), (1, True), (0, False), (0.5, False)]
        for name in CATALOGUE
        if "hinge" in name
        or name in ("exponential", "logistic_margin", "modified_huber", "perceptron", "zero_one")
    },
}


def functions() -> list[tuple[Path, ast.FunctionDef]]:
    """Return every function of the catalogue's files."""
    return [
        (path, node)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]


def is_loss(node: ast.FunctionDef) -> bool:
    return any(
        isinstance(d, ast.Call) and ast.unparse(d.func) == "loss" for d in node.decorator_list
    )


def test_there_are_at_least_36_losses() -> None:
    assert len(losskit.names("pointwise")) >= 36
    defined = {f.name for _, f in functions() if is_loss(f)}
    assert defined <= set(losskit.names())
    assert set(losskit.names("pointwise")) <= defined


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_catalogue_is_there(name: str) -> None:
    aliases, defaults, link = CATALOGUE[name]
    loss = losskit.get(name)
    assert loss.name == name
    assert set(aliases) <= set(loss.aliases)
    assert loss.params == defaults
    names = loss.link if isinstance(loss.link, tuple) else (loss.link,)
    assert tuple(str(k) for k in names) == (link if isinstance(link, tuple) else (link,))
    for value, allowed in TARGETS.get(name, [(-1e300, True), (0, True)]):
        assert bool(loss.target_domain.contains(value)) is allowed, value


def test_tweedie_of_high_power_has_positive_targets() -> None:
    assert not losskit.tweedie(power=2).target_domain.contains(0)
    assert losskit.tweedie(power=1.99).target_domain.contains(0)


def others(node: ast.FunctionDef) -> int:
    """Count the lines that name the loss in other libraries, which are many for few losses."""
    keywords = [k for call in node.decorator_list for k in getattr(call, "keywords", ())]
    return sum((k.value.end_lineno or 0) - k.value.lineno for k in keywords if k.arg == "same_as")


def test_each_loss_is_at_most_12_lines() -> None:
    long = {}
    for path, node in functions():
        if is_loss(node):
            lines = (node.end_lineno or 0) - node.decorator_list[0].lineno + 1 - others(node)
            if lines > LONGEST:
                long[f"{path.name}:{node.name}"] = lines
    assert not long


def test_no_derivative_is_written_by_hand() -> None:
    """Derivatives of pointwise losses stand in the table of primitives and nowhere else."""
    words = ("gradient", "hessian", "derivative", "slope", "curvature", "grad", "diff")
    found = [
        f"{path.name}: {node.name}"
        for path, node in functions()
        if any(word in node.name.lower() for word in words)
    ]
    assert not found
    for path in FILES:
        imported = [
            alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        ]
        assert not [n for n in imported if n in words or n in ("diff", "numpy", "np")], path


def test_a_formula_is_nothing_but_a_formula() -> None:
    """A loss's body assigns and returns; it has no loop, no branch and no other function."""
    allowed = (ast.Expr, ast.Assign, ast.Return)
    for path, node in functions():
        if is_loss(node):
            assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"
            assert all(isinstance(s, allowed) for s in node.body), f"{path.name}: {node.name}"
