"""LaTeX of losses over an axis: what is written means what is computed, and reads as one writes it.

The meaning is tested on the terms that the text is made of: they are computed in NumPy at random
points and compared with the loss's own values and derivatives.
"""

from __future__ import annotations

import operator
import re

import numpy as np
import pytest

import losskit
from losskit.backends import latex_axis
from losskit.backends.latex_cases import Choice, Joined, cases
from losskit.backends.latex_expand import expanded, gathered
from losskit.formula.expr import reachable

K = 4
ORDERS = ("value", "gradient", "hessian")
# Parameters at which terms and branches are there that the defaults leave out.
VARIANTS = {
    "cross_entropy": {"label_smoothing": 0.2, "z_loss": 0.1, "temperature": 2.0},
    "categorical_focal": {"alpha": (0.5, 1.0, 2.0, 3.0)},
    "token_cross_entropy": {"label_smoothing": 0.2, "z_loss": 0.1},
    "reinforce": {"baseline": 0.3, "entropy_bonus": 0.2},
    "multilabel_cross_entropy": {"pos_weight": (0.5, 1.0, 2.0, 3.0)},
    "multilabel_asymmetric": {"gamma_pos": 1.5, "margin": 0.0},
    "triplet": {"distance": "cosine", "swap": True, "margin": 0.3},
}
LOSSES = [losskit.get(name) for name in losskit.names("rows")]
LOSSES += [loss(**VARIANTS[loss.name]) for loss in LOSSES if loss.name in VARIANTS]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_terms_that_are_written_are_the_loss(loss, order):
    graph = loss.definition.graph(loss.definition.statics(loss.params), True)
    if ORDERS[order] not in graph.orders:
        pytest.skip("it has no such derivative")
    page = latex_axis._page_of(loss)
    shown = [page.terms.of(node) for node in graph.select((ORDERS[order],))]
    rng = np.random.default_rng(7)
    for _ in range(6):
        data, symbols = _point(loss, rng)
        wanted = _computed(loss, order, data)
        for node, right in zip(shown, wanted, strict=True):
            for form in _forms(page, node):
                given = _Numbers(page.terms, symbols).of(form)
                np.testing.assert_allclose(given, right, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_the_text_is_mathematics(loss):
    for order in range(3):
        try:
            text = loss.latex(order)
        except losskit.Unsupported:
            continue
        assert text.count("{") == text.count("}")
        assert text.count(r"\left") - text.count(r"\leftarrow") == text.count(r"\right")
        commands = set(re.findall(r"\\[A-Za-z]+", text))
        assert commands <= _COMMANDS, commands - _COMMANDS
        assert "@" not in text
        assert "#" not in text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (("cross_entropy", 0), r"-\sum_k y_k \log p_k \quad p = \operatorname{softmax} f"),
        (
            ("cross_entropy", 1),
            r"\frac{\partial \ell}{\partial f_k} = p_k - y_k"
            r" \quad p = \operatorname{softmax} f",
        ),
        (
            ("cross_entropy", 2),
            r"\frac{\partial^2 \ell}{\partial f_k^2} = p_k (1 - p_k)"
            r" \quad p = \operatorname{softmax} f",
        ),
        (("kl_divergence", 0), r"\sum_k y_k (\log y_k - \log p_k) \quad p = "
                               r"\operatorname{softmax} f"),
        (("categorical_brier", 0), r"\sum_k (p_k - y_k)^2 \quad p = \operatorname{softmax} f"),
        (("crammer_singer", 0), r"\max(0, 1 + \max_{k \neq y} f_k - f_y)"),
        (("weston_watkins", 0), r"\sum_{k \neq y} \max(0, 1 + f_k - f_y)"),
        (("token_cross_entropy", 0), r"-\log p_y \quad p = \operatorname{softmax} f"),
        (("multiclass_perceptron", 0), r"\max_k f_k - f_y"),
        (
            ("kl_divergence", 1),
            r"\frac{\partial \ell}{\partial f_k} = p_k - y_k"
            r" \quad p = \operatorname{softmax} f",
        ),
        (
            ("multilabel_cross_entropy", 1),
            r"\frac{\partial \ell}{\partial f_k} = \frac{p_k - y_k}{K} \quad p = \sigma(f)",
        ),
        (
            ("triplet", 0),
            r"\max(0, 1 + \|a - p\| - \|a - n\|) \quad a = \text{anchor} \quad "
            r"p = \text{positive} \quad n = \text{negative}",
        ),
        (
            ("list_net", 0),
            r"-\sum_i p_i \log q_i \quad p = \operatorname{softmax} y \quad "
            r"q = \operatorname{softmax} f",
        ),
    ],
    ids=lambda x: " ".join(map(str, x)) if isinstance(x, tuple) else "",
)  # fmt: skip
def test_familiar_losses_read_as_in_a_book(written, text):
    name, order = written
    assert losskit.get(name).latex(order) == text


def test_a_parameter_stands_by_its_name_unless_it_is_0_or_1():
    assert r"\mathrm{label\_smoothing}" in losskit.cross_entropy(label_smoothing=0.1).latex()
    assert r"\mathrm{margin}" in losskit.crammer_singer(margin=2.0).latex()


def test_an_algorithm_has_no_formula():
    with pytest.raises(losskit.Unsupported, match="list_mle is an algorithm"):
        losskit.list_mle.latex()


# --- points and numbers --------------------------------------------------------------------------


def _point(loss, rng):
    """Return data for a call, a batch of one row, and the numbers of the formula's symbols."""
    definition, data, symbols = loss.definition, [], {}
    for symbol, (_, one) in zip(definition.symbols, definition.inputs, strict=True):
        values = _drawn(one, definition.axis, rng)
        data.append(np.asarray(values)[None])
        symbols[symbol] = values
    symbols |= {name: _number(value) for name, value in loss.params.items() if value is not None}
    return data, symbols


def _drawn(one, axis, rng):
    if one.trained:
        values = rng.normal(size=K if one.rank == 2 else ())
        return -np.sort(-values) if axis == "class" else values  # as cumulative scores decrease
    if one.classes == "soft":
        return rng.dirichlet(np.ones(K))
    if one.classes:
        return rng.integers(0, K + (one.classes == "level"))
    if one.domain.values:
        return float(rng.choice(one.domain.values))
    size = K if one.rank == 2 else ()
    lower, upper = max(one.domain.lower, -2.0), min(one.domain.upper, 2.0)
    return rng.uniform(lower, upper, size=size)


def _number(value):
    return np.array(value) if isinstance(value, tuple) else value


def _computed(loss, order, data):
    raw = {"raw": True, "reduction": "none"}
    if order == 0:
        return [loss(*data, **raw)[0]]
    made = loss.gradient(*data, **raw) if order == 1 else loss.hessian(*data, **raw)
    return [one[0] for one in (made if isinstance(made, tuple) else (made,))]


def _forms(page, node):
    """Yield `node` in the forms that the writer chooses from, choices made anew."""
    yield node
    terms = expanded(node)
    if terms is not None:
        yield gathered(terms, node)
        yield page.terms.joined(terms, node)
    tree = cases(node, page.terms.domains)
    yield tree
    yield page._unlimited(latex_axis._each(tree, page._joined))


class _Numbers:
    """Computes terms: what varies along the axis is an array, at a place one number."""

    def __init__(self, terms, symbols):
        self.terms, self.symbols = terms, symbols

    def of(self, tree):
        if isinstance(tree, Choice):
            holds = np.broadcast_to(self._condition(tree.condition), K)
            made = np.where(holds, self.of(tree.first), self.of(tree.second))
            return made
        known = {}
        with np.errstate(all="ignore"):
            for node in reachable([tree]):
                if node.op == "symbol":
                    known[node.serial] = self._symbol(str(node.value))
                elif node.op == "constant":
                    known[node.serial] = float(node.value)
                else:
                    known[node.serial] = _NUMPY[node.op](*(known[a.serial] for a in node.args))
        return known[tree.serial]

    def _condition(self, condition):
        if isinstance(condition, Joined):
            both = [self._condition(part) for part in (condition.left, condition.right)]
            return (np.logical_and if condition.word == "and" else np.logical_or)(*both)
        left, right = self.of(condition.left), self.of(condition.right)
        found = {"<": left < right, "=": left == right, ">": left > right}
        return np.logical_or.reduce([np.broadcast_to(found[s], K) for s in condition.signs])

    def _symbol(self, name):
        if name == "#":
            return np.arange(K)
        if name not in self.terms.operators:
            return self.symbols[name]
        one = self.terms.operators[name]
        if one.kind == "count":
            return float(K)
        body = self.of(one.body)
        if one.kind.startswith("at "):
            index = int(body)
            return self._symbol(one.kind[3:])[index] if 0 <= index < K else np.nan
        included = self._included(one)
        body = np.broadcast_to(body, K)
        if one.kind == "sum":
            return np.where(included, body, 0).sum()
        if one.kind == "norm":
            return np.linalg.norm(body)
        if one.kind == "max":
            return body[included].max()
        if one.kind == "argmax":
            return (np.where(included, body, -np.inf) == body[included].max()).astype(float)
        if one.kind == "softmax":
            e = np.exp(body)
            return e / e.sum()
        if one.kind == "sigmoid":
            return 1 / (1 + np.exp(-body))
        assert one.kind == "sparsemax"
        return _nearest_of_the_simplex(body)

    def _included(self, one):
        if one.condition is None:
            return np.full(K, True)
        return np.broadcast_to(self.of(one.condition), K)


def _nearest_of_the_simplex(x):
    low, high = x.min() - 1, x.max()
    for _ in range(200):  # of the threshold at which the parts above it add up to one
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(x - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(x - low, 0)


_NUMPY = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": np.divide,
    "neg": operator.neg, "abs": np.abs, "pow": np.power, "sqrt": np.sqrt, "exp": np.exp,
    "log": np.log, "tanh": np.tanh, "lt": operator.lt, "le": operator.le, "gt": operator.gt,
    "ge": operator.ge, "eq": operator.eq, "and": np.logical_and, "or": np.logical_or,
    "not": np.logical_not, "where": np.where, "maximum": np.maximum, "minimum": np.minimum,
    "positive_part": lambda x: np.maximum(x, 0), "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "signed": lambda x, u: x * np.sign(u), "log_cosh": lambda x: np.log(np.cosh(x)),
    "minmod": lambda a, b: np.where(a * b <= 0, 0, np.where(np.abs(a) < np.abs(b), a, b)),
}  # fmt: skip
_COMMANDS = set(
    r"""\sum \max \min \log \frac \tfrac \left \right \partial \ell \quad \text \operatorname \sigma
    \begin \end \mathrm \mathbf \arg \neq \leq \geq \gamma \alpha \beta \epsilon \sqrt \infty \tanh
    \sign \delta \cosh \lambda""".split()
)
