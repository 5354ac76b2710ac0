"""A metric is a value: its name, parameters, pickle, misuse, and what it loads."""

from __future__ import annotations

import doctest
import pickle
import subprocess
import sys

import pytest

import losskit
from losskit import metrics


@pytest.mark.parametrize("name", metrics.names())
def test_a_metric_is_a_value_without_gradient(name):
    metric = metrics.get(name)
    assert getattr(metrics, name) is metric
    assert repr(metric) == f"losskit.metrics.{name}"
    assert pickle.loads(pickle.dumps(metric)) == metric
    assert metric() == metric
    assert hash(metric()) == hash(metric)
    assert metric.better in ("higher", "lower")
    assert metric.takes in ("labels", "probabilities", "scores", "numbers", "text")
    assert metric.summary.endswith(".")
    assert metric.surrogate in losskit.names()
    for way in ("gradient", "value_and_gradient", "hessian", "gradient_and_hessian"):
        with pytest.raises(losskit.Unsupported, match=f"train with {metric.surrogate}$"):
            getattr(metric, way)([0, 1], [0, 1])


def test_parameters_make_another_metric():
    cut = metrics.ndcg(k=10)
    assert repr(cut) == "losskit.metrics.ndcg(k=10)"
    assert cut == metrics.get("ndcg", k=10) != metrics.ndcg
    assert pickle.loads(pickle.dumps(cut)) == cut
    assert len({cut, metrics.ndcg(k=10), metrics.ndcg}) == 2
    assert cut(k=None) == metrics.ndcg
    assert metrics.d2(loss="huber").surrogate == "huber"
    assert metrics.mrr is metrics.get("mrr") is metrics.mean_reciprocal_rank
    assert metrics.get(cut, gain="linear") == metrics.ndcg(k=10, gain="linear")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: metrics.ndcg(k=0), ValueError, "k=0; needed is a whole number, 1 or more, or No"),
        (lambda: metrics.ndcg(gain="log"), ValueError, "needed is one of 'exponential', 'linear'"),
        (lambda: metrics.ndcg(kk=1), TypeError, "no parameter 'kk'; did you mean 'k'"),
        (lambda: metrics.ndcg(query=[1]), TypeError, "query= goes with data"),
        (lambda: metrics.ndcg([1], [1], k=1), TypeError, r"set first: ndcg\(k=…\)"),
        (lambda: metrics.ndcg([1]), TypeError, r"takes data as \(y_true, y_pred\), not 1"),
        (lambda: metrics.r2([1], [1], raw=True), TypeError, "takes no raw="),
        (lambda: metrics.accuracy([1], [1], raw=1), TypeError, "raw has to be True or False"),
        (lambda: metrics.accuracy(threshold=1), ValueError, r"a number in \[0, 1\)"),
        (lambda: metrics.bleu(lowercase=1), ValueError, "needed is True or False"),
        (lambda: metrics.d2(loss=3), ValueError, "a loss or its name"),
        (lambda: metrics.d2(loss="hubr")([1, 2], [1, 2]), ValueError, "did you mean 'huber'"),
        (lambda: metrics.get("acuracy"), ValueError, "did you mean 'accuracy'"),
        (lambda: metrics.acuracy, AttributeError, "did you mean 'accuracy'"),
    ],
)
def test_misuse_is_explained(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("name", [*metrics.names(), "perplexity_of_tokens", "Metric"])
def test_examples_run(name):
    source = getattr(metrics, name)
    text = source.__call__.__doc__ if name == "Metric" else source.__doc__
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


LAZY = """
import sys
import losskit
assert "losskit.metrics" not in sys.modules
import losskit.metrics
heavy = {"sklearn", "scipy", "sacrebleu", "numba", "pandas", "torch"}
assert not heavy & {name.split(".")[0] for name in sys.modules}
sys.modules["sklearn.metrics"] = sys.modules["sklearn"] = None
sys.modules["sacrebleu.metrics"] = sys.modules["sacrebleu"] = None
for metric, y, package in (
    (losskit.metrics.accuracy, [0, 1], "scikit-learn"),
    (losskit.metrics.bleu, ["a"], "sacrebleu"),
):
    try:
        metric(y, y)
    except losskit.Unsupported as error:
        assert str(error).endswith(f"needs {package}: pip install {package}"), error
    else:
        raise AssertionError(metric)
"""


def test_it_loads_numpy_only_and_says_what_to_install():
    subprocess.run([sys.executable, "-c", LAZY], check=True)
