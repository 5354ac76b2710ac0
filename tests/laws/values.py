"""A loss is a value: it prints, compares, hashes, copies and travels."""

from __future__ import annotations

import copy
import math
import pickle

import losskit
from laws import cases
from laws.samples import sample
from losskit.definition import freeze


def law_a_loss_is_a_value(loss: losskit.Loss) -> None:
    """repr, equality, hash, pickle and copies keep what a loss is."""
    defaults = loss(**{p.name: p.default for p in loss.definition.parameters})
    names = {"losskit": losskit, loss.name: defaults, "inf": math.inf}  # as a user's file has it
    twins = (
        eval(repr(loss), names),
        pickle.loads(pickle.dumps(loss)),
        copy.copy(loss),
        copy.deepcopy(loss),
        losskit.get(loss.name, **loss.params),
    )
    y, f = sample(loss, 12)
    for twin in twins:
        assert twin == loss
        assert hash(twin) == hash(loss)
        assert repr(twin).removeprefix("losskit.") == repr(loss).removeprefix("losskit.")
        assert twin(y, f, raw=True) == loss(y, f, raw=True)
    assert len({loss, *twins}) == 1
    assert loss != "huber"


def law_travels_as_a_graph(loss: losskit.Loss) -> None:
    """A loss made from the same formula, but unknown to the registry, pickles as its graph."""
    y, f = sample(loss, 12)
    travelled = losskit.Loss(freeze(loss.definition, loss.params).thaw(), loss.values)
    again = pickle.loads(pickle.dumps(travelled))
    for other in (travelled, again):
        assert other(y, f, raw=True) == loss(y, f, raw=True)
        assert other.latex() == loss.latex()
        if cases.has_gradient(loss):
            assert (other.gradient(y, f, raw=True) == loss.gradient(y, f, raw=True)).all()


def law_describes_itself(loss: losskit.Loss) -> None:
    """Everything that the catalogue's pages show is there."""
    assert loss.summary
    assert loss.summary[0].isupper()
    assert loss.summary.endswith(".")
    assert loss.cite
    assert any(c.isdigit() for c in loss.cite), f"{loss!r}: no year in its reference {loss.cite!r}"
    assert loss.elicits
    assert loss.task in ("regression", "counts", "binary")
    for order in (0, 1, 2):
        if order == 0 or cases.has_gradient(loss):
            text = loss.latex(order=order)
            assert text.count("{") == text.count("}")
            assert text
    for alias in loss.aliases:
        assert losskit.get(alias) == losskit.get(loss.name)
        assert getattr(losskit, alias) == losskit.get(loss.name)
    assert getattr(losskit, loss.name) == losskit.get(loss.name)
