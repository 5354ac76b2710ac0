"""A loss over an axis is a value: it prints, compares, hashes, copies, travels, says what it is."""

from __future__ import annotations

import copy
import math
import pickle
import re

import numpy as np
import pytest

import losskit
from laws import rows_cases
from laws.rows_cases import draw
from laws.rows_derivatives import exists


def law_a_loss_is_a_value(loss: losskit.Loss) -> None:
    """repr, equality, hash, pickle and copies keep what a loss is."""
    data = draw(loss, 6)
    twins = (
        eval(repr(loss), {"losskit": losskit, "inf": math.inf}),
        pickle.loads(pickle.dumps(loss)),
        copy.copy(loss),
        copy.deepcopy(loss),
        losskit.get(loss.name, **loss.params),
    )
    for twin in twins:
        assert twin == loss
        assert hash(twin) == hash(loss)
        assert repr(twin) == repr(loss)
        assert data.of(twin).call() == data.call()
    assert len({loss, *twins}) == 1
    assert loss != loss.name


def law_travels_as_a_graph(loss: losskit.Loss) -> None:
    """A loss that the registry does not know pickles as its graph and computes the same."""
    if loss.kind != "rows":
        return
    from losskit.catalogue import thaw

    data = draw(loss, 8)
    travelled = thaw(loss._frozen(), loss.values)
    again = pickle.loads(pickle.dumps(travelled))
    for other in (travelled, again):
        for method in ("__call__", "gradient", *(["hessian"] if exists(loss, "hessian") else [])):
            a, b = data.of(other).call(method), data.call(method)
            for x, y in zip(_several(a), _several(b), strict=True):
                np.testing.assert_array_equal(x, y, err_msg=repr(loss))
    assert travelled == again


def law_describes_itself(loss: losskit.Loss) -> None:
    """Everything that the catalogue's pages show is there."""
    assert loss.summary
    assert loss.summary[0].isupper()
    assert loss.summary.endswith(".")
    assert any(c.isdigit() for c in loss.cite), f"{loss!r}: no year in its reference {loss.cite!r}"
    assert loss.elicits or loss.definition.axis not in ("class", "label")
    assert loss.task not in ("", "user")
    assert set(loss.outputs) <= set(loss.inputs)
    for alias in loss.aliases:
        assert losskit.get(alias) == losskit.get(loss.name)
        assert getattr(losskit, alias) == losskit.get(loss.name)
    assert getattr(losskit, loss.name) == losskit.get(loss.name)
    for name in loss.params:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)


def law_text_does_not_depend_on_the_past(loss: losskit.Loss) -> None:
    """The generated text is the same whatever was asked before."""
    if loss.kind != "rows":
        return
    from dataclasses import replace

    untouched, used = (
        replace(loss, definition=replace(loss.definition, _graphs={}), _forms={}) for _ in range(2)
    )
    data = draw(used, 4)
    for method in ("hessian", "gradient", "__call__"):
        if method == "__call__" or exists(loss, method):
            data.of(used).call(method)
    assert used.source("numpy") == untouched.source("numpy")


def law_wrong_data_is_refused(loss: losskit.Loss) -> None:
    """NaN, wrong lengths and unknown options raise errors that say where and what."""
    data = draw(loss, 9)
    for i in data.trained:
        bad = data.arrays[i].copy()
        bad[(7, 1) if bad.ndim == 2 else 7] = np.nan
        with pytest.raises(ValueError, match="7") as caught:
            data.with_(i, bad).call()
        assert re.search("nan|not a number", str(caught.value), re.IGNORECASE), caught.value
        assert data.with_(i, bad).call(nan="omit") == pytest.approx(_without(data, 7), rel=1e-12)
        assert math.isnan(data.with_(i, bad).call(nan="propagate"))
        with pytest.raises(ValueError, match=r"shape|rows"):
            data.with_(i, data.arrays[i][:-1]).call()
    with pytest.raises(TypeError, match="takes data as"):
        loss(data.arrays[0])
    with pytest.raises(TypeError, match="unknown option"):
        data.call(sample_weights=[1.0])
    with pytest.raises(TypeError, match="has no parameter"):
        loss(no_such_parameter=1)
    with pytest.raises(ValueError, match=r"not negative|non-negative|weight"):
        data.call(sample_weight=data.weights_of(-np.ones(data.size)))


def _without(data: rows_cases.Data, item: int) -> float:
    """Return the loss without a row; or where items make lists, without the item's list."""
    if data.query is None:
        return data.take(np.delete(np.arange(data.size), item)).call()
    name = data.query.tolist()[item]
    return data.take([i for i, q in enumerate(data.groups) if q != name]).call()


def _several(made: object) -> tuple[object, ...]:
    return made if isinstance(made, tuple) else (made,)
