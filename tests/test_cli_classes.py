"""`losskit evaluate` for classes, lists and tokens, and `list` and `show` for such losses."""

import csv
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import losskit
from losskit import metrics
from losskit.cli.main import main
from losskit.cli.readable import written
from losskit.formula.expr import Unsupported

DATA = Path(__file__).parents[1] / "examples" / "data"
IRIS = [DATA / "iris_predictions.csv", "--target", "species"]
SPECIES = ["setosa", "versicolor", "virginica"]
COLUMNS = [word for name in SPECIES for word in ("--class-column", f"{name}=p_{name}")]
LISTS = ["--prediction", "logistic", "--prediction", "forest", "--classes", ",".join(SPECIES)]
PATIENTS = [DATA / "diabetes_lists.csv", "--target", "urgency", "--query", "list"]


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return call


@pytest.fixture
def tokens(tmp_path):
    path = tmp_path / "tokens.csv"
    path.write_text("old,new,part\n-0.5,-1,a\n-2,-1.5,a\n-inf,-3,b\n-0.1,0,b\n")
    return path


# --- evaluate


def test_class_columns(run):
    code, out, err = run("evaluate", *IRIS, *COLUMNS, "--loss", "cross_entropy")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["loss", "cross_entropy", "its"]
    assert lines[4] == "  its perplexity            1.16083"
    code, out, err = run("evaluate", *IRIS, *COLUMNS, "--format", "json")
    found = json.loads(out)["results"]
    with (DATA / "iris_predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    y = [SPECIES.index(row["species"]) for row in rows]
    p = np.array([[float(row[f"p_{name}"]) for name in SPECIES] for row in rows])
    p /= p.sum(axis=1, keepdims=True)
    assert found[0]["value"] == pytest.approx(losskit.cross_entropy(y, p), rel=1e-12)
    assert found[0]["perplexity"] == pytest.approx(metrics.perplexity(y, p), rel=1e-12)
    assert found[1]["value"] == pytest.approx(metrics.brier(y, p), rel=1e-12)
    assert found[2]["value"] == pytest.approx(metrics.accuracy(y, p), rel=1e-12)
    assert "scored with cross_entropy, brier, accuracy (choose with --loss)" in err


def test_columns_of_lists_are_compared(run):
    code, out, err = run("evaluate", *IRIS, *LISTS, "--by", "sepals")
    assert (code, err) == (0, "")
    assert re.search(r"^\(all rows\) +150 +cross_entropy +0\.149138 ± 0\.017 +0\.13", out, re.M)
    assert re.search(r"^logistic − forest +accuracy +0\.02 ± 0\.011 +within noise", out, re.M)
    code, out, _ = run("evaluate", *IRIS, *LISTS, "--format", "csv", "--loss", "accuracy")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["better"] for row in rows] == ["higher"] * 3
    assert [row["kind"] for row in rows] == ["all rows", "all rows", "difference"]


def test_higher_is_better_for_metrics(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("y,p,q\n" + 'a,"[.9,.1]","[.2,.8]"\n' * 40 + 'b,"[.9,.1]","[.2,.8]"\n')
    given = ["--target", "y", "--prediction", "p", "--prediction", "q", "--classes", "a,b"]
    _, out, _ = run("evaluate", path, *given, "--loss", "accuracy")
    assert re.search(r"^p − q +accuracy +0\.95122 ± 0\.048 +p is higher by 19\.7", out, re.M)


def test_labels_with_commas_and_equals_signs(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('y,u,v=w,l\n"a,b",.5,.5,"[.5,.5]"\nc,.5,.5,"[.5,.5]"\n')
    given = ["evaluate", path, "--target", "y", "--loss", "brier", "--format", "json"]
    code, out, _ = run(*given, "--prediction", "l", "--classes", '"a,b",c')
    assert json.loads(out)["results"][0]["value"] == 0.25
    code, out, _ = run(*given, "--class-column", "a,b=u", "--class-column", "c=v=w")
    assert (code, json.loads(out)["results"][0]["value"]) == (0, 0.25)


def test_lists_of_queries(run):
    given = [*PATIENTS, "--prediction", "ridge", "--prediction", "median"]
    code, out, err = run("evaluate", *given)
    assert (code, err) == (0, "")
    assert "442 rows, 44 queries scored" in out.splitlines()[0]
    assert "Differences, query by query" in out
    assert re.search(r"^ridge − median +ndcg:k=10 .* standard errors\)$", out, re.M)
    code, out, _ = run("evaluate", *given, "--format", "json", "--loss", "map")
    found = json.loads(out)
    assert (found["rows"], found["queries"]) == (442, 44)
    assert [item["loss"] for item in found["results"]] == ["mean_average_precision"] * 2


def test_notes_go_to_stderr_where_stdout_is_a_programs(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("q,y,s\na,1,1\na,0,2\nb,0,1\nb,0,3\n")
    given = ["evaluate", path, "--target", "y", "--query", "q", "--prediction", "s"]
    note = "1 of 2 queries without a relevant item left out of ndcg"
    code, out, err = run(*given, "--loss", "ndcg", "--format", "json")
    assert (code, json.loads(out)["queries"], err) == (0, 2, f"losskit: {note}\n")
    code, out, err = run(*given, "--loss", "ndcg")
    assert (note in out.splitlines(), err) == (True, "")


def test_a_mean_of_nothing_is_a_dash(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("q,y,s\na,0,1\na,0,2\n")
    given = ["--target", "y", "--query", "q", "--prediction", "s", "--loss", "mrr"]
    _, out, _ = run("evaluate", path, *given)
    assert out.splitlines()[-1].split() == ["mean_reciprocal_rank", "—"]


def test_tokens(run, tokens):
    both = ["--log-probability", "old", "--log-probability", "new"]
    code, out, err = run("evaluate", tokens, *both, "--by", "part")
    assert (code, err) == (0, "")
    assert re.search(r"^\(all rows\) +4 +negative_log_likelihood +inf +1\.375 ± 0\.54$", out, re.M)
    assert re.search(r"^ +its perplexity +inf +3\.95508$", out, re.M)
    assert "new is lower: the other is infinite" in out
    code, out, _ = run("evaluate", tokens, *both, "--format", "json")
    found = json.loads(out, parse_constant=lambda text: pytest.fail(text))["results"]
    assert [item["perplexity"] for item in found] == ["inf", pytest.approx(math.exp(1.375))]


def test_many_models_with_perplexities(run, tmp_path):
    names = [f"m{i}" for i in range(6)]
    path = tmp_path / "a.csv"
    row = ",".join(str(-i - 1) for i in range(6))
    path.write_text(",".join(names) + "\n" + f"{row}\n" * 40)
    given = [word for name in names for word in ("--log-probability", name)]
    _, out, _ = run("evaluate", path, *given)
    assert re.search(r"^loss +prediction +value +perplexity$", out, re.M)
    assert re.search(r"^ +m2 +3 ± 0 +20\.0855$", out, re.M)
    assert len(re.findall(r"^m\d − m0 .* m0 is lower$", out, re.M)) == 5


def test_every_mistake_is_one_line_and_exit_code_2(run, tokens, tmp_path):
    listed = ["--prediction", "logistic", "--classes"]
    cases = [
        ([*IRIS, "--class-column", "setosa"], "write the label, =, and the column: cat=p_cat"),
        ([*IRIS, "--class-column", "setosa="], "write the label, =, and the column: cat=p_cat"),
        ([*IRIS, *COLUMNS, "--class-column", "setosa=forest"], "'setosa' was given twice"),
        ([*IRIS, *COLUMNS, "--class-column", "other=p_setosa"], "'p_setosa' was given for classes"),
        ([*IRIS, *COLUMNS, "--class-column", "=forest"], "empty label"),
        ([*IRIS, *COLUMNS, "--prediction", "forest"], "were both given"),
        ([*IRIS, *COLUMNS, "--classes", "a,b"], "leave out --classes"),
        ([*IRIS, *COLUMNS, "--query", "id"], "leave out --classes and --class-column"),
        ([*IRIS, *listed, "setosa"], "one class alone ('setosa')"),
        ([*IRIS, *listed, "setosa,setosa"], "'setosa' was given twice"),
        ([*IRIS, *listed, "setosa,,x"], "empty label"),
        ([*IRIS, *listed, '"setosa'], "is not understood"),
        ([*IRIS, *listed, "a,b", "--loss", "huber"], "huber does not score class probabilities"),
        ([*IRIS, "--classes", "a,b"], "pass it as --prediction"),
        ([*IRIS, "--prediction", "forest"], "if these are classes, name them (--classes"),
        ([*PATIENTS, "--raw", "--prediction", "ridge"], "leave out --raw"),
        ([*PATIENTS, "--prediction", "ridge", "--loss", "mse"], "does not score ranked lists"),
        ([*PATIENTS[:3], "--query", "lst", "--prediction", "ridge"], "did you mean 'list'?"),
        ([tokens, "--log-probability", "old", "--target", "new"], "leave out --target"),
        ([tokens, "--log-probability", "old", "--loss", "mse"], "leave out --loss"),
        ([tokens, "--log-probability", "old", "--log-probability", "old"], "given twice"),
        ([tokens, "--log-probability", "part"], "column 'part' has 'a' at row 1"),
        ([tokens], "missing option --target"),
        ([tokens, "--target", "old", "--prediction", "new", "--loss", "lambda_rank"], "--query"),
        ([tokens, "--target", "old", "--prediction", "new", "--loss", "cross_entropy"],
         "--class-column LABEL=COLUMN"),
    ]  # fmt: skip
    for arguments, message in cases:
        code, out, err = run("evaluate", *arguments)
        assert (code, out) == (2, ""), (arguments, err)
        assert err.startswith("losskit: error: ")
        assert err.count("\n") == 1, err
        assert message in err, (message, err)


def test_probabilities_that_do_not_sum_to_one_are_named(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("y,u,v\na,.5,.5\nb,.5,.4\nb,2,-1\n")
    columns = ["--class-column", "a=u", "--class-column", "b=v"]
    code, out, err = run("evaluate", path, "--target", "y", *columns)
    assert (code, out) == (2, "")
    assert "2 of 3 rows cannot be scored" in err
    assert "row 2: the probabilities of prediction 'classes' sum to 0.9, not 1" in err
    code, _, err = run("evaluate", path, "--target", "y", *columns, "--raw", "--format", "json")
    assert code == 0


# --- list and show


def test_list_has_titles_for_every_task(run):
    _, out, _ = run("list")
    for title in ("One class out of several", "Several labels at once", "Ranked lists",
                  "Sequences: tokens and actions"):  # fmt: skip
        assert title in out.splitlines()
    tasks = {losskit.get(name).task for name in losskit.names()}
    assert len([line for line in out.splitlines() if re.match(r"[A-Z]", line)]) == len(tasks)


def card(out):
    lines = [re.split(r" {2,}", line.strip(), maxsplit=1) for line in out.splitlines() if line]
    return {line[0]: line[1] for line in lines if len(line) == 2}


def test_show_a_loss_of_classes(run):
    code, out, err = run("show", "cross_entropy", "--class_weight", "1/2/5")
    assert (code, err, out.splitlines()[0]) == (
        0,
        "",
        "cross_entropy(class_weight=(1.0, 2.0, 5.0))",
    )
    found = card(out)
    assert found["formula"] == "sum(y·(−log softmax(f)))"
    assert found["gradient"] == "softmax(f)·(sum(y) − y) − y·(1 − softmax(f))"
    assert found["takes"].startswith("y_true (y above): a class index, a one-hot row or class")
    assert found["one value for"] == "each row; sum and max run over its classes"
    assert "class_weight = 1/2/5 ([0, ∞), or one such number for each element" in out
    assert "steepest slope" not in found
    assert "Good, I. J. (1952)" in found["source"]


def test_show_a_loss_of_pairs_and_one_of_lists(run):
    found = card(run("show", "bpr")[1])
    assert found["formula"] == "softplus(negative − positive)"
    assert found["gradient by negative"] == "sigmoid(negative − positive)"
    assert found["one value for"] == "each row"
    code, out, _ = run("show", "lambda_rank", "--metric", "map")
    assert (code, out.splitlines()[0]) == (0, "lambda_rank(metric='map')")
    assert card(out)["formula"] == "none: an algorithm over the whole batch"
    assert "metric = map (ndcg or map; default ndcg)" in out
    assert "k = none (a whole number of at least 1 or none; default none)" in out
    code, _, err = run("show", "lambda_rank", "--metric", "mean")
    assert (code, "parameter --metric is 'mean'; it must be one of ndcg, map" in err) == (2, True)


def test_show_a_name_of_two_losses(run):
    code, out, _ = run("show", "log_loss")
    assert (code, out.splitlines()[0]) == (0, "binary_cross_entropy")
    assert out.splitlines()[-1].startswith("Of class probabilities log_loss is cross_entropy; see")


# Losses whose formula is of numbers that a row has once or that stand along its axis.
ROWS = [name for name in losskit.names("rows") if losskit.get(name).definition.axis != "item"]


@pytest.mark.parametrize("wanted", ["value", "gradient"])
@pytest.mark.parametrize("name", ROWS)
def test_readable_formulas_are_the_formulas(name, wanted):
    """Read back as mathematics over arrays, the text on the card has the values of the loss."""
    loss = losskit.get(name)
    try:
        parts, results = written(loss.form(raw=True).graph.select((wanted,)))
    except Unsupported:
        return
    rng = np.random.default_rng(7)
    definition = loss.definition
    for _ in range(5):
        data, space = [], {**_FUNCTIONS, "count": 4, "position": np.arange(4.0)}
        space |= {key: value for key, value in loss.params.items() if value is not None}
        for symbol, (_, one) in zip(definition.symbols, definition.inputs, strict=True):
            if one.classes in ("index", "level"):
                value = shown = float(rng.integers(1, 3))
            elif one.classes == "soft":
                value = shown = rng.dirichlet(np.ones(4))
            elif one.classes:
                value, shown = rng.integers(4), None
                shown = np.eye(4)[value]
            elif one.trained:
                value = shown = rng.normal(size=4 if one.rank == 2 else None)
            else:
                value = shown = rng.integers(0, 2, 4 if one.rank == 2 else None).astype(float)
            if name == "ordinal" and one.trained:
                value = shown = np.sort(value)[::-1]
            if name == "margin_ranking" and not one.trained:
                value = shown = 1.0
            data.append(np.asarray(value)[None])
            space[symbol] = shown
        for part, text in parts:
            space[part] = eval(_python(text), space)
        found = [np.asarray(eval(_python(text), space)) for text in results]
        call = loss if wanted == "value" else loss.gradient
        truth = call(*data, reduction="none", raw=True)
        truth = truth if isinstance(truth, tuple) else (truth,)
        for one, other in zip(found, truth, strict=True):
            whole = np.broadcast_to(one, np.shape(other)[1:])
            assert whole == pytest.approx(np.asarray(other)[0], rel=1e-9, abs=1e-12), (
                results,
                data,
            )


def _softmax(x):
    e = np.exp(x - np.max(x))
    return e / e.sum()


_FUNCTIONS = {
    **{name: getattr(np, name) for name in "exp log log1p expm1 sqrt abs tanh inf".split()},
    "softplus": lambda x: np.logaddexp(0, x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "log1mexp": lambda x: np.log(-np.expm1(-x)),
    "softplus_gap": lambda x: np.logaddexp(0, x) - np.log(2),
    "xlogy": lambda x, y: np.where(x == 0, 0, x * np.log(np.where(x == 0, 1, y))),
    "sign": np.sign,
    "softmax": _softmax,
    "logsoftmax": lambda x: np.log(_softmax(x)),
    "logsumexp": lambda x: np.log(np.sum(np.exp(x))),
    "sparsemax": lambda x: _sparsemax(x),
    "norm": lambda x: np.sqrt(np.sum(x * x)),
    "sum": lambda x: np.sum(x) if np.ndim(x) else 4 * x,
    "max": lambda *x: np.maximum(*x) if len(x) == 2 else np.max(x[0]),
    "min": lambda *x: np.minimum(*x),
    "argmax": lambda x: (x == np.max(x)) / np.sum(x == np.max(x)),
    "entropy": lambda x: -np.sum(_softmax(x) * np.log(_softmax(x))),
    "sparsemax_surprise": lambda x: (
        np.sum(_sparsemax(x) * x) - np.sum(_sparsemax(x) ** 2) / 2 - x + 0.5
    ),
    "where": lambda c, a, b: np.where(c, a, b),
    "at": lambda x, i: x[int(i)],
}


def _sparsemax(x):
    z = np.sort(x)[::-1]
    k = np.arange(1, len(x) + 1)
    support = 1 + k * z > np.cumsum(z)
    size = k[support][-1]
    return np.maximum(x - (z[:size].sum() - 1) / size, 0)


def _python(text):
    while (found := re.search(r"‖([^‖]*)‖", text)) is not None:
        text = f"{text[: found.start()]}norm({found[1]}){text[found.end() :]}"
    while "[" in text:
        text = _without_last_brackets(text)
    text = text.replace("log softmax", "logsoftmax")
    while "|" in text:
        text = re.sub(r"\|([^|]*)\|", r"abs(\1)", text, count=1)
    for mark, spelling in (
        ("·", "*"), ("−", "-"), ("²", "**2"), ("³", "**3"), ("^", "**"), ("√", "sqrt"),
        ("≤", "<="), ("≥", ">="), (" = ", " == "), ("∞", "inf"), ("¦", "|"),
    ):  # fmt: skip
        text = text.replace(mark, spelling)
    return text


def _without_last_brackets(text):
    """Write the innermost [a if c, else b] as where(c, a, b), and x[i] as at(x, i)."""
    start = text.rindex("[")
    end = text.index("]", start)
    inside = text[start + 1 : end]
    if " if " in inside:
        value, _, rest = inside.partition(" if ")
        condition, _, other = rest.partition(", else ")
        condition = " ¦ ".join(f"({c})" for c in condition.split(" or "))
        return f"{text[:start]}where({condition}, {value}, {other}){text[end + 1 :]}"
    name = re.search(r"[A-Za-z_]+$", text[:start])[0]
    return f"{text[: start - len(name)]}at({name}, {inside}){text[end + 1 :]}"
