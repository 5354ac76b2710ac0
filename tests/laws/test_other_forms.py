"""The other backends give what NumPy gives."""

from __future__ import annotations

import numpy as np
import pytest

import losskit
from laws import cases, sql_form, written
from laws.samples import sample


@pytest.mark.parametrize("loss", cases.every_setting(), ids=repr)
def test_sql(loss: losskit.Loss) -> None:
    sql_form.law_sql(loss)


@pytest.mark.parametrize("name", cases.stratified())
def test_functions_of_a_backend(name: str) -> None:
    loss = losskit.get(name)
    y, f = sample(loss, 20)
    for backend in ("numpy", "numba"):
        function = loss.to(backend)
        np.testing.assert_allclose(function(y, f, raw=True), loss(y, f, raw=True), rtol=1e-14)


@pytest.mark.parametrize("name", cases.names())
def test_text_does_not_depend_on_the_past(name: str) -> None:
    written.law_text_does_not_depend_on_the_past(losskit.get(name))


@pytest.mark.parametrize("backend", ["numpy", "numba", "latex", "sql", "sympy", "mpmath"])
@pytest.mark.parametrize("name", cases.names())
def test_source(name: str, backend: str) -> None:
    text = losskit.get(name).source(backend)
    assert isinstance(text, str)
    assert text
    assert losskit.get(name).source(backend) == text
