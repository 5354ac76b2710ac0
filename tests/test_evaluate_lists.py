"""Scoring ranked lists and tokens: against the losses and metrics called on arrays."""

import itertools
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import losskit
from losskit import metrics
from losskit.evaluation import InvalidRowsError, TableError, parse_loss
from scoring import expected, write


def values(report, group=None):
    return {(r.loss, r.prediction): r.value for r in report.results if r.group == group}


# --- tokens


def test_perplexity_of_tokens(tmp_path):
    lp, lq, w = [-0.5, -2.0, -0.25], [-1.0, -1.0, 0.0], [1, 0, 2]
    path = write(tmp_path, lp=lp, lq=lq, w=w, g=["a", "a", "b"])
    report = losskit.evaluate(path, log_probability=["lp", "lq"], weight="w", by="g")
    first = report.results[0]
    mean, error = expected(-np.array(lp), np.array(w))
    assert (first.loss, first.prediction) == ("negative_log_likelihood", "lp")
    assert first.value == pytest.approx(mean, rel=1e-15)
    assert first.standard_error == pytest.approx(error, rel=1e-14)
    truth = metrics.perplexity_of_tokens(lp, sample_weight=w)
    assert first.perplexity == pytest.approx(truth, rel=1e-14)
    mean, error = expected(np.array(lq) - np.array(lp), np.array(w))
    assert report.differences[0].value == pytest.approx(mean, rel=1e-14)
    assert report.differences[0].standard_error == pytest.approx(error, rel=1e-14)
    assert [r.perplexity for r in report.results if r.group == "b"] == [math.exp(0.25), 1.0]


def test_an_impossible_token_has_infinite_perplexity(tmp_path):
    report = losskit.evaluate(
        write(tmp_path, lp=["-inf", -1], lq=[-1, -800]), log_probability=["lp", "lq"]
    )
    plain = report.to_dict()
    assert [r["perplexity"] for r in plain["results"]] == ["inf", pytest.approx(math.exp(400.5))]
    assert plain["differences"][0]["value"] == "inf"
    assert plain["results"][0]["standard_error"] is None
    report = losskit.evaluate(write(tmp_path, lp=[-800, -800]), log_probability="lp")
    assert report.results[0].perplexity == math.inf
    assert report.results[0].value == 800


@pytest.mark.parametrize(
    ("cell", "kind", "message"),
    [
        (0.25, "domain", "is 0.25, but .*write its natural logarithm"),
        (2.5, "domain", "is 2.5, but .*change its sign"), ("inf", "domain", "is inf"),
        ("nan", "nan", "log-probability 'lp' is NaN"), (None, "null", "'lp' is missing"),
    ],
)  # fmt: skip
def test_what_is_no_log_probability(tmp_path, cell, kind, message):
    path = write(tmp_path, lp=[-1, cell, "1e-7"], x=[1, 1, 1])
    with pytest.raises(InvalidRowsError, match=message) as caught:
        losskit.evaluate(path, log_probability="lp")
    assert list(caught.value.first) == [kind]
    report = losskit.evaluate(path, log_probability="lp", invalid="skip")
    assert report.results[0].value == pytest.approx(0.5)


# --- ranked lists


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    rng = np.random.default_rng(4)
    n = 200
    query = rng.integers(0, 25, n)
    y = rng.integers(0, 3, n) * (query % 5 != 0)  # every fifth query has no relevant item
    columns = {
        "q": [f"q{k}" for k in query], "y": y, "s": np.round(rng.normal(y, 2), 1),
        "t": rng.normal(y, 1), "w": (query % 3).astype(float), "g": query % 2,
    }  # fmt: skip
    path = tmp_path_factory.mktemp("ranked") / "a.csv"
    return write(path.parent, **columns), {k: np.array(v) for k, v in columns.items()}


def ranking(path, prediction=("s", "t"), **options):
    return losskit.evaluate(path, target="y", prediction=list(prediction), query="q", **options)


def test_the_default_of_lists(ranked):
    path, d = ranked
    report = ranking(path)
    found = values(report)
    for name in ("s", "t"):
        y, f, q = d["y"], d[name], d["q"]
        assert found["pairwise_logistic", name] == pytest.approx(
            losskit.pairwise_logistic(y, f, query=q), rel=1e-12
        )
        assert found["softmax_ranking", name] == pytest.approx(
            losskit.softmax_ranking(y, f, query=q), rel=1e-12
        )
        for label, metric in (
            ("ndcg:k=10", metrics.ndcg(k=10)), ("mean_average_precision", metrics.map),
            ("mean_reciprocal_rank", metrics.mrr),
        ):  # fmt: skip
            truth = metric(empty="skip")(y, f, query=q)
            assert found[label, name] == pytest.approx(truth, rel=1e-12)
    total = len(np.unique(d["q"]))
    assert (report.rows, report.queries, report.scored) == (200, total, {None: total})
    assert any("queries without a relevant item left out of ndcg:k=10, mean" in n
               for n in report.notes)  # fmt: skip


@pytest.mark.parametrize(
    "loss", ["pairwise_hinge:sigma=2", "lambda_rank:metric=map", "list_net", "list_mle", "ndcg",
             "softmax_ranking"],
)  # fmt: skip
def test_weights_errors_and_groups_of_lists(ranked, loss):
    path, d = ranked
    report = ranking(path, weight="w", by="g", loss=loss)
    made = parse_loss(loss, 1, ("ndcg",))
    if loss == "ndcg":
        made = made(empty="skip")
    for result in report.results:
        kept = d["w"] > 0
        if result.group is not None:
            kept &= d["g"] == int(result.group)
        y, f, q, w = (d[key][kept] for key in ("y", result.prediction, "q", "w"))
        truth = made(y, f, query=q, sample_weight=w)
        assert result.value == pytest.approx(truth, rel=1e-12)
        # The mean over lists without one of them tells the list's share of the error.
        away = []
        for one in np.unique(q):
            if loss == "ndcg" and not y[q == one].any():
                continue
            away.append((one, w[q == one][0]))
        if loss in ("list_net", "softmax_ranking", "ndcg"):
            each = [made(y[q == one], f[q == one]) for one, _ in away]
            _, error = expected(np.array(each), np.array([weight for _, weight in away]))
            assert result.standard_error == pytest.approx(error, rel=1e-9)


def test_lists_without_a_relevant_item_may_count_0(ranked):
    path, d = ranked
    report = ranking(path, ["s"], loss="ndcg:k=3,empty=zero")
    truth = metrics.ndcg(k=3, empty="zero")(d["y"], d["s"], query=d["q"])
    assert report.results[0].value == pytest.approx(truth, rel=1e-12)
    assert report.notes == ()


def test_queries_of_several_files_and_columns_of_any_name(ranked, tmp_path):
    _, d = ranked
    rows = {"q": d["q"], "x": d["y"], "label": d["s"]}
    for name, kept in (("a.parquet", slice(0, 90)), ("b.parquet", slice(90, None))):
        pq.write_table(pa.table({k: v[kept] for k, v in rows.items()}), tmp_path / name)
    given = {"target": "x", "prediction": "label", "loss": "ndcg", "glob": True}
    truth = metrics.ndcg(empty="skip")(d["y"], d["s"], query=d["q"])
    report = losskit.evaluate(tmp_path / "*.parquet", query="q", **given)
    assert report.results[0].value == pytest.approx(truth, rel=1e-12)
    report = losskit.evaluate(tmp_path / "*.parquet", query="x", **given)
    assert report.queries == 3


def test_losses_and_metrics_as_objects(ranked):
    path, d = ranked
    own = losskit.pairwise(losskit.smoothed_hinge(gamma=0.5))
    report = ranking(path, ["s"], loss=[own, metrics.ndcg(k=3), losskit.list_net])
    assert [item.loss for item in report.results] == [
        "pairwise_smoothed_hinge", "ndcg:k=3", "list_net"
    ]  # fmt: skip
    assert report.results[0].value == pytest.approx(own(d["y"], d["s"], query=d["q"]), rel=1e-12)
    with pytest.raises(TableError, match="auc does not score ranked lists"):
        ranking(path, ["s"], loss=metrics.auc)
    with pytest.raises(TableError, match="auc does not score one number per row"):
        losskit.evaluate(path, target="y", prediction="s", loss=metrics.auc)


def test_pairs_weigh_lists(tmp_path):
    # One pair in query a, two in b: the mean is over pairs, and the error is that of a ratio.
    path = write(tmp_path, q=[*"aabbb"], y=[1, 0, 1, 0, 0], s=[0, 2, 1, 0, 0], t=[0, 0, 0, 0, 3])
    report = ranking(path, loss="pairwise_hinge")
    means = {"s": [3.0, 0.0], "t": [1.0, 2.5]}
    for result in report.results:
        mean, error = expected(np.array(means[result.prediction]), np.array([1, 2]))
        assert result.value == pytest.approx(mean)
        assert result.standard_error == pytest.approx(error)
    mean, error = expected(np.subtract(means["s"], means["t"]), np.array([1, 2]))
    assert report.differences[0].value == pytest.approx(mean)
    assert report.differences[0].standard_error == pytest.approx(error)


def test_order_of_rows_and_kind_of_query_do_not_matter(ranked, tmp_path):
    path, d = ranked
    truth = values(ranking(path))
    order = np.random.default_rng(1).permutation(200)
    number = [float(q[1:]) for q in d["q"]]
    table = {k: np.asarray(v)[order] for k, v in {**d, "q": number}.items()}
    pq.write_table(pa.table(table), tmp_path / "a.parquet", row_group_size=30)
    found = values(ranking(tmp_path / "a.parquet"))
    assert {k: pytest.approx(v, rel=1e-12) for k, v in truth.items()} == found


def test_a_query_with_an_invalid_row_is_left_out(tmp_path):
    path = write(
        tmp_path, q=[*"aabbcc", None, "d", "d"], y=[1, 0, 1, 0, -1, 0, 1, 1, 0],
        s=[2, 1, 1, None, 1, 2, 1, 3, 9], w=[1, 1, 1, 1, 1, 1, 1, 1, 0],
    )  # fmt: skip
    options = {"loss": "ndcg", "prediction": ["s"], "weight": "w"}
    with pytest.raises(InvalidRowsError) as caught:
        ranking(path, **options)
    assert caught.value.first == {
        "null": "row 4: prediction 's' is missing",
        "domain": "row 5: target 'y' is -1, but ndcg needs [0, ∞)",
    }
    assert caught.value.counts == {"null": 2, "nan": 0, "infinite": 0, "domain": 1}
    report = ranking(path, **options, invalid="skip")
    assert (report.results[0].value, report.queries) == (1.0, 2)
    assert "2 queries with an invalid row left out as a whole" in report.notes


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"w": [1, 2, 1]}, {"weight": "w"}, "query 'a' of 'q' has rows of weight 1 and 2"),
        ({"g": ["x", "z", "x"]}, {"by": "g"}, "query 'a' of 'q' has rows with 'g' 'x' and 'z'"),
        ({}, {"loss": "mse"}, "squared_error does not score ranked lists"),
        ({}, {"loss": "cross_entropy"}, "does not score ranked lists"),
        ({}, {"loss": "bpr"}, "does not score ranked lists"),
        ({}, {"loss": "ndcg:k=0"}, "needed is a whole number, 1 or more"),
        ({}, {"raw": True}, "leave out --raw"),
        ({"w": [0, 0, 0]}, {"weight": "w"}, "weights sum to 0"),
    ],
)  # fmt: skip
def test_mistakes_with_lists(tmp_path, columns, options, message):
    path = write(tmp_path, q=["a", "a", "b"], y=[1, 0, 1], s=[1, 2, 3], **columns)
    with pytest.raises(TableError, match=message):
        ranking(path, ["s"], **options)


def test_lists_without_anything_to_rank(tmp_path):
    path = write(tmp_path, q=["a", "a"], y=[0, 0], s=[1, 2])
    report = ranking(path, ["s"])
    plain = {item["loss"]: item["value"] for item in report.to_dict()["results"]}
    assert plain.pop("softmax_ranking") == 0
    assert set(plain.values()) == {None}
    assert "1 of 1 query of equally relevant items left out of pairwise_logistic" in report.notes


def test_huge_scores_give_infinite_losses_and_no_crash(tmp_path):
    path = write(tmp_path, q=[*"aabb"], y=[1, 0, 1, 0], s=[-1e300, 1e300, 0, 1], t=[0, 1, 0, 1])
    report = ranking(path, loss=["pairwise_exponential", "pairwise_squared_hinge"])
    kinds = {(r.loss, r.prediction): math.isinf(r.value) for r in report.results}
    assert kinds["pairwise_exponential", "s"]
    assert not kinds["pairwise_exponential", "t"]
    assert not any(math.isnan(r.value) for r in report.results)


def test_every_pair_of_models_is_compared(ranked):
    path, _ = ranked
    report = ranking(path, ["s", "t", "w"], loss=["ndcg", "list_net"])
    pairs = [(d.a, d.b) for d in report.differences]
    assert pairs == [*itertools.combinations(["s", "t", "w"], 2)] * 2
    assert {d.better for d in report.differences if d.loss == "ndcg"} == {"higher"}
