"""Losses as JSON and back: what comes back is the same, to the bit."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import losskit
from laws import cases, rows_cases
from laws.samples import sample
from losskit.definition import REGISTRY, Definition
from losskit.formula import (
    Falling,
    Input,
    Level,
    OptionalProbability,
    Positive,
    position,
    softplus,
    sum_,
    where,
)
from losskit.interface import Loss
from losskit.portable import loss_from_json, loss_to_json
from losskit.portable.tables import MOST_NODES
from losskit.rows.definition import RowDefinition
from portable_losses import OWN, bounded, own_entropy, scaled, two_outputs
from tampering import through_json


def restored(loss: Any) -> Any:
    return loss_from_json(through_json(loss_to_json(loss)))


def of_a_user(loss: Loss) -> Loss:
    """A loss of the catalogue as if a user had written it: it is saved as its graph."""
    own = {"kernel": ""} if loss.kind == "rows" else {}
    return Loss(replace(loss.definition, task="user", _graphs={}, **own), loss.values)


def results(loss: Loss, dtype: Any = np.float64) -> list[Any]:
    """The values and derivatives of a loss on both scales, on data drawn for it."""
    if loss.kind == "pointwise":
        y, f = sample(loss, 40)
        data = [((y, f.astype(dtype)), {"raw": True})]
        if loss.link == two_outputs.link or loss.outputs == ("f",):
            data.append(((y, predictions(loss, f).astype(dtype)), {}))
    else:
        drawn = rows_cases.draw(loss, dtype=dtype)
        options = {} if drawn.query is None else {"query": drawn.query}
        data = [(drawn.arrays, {**options, "raw": True})]
        data.append((rows_cases.probabilities(drawn).arrays, options))
    orders = loss.form(raw=True).graph.orders
    found = []
    for arrays, options in data:
        options = {**options, "reduction": "none", "tier": "numpy"}
        found.append(loss(*arrays, **options))
        for order in orders[1:]:
            made = getattr(loss, order)(*arrays, **options)
            found += made if isinstance(made, tuple) else [made]
    return found


def predictions(loss: Loss, f: Any) -> Any:
    links = loss.link if isinstance(loss.link, tuple) else (loss.link,)
    inverse = {"identity": lambda x: x, "log": np.exp, "logit": lambda x: 1 / (1 + np.exp(-x))}
    columns = [f] if f.ndim == 1 else list(f.T)
    made = [inverse[link.name](x) for link, x in zip(links, columns, strict=True)]
    domains = loss.form(raw=False).predictions
    made = [np.where(d.contains(x), x, 0.5) for d, x in zip(domains, made, strict=True)]
    return made[0] if f.ndim == 1 else np.stack(made, axis=1)


def same_bits(mine: list[Any], theirs: list[Any]) -> bool:
    return len(mine) == len(theirs) and all(
        a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in zip(map(np.asarray, mine), map(np.asarray, theirs), strict=True)
    )


# --- the same comes back


@pytest.mark.parametrize("name", losskit.names())
def test_losses_of_the_catalogue_are_kept_by_name(name):
    known = cases if losskit.get(name).kind == "pointwise" else rows_cases
    for loss in known.settings(name):
        written = through_json(loss_to_json(loss))
        assert written["kind"] == "registered"
        found = loss_from_json(written)
        assert found == loss
        assert repr(found) == repr(loss)
        assert found.definition is loss.definition


@pytest.mark.parametrize("name", losskit.names("pointwise") + losskit.names("rows"))
def test_every_formula_computes_the_same_bits_after_being_kept_as_a_graph(name):
    known = cases if losskit.get(name).kind == "pointwise" else rows_cases
    for loss in known.settings(name):
        own = of_a_user(loss)
        found = restored(own)
        assert found == own
        for dtype in (np.float64, np.float32):
            assert same_bits(results(found, dtype), results(own, dtype))


@pytest.mark.parametrize("loss", OWN, ids=repr)
def test_a_users_loss_comes_back(loss):
    found = restored(loss)
    assert found == loss
    assert hash(found) == hash(loss)
    assert repr(found) == repr(loss)
    for what in ("doc", "summary", "task", "cite", "elicits", "outputs", "inputs", "same_as"):
        assert getattr(found, what) == getattr(loss, what)
    assert same_bits(results(found), results(loss))
    assert through_json(loss_to_json(found)) == through_json(loss_to_json(loss))


def test_a_loaded_loss_is_a_loss_like_any_other():
    found = restored(scaled)
    y, f = sample(scaled, 30)
    changed = found(scale=0.5, floor=0.25)
    assert changed(y, f, raw=True) == scaled(scale=0.5, floor=0.25)(y, f, raw=True)
    assert found.optimal_constant(y) == scaled.optimal_constant(y)
    assert found.latex() == scaled.latex()
    assert found.source("numba") == scaled.source("numba")
    with pytest.raises(ValueError, match="scale=-1"):
        found(scale=-1.0)


def test_what_decides_the_target_domain_is_fixed():
    found = restored(bounded(q=2.0))
    assert found.target_domain == bounded(q=2.0).target_domain
    with pytest.raises(ValueError, match="depends on the parameters"):
        found(q=1.0)


def test_names_of_two_losses_are_kept():
    assert restored(losskit.log_loss) is losskit.log_loss


def test_infinite_and_signed_parameters_are_kept():
    found = restored(of_a_user(losskit.barron(alpha=-np.inf)))
    assert found.params["alpha"] == -np.inf
    assert np.signbit(restored(of_a_user(losskit.linex(a=-0.5))).params["a"])


def test_a_registered_loss_of_a_user_is_kept_as_its_graph(monkeypatch):
    monkeypatch.setattr(REGISTRY, "_losses", dict(REGISTRY._losses))

    @losskit.loss(register=True)
    def mine_alone(y, f):
        return (f - y) * (f - y)

    written = loss_to_json(mine_alone)
    assert written["kind"] == "pointwise"
    assert loss_from_json(written) == mine_alone


def test_every_field_of_a_definition_is_kept_or_derived():
    made_again = {"task", "formula", "parameters", "_graphs"}
    kept = set(loss_to_json(scaled)) - {"kind", "values", "tables"}
    assert {f.name for f in fields(Definition)} - kept - made_again == {"perfect"}
    kept = set(loss_to_json(own_entropy)) - {"kind", "values", "table"}
    assert {f.name for f in fields(RowDefinition)} - kept - made_again == {"kernel"}


# --- what cannot be kept


def test_an_algorithm_cannot_be_saved():
    with pytest.raises(ValueError, match="pairwise_hinge cannot be saved: it is an algorithm"):
        loss_to_json(losskit.pairwise("hinge"))
    with pytest.raises(TypeError, match="is a loss"):
        loss_to_json("huber")


def test_what_could_not_be_read_is_not_written():
    def loss_of(**declared):
        def mine(y, f, a: Positive = 1.0):
            return abs(f - y) * a

        for name, value in declared.pop("of", {}).items():
            setattr(mine, name, value)
        return losskit.loss(mine, **declared)

    with pytest.raises(ValueError, match=r"mine cannot be saved: .*control character U\+001B"):
        loss_to_json(loss_of(of={"__doc__": "Clears \x1b[2J the screen."}))
    with pytest.raises(ValueError, match=r"braces around 'a\.real'"):
        loss_to_json(loss_of(optimum="{a.real}"))
    with pytest.raises(ValueError, match="which is reserved"):
        loss_to_json(loss_of(of={"__name__": "axis"}))


def test_more_than_a_few_optional_parameters_are_refused():
    text = ", ".join(f"{c}: OptionalProbability = None" for c in "abcdeghi")
    space = {"OptionalProbability": OptionalProbability, "Any": Any}
    exec(f"def optional(y, f, {text}): return (f - y) * (f - y)", space)
    with pytest.raises(ValueError, match="8 parameters may be None; 6 can be kept"):
        loss_to_json(losskit.loss(space["optional"]))


def test_inputs_that_fall_are_kept():
    @losskit.loss(axis="class", link="logit")
    def steps(y: Level, f: Falling):
        return sum_(where(position(f) < y, softplus(-f), softplus(f)))

    found = restored(steps)
    assert found == steps
    assert isinstance(dict(found.definition.inputs)["y_pred"], Input)


def test_the_longest_formula_that_is_allowed_can_be_saved():
    @losskit.loss
    def long(y, f):
        total = 0 * f
        for i in range(MOST_NODES // 4 - 2):
            total = softplus(total - (f - y) * (i + 0.5)) if i % 20 == 19 else total + i * f
        return total * total

    found = restored(long)
    y, f = sample(long, 5)
    assert found(y, f) == long(y, f)
