"""LaTeX and plain text that read as mathematics and mean the formula; SQL that DuckDB runs."""

from __future__ import annotations

import math
import random
from itertools import product

import duckdb
import mpmath as mp
import pytest
from matplotlib.mathtext import MathTextParser

import losskit
from losskit.backends import latex, latex_cases, latex_elementary, latex_products, sql
from losskit.backends import mpmath as oracle
from losskit.formula.expr import Expr, Trace, Unsupported
from losskit.formula.primitives import apply

# --- LaTeX ----------------------------------------------------------------------------------------

GOLDEN = {
    "huber": (
        r"\begin{cases} \tfrac{1}{2} r^2 & \text{if } |r| \leq \delta \\ "
        r"\delta (|r| - \tfrac{1}{2} \delta) & \text{otherwise} \end{cases} \quad r = f - y",
        r"\begin{cases} r & \text{if } |r| \leq \delta \\ "
        r"\delta \operatorname{sign}(r) & \text{otherwise} \end{cases} \quad r = f - y",
        r"\begin{cases} 1 & \text{if } |r| < \delta \\ 0 & \text{otherwise} \end{cases}"
        r" \quad r = f - y",
    ),
    "binary_cross_entropy": (
        r"\mathrm{pos\_weight} \, y \log(1 + e^{-f}) + (1 - y) \log(1 + e^{f})",
        r"(1 - y) \sigma(f) - \mathrm{pos\_weight} \, y \sigma(-f)",
        r"\mathrm{pos\_weight} \, y \sigma(-f) \sigma(f) + (1 - y) \sigma(-f) \sigma(f)",
    ),
    "poisson": (r"e^{f} - y f", r"e^{f} - y", r"e^{f}"),
    "quantile": (
        r"q \max(0, -r) + (1 - q) \max(0, r) \quad r = f - y",
        r"\begin{cases} 1 - q & \text{if } r > 0 \\ -q & \text{if } r < 0 \\ "
        r"0 & \text{otherwise} \end{cases} \quad r = f - y",
        r"0",
    ),
    "log_cosh": (
        r"\log \cosh r \quad r = f - y",
        r"\tanh r \quad r = f - y",
        r"4 \sigma(2 r) \sigma(-2 r) \quad r = f - y",
    ),
    "smooth_l1": (
        r"\begin{cases} \frac{r^2}{2 \beta} & \text{if } |r| \leq \beta \\ "
        r"|r| - \tfrac{1}{2} \beta & \text{otherwise} \end{cases} \quad r = f - y",
        r"\begin{cases} \frac{r}{\beta} & \text{if } |r| \leq \beta \\ "
        r"\operatorname{sign}(r) & \text{otherwise} \end{cases} \quad r = f - y",
        # min(0, 1/β) at the tie is 0 since β > 0, and joins that side.
        r"\begin{cases} \frac{1}{\beta} & \text{if } |r| < \beta \\ "
        r"0 & \text{otherwise} \end{cases} \quad r = f - y",
    ),
    "pseudo_huber": (
        r"\delta^2 \left(\sqrt{1 + \frac{r^2}{\delta^2}} - 1\right) \quad r = f - y",
        r"\frac{r}{\sqrt{1 + \frac{r^2}{\delta^2}}} \quad r = f - y",
        r"\frac{1}{\left(1 + \frac{r^2}{\delta^2}\right)^{3/2}} \quad r = f - y",
    ),
    "squared_hinge": (
        r"\max(0, 1 - m)^2 \quad m = y f",
        r"-2 y \max(0, 1 - m) \quad m = y f",
        r"\begin{cases} 2 y^2 & \text{if } m < 1 \\ 0 & \text{otherwise} \end{cases}"
        r" \quad m = y f",
    ),
    "expectile": (
        r"\begin{cases} (1 - q) r^2 & \text{if } r > 0 \\ q r^2 & \text{otherwise} \end{cases}"
        r" \quad r = f - y",
        r"\begin{cases} 2 (1 - q) r & \text{if } r > 0 \\ 2 q r & \text{otherwise} \end{cases}"
        r" \quad r = f - y",
        r"\begin{cases} \min(2 (1 - q), 2 q) & \text{if } r = 0 \\ "
        r"2 (1 - q) & \text{if } r > 0 \\ 2 q & \text{otherwise} \end{cases} \quad r = f - y",
    ),
}
PLAIN = {
    "huber": "½r² if |r| ≤ δ else δ(|r| − ½δ)",
    "poisson": "exp(f) − y·f",
    "quantile": "q·max(0, −r) + (1 − q)·max(0, r)",
    "smoothed_hinge": "0 if m ≥ 1 else (1 − m)²/(2γ) if m ≥ 1 − γ else 1 − m − ½γ",
    "pseudo_huber": "δ²(√(1 + r²/δ²) − 1)",
    "msle": "(log((1 + f)/(1 + y)))²",
}


def nodes_of(loss: losskit.Loss) -> list[Expr]:
    graph = loss.form(raw=True).graph
    try:
        return graph.select(("value", "gradient", "hessian"))
    except Unsupported:
        return graph.select(("value",))


@pytest.mark.parametrize("name", GOLDEN)
def test_latex_reads_as_a_statistician_would_write_it(name):
    loss = losskit.get(name)
    assert tuple(latex.of_loss(loss, order) for order in (0, 1, 2)) == GOLDEN[name]


@pytest.mark.parametrize("name", PLAIN)
def test_plain_text_fits_a_terminal(name):
    assert latex.plain(losskit.get(name).form(raw=True).graph.value) == PLAIN[name]


@pytest.mark.parametrize("name", losskit.names("pointwise"))
def test_mathtext_reads_every_formula_without_cases(name):
    parser = MathTextParser("path")
    for node in nodes_of(losskit.get(name)):
        text = latex.latex(node)
        assert text.count("{") == text.count("}")
        assert text.count(r"\left") == text.count(r"\right")
        if r"\begin" not in text:
            parser.parse("$" + text.replace(r"\tfrac", r"\frac") + "$")


def shown_value(tree, values):
    """The value of a tree of cases as the writer collects its terms."""
    while isinstance(tree, latex_cases.Choice):
        tree = tree.first if holds(tree.condition, values) else tree.second
    total = mp.mpf(0)
    for term in latex_products.product_terms(tree):
        part = mp.mpf(term.coefficient.numerator) / term.coefficient.denominator
        for base, power in term.ordered():
            factor = oracle.evaluate([base], values, 30)[0]
            part *= factor ** (mp.mpf(power.numerator) / power.denominator)
        total += part
    return total


def holds(condition, values) -> bool:
    if isinstance(condition, latex_cases.Joined):
        parts = [holds(c, values) for c in (condition.left, condition.right)]
        return all(parts) if condition.word == "and" else any(parts)
    a, b = oracle.evaluate([condition.left, condition.right], values, 30)
    return ("<" if a < b else ">" if a > b else "=") in condition.signs


@pytest.mark.parametrize("name", losskit.names("pointwise"))
def test_what_latex_shows_means_what_the_formula_says(name):
    loss = losskit.get(name)
    form = loss.form(raw=True)
    short = {("sub", "f", "y"): "r", ("mul", "y", "f"): "m"} if len(loss.outputs) == 1 else {}
    domains = {p.name: p.domain for p in loss.definition.parameters} | {"y": form.target}
    drawn = random.Random(2)
    points = []
    for _ in range(8):
        f = drawn.uniform(-3, 3) if form.predictions[0].lower == -math.inf else drawn.uniform(0, 3)
        y = latex_cases._draw(drawn, form.target)
        points.append((y, f, *([0.3] * (len(loss.outputs) - 1)), *form.values))
    if form.target.contains(1.0):
        points += [
            (1.0, f, *points[0][2:]) for f in (0.0, 1.0, 2.0) if form.predictions[0].contains(f)
        ]
    for node in nodes_of(loss):
        shown = latex_elementary.elementary(node, short)
        tree = latex_cases.cases(shown, domains)
        for point in points:
            values = dict(zip(form.graph.symbols, point, strict=True))
            truth = oracle.evaluate([node], values, 30)[0]
            if "f" in values:
                values |= {"r": values["f"] - values["y"], "m": values["f"] * values["y"]}
            try:
                got = shown_value(tree, values)
            except (ZeroDivisionError, ValueError):  # at the one point where a guard was left out
                continue
            with mp.workdps(30):
                if mp.isinf(truth):
                    assert got == truth
                    continue
                assert abs(got - truth) <= 1e-12 * (1 + abs(truth)), (latex.latex(node), values)


def test_names_numbers_and_legend():
    trace = Trace(["y", "f", "gamma_pos", "tau1"])
    y, f, g, t = trace.symbols.values()
    r = f - y
    names = {"f": r"\hat{y}"}
    assert latex.latex(g * r * r / 3, names) == (
        r"\tfrac{1}{3} \gamma_{\mathrm{pos}} \, r^2 \quad r = \hat{y} - y"
    )
    assert latex.latex(g * r * r, names, legend=False) == r"\gamma_{\mathrm{pos}} \, r^2"
    assert latex.latex(0.1 * t + 1e-7) == r"10^{-7} + 0.1 \, \mathrm{tau1}"
    assert latex.plain(0.1 * abs(g)) == "0.1|γ_pos|"
    assert latex.latex(apply("where", (f > 0) & (f < 1), f, 0)) == (
        r"\begin{cases} f & \text{if } f > 0 \text{ and } f < 1 \\ 0 & \text{otherwise} \end{cases}"
    )


# --- SQL ------------------------------------------------------------------------------------------

SQL_LOSSES = (
    "binary_cross_entropy", "poisson", "tweedie", "negative_binomial", "huber", "log_cosh", "fair",
    "cauchy", "barron", "linex", "focal", "squared_hinge", "quantile", "msle", "gaussian_nll",
)  # fmt: skip


@pytest.fixture(scope="module")
def database():
    with duckdb.connect() as connection:
        yield connection


def sql_values(database, text: str, rows: list[tuple], names: tuple[str, ...]) -> list:
    kinds = ", ".join(f"{sql.quote(n)} DOUBLE" for n in names)
    database.execute(f"CREATE OR REPLACE TEMP TABLE t (i INTEGER, {kinds})")
    marks = ", ".join("?" for _ in range(len(names) + 1))
    database.executemany(
        f"INSERT INTO t VALUES ({marks})", [(i, *row) for i, row in enumerate(rows)]
    )
    return [v for (v,) in database.execute(f"SELECT {text} FROM t ORDER BY i").fetchall()]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("name", SQL_LOSSES)
def test_duckdb_computes_the_true_value(database, name, raw):
    loss = losskit.get(name)
    form = loss.form(raw)
    targets = [y for y in (0.0, 1.0, 0.3, 7.0, -1.0, -20.0) if form.target.contains(y)]
    scores = [0.0, 1e-8, -1e-8, 1e-30, 0.2, 1.0, -1.0, 20.0, -20.0, 40.0, -40.0, 700.0, -700.0]
    scores += [800.0, -800.0, 0.999999, 3.7]
    columns = [[f for f in scores if d.contains(f)] for d in form.predictions]
    points = [(y, *fs) for y in targets for fs in product(*columns)]
    names = ("the target", 'p"1', "p2")[: 1 + len(columns)]
    for order in (0, 1, 2) if len(columns) == 1 else (0,):
        text = loss.to("sql", target=names[0], prediction=names[1:], raw=raw, order=order)
        (node,) = form.graph.select((("value", "gradient", "hessian")[order],))
        got = sql_values(database, text, points, names)
        for point, value in zip(points, got, strict=True):
            values = dict(zip(form.graph.symbols, (*point, *form.arguments(sql.EPS)), strict=True))
            truth = oracle.evaluate([node], values, 30)[0]
            if abs(truth) > 1e308:
                assert abs(value) > 1e307
                continue
            if name == "huber" and order == 2 and abs(abs(point[1] - point[0]) - 1) < 1e-9:
                continue  # f − y rounds onto delta, where the curvature jumps
            scale = max(abs(truth), oracle.term_scale(node, values, 30), mp.mpf("1e-300"))
            assert abs(mp.mpf(value) - truth) <= 1e-12 * scale, (order, point)


@pytest.mark.parametrize("name", losskit.names("pointwise"))
def test_null_gives_null_and_nan_gives_nan_in_sql(database, name):
    loss = losskit.get(name)
    if len(loss.outputs) > 1:
        return
    y = 1.0
    texts = [loss.to("sql")]
    texts += [loss.to("sql", order=o) for o in (1, 2) if len(nodes_of(loss)) > 1]
    for text in texts:
        rows = [(None, 0.5), (y, None), (None, None), (math.nan, 0.5), (y, math.nan), (y, 0.5)]
        got = sql_values(database, text, rows, ("y_true", "y_pred"))
        assert got[:3] == [None] * 3
        assert all(math.isnan(v) for v in got[3:5])
        assert math.isfinite(got[5])


def test_a_prediction_outside_the_domain_is_not_clipped_into_a_score(database):
    text = losskit.binary_cross_entropy.to("sql")
    got = sql_values(
        database, text, [(1, 1.2), (1, -0.1), (2, 0.5), (1, 1.0)], ("y_true", "y_pred")
    )
    assert all(math.isnan(v) for v in got[:3])
    assert got[3] == pytest.approx(losskit.binary_cross_entropy([1], [1.0]))
    text = losskit.hinge.to("sql")
    got = sql_values(database, text, [(0, 0.5), (1, 0.5)], ("y_true", "y_pred"))
    assert math.isnan(got[0])
    assert got[1] == 0.5


def test_columns_of_any_type_are_read_as_numbers(database):
    text = losskit.squared_error.to("sql", target="y", prediction="p")
    got = database.execute(f"SELECT {text} FROM (SELECT 1::UTINYINT AS y, 0.5::DECIMAL(3,1) AS p)")
    assert got.fetchone() == (0.25,)


@pytest.mark.parametrize(
    "value", [0.1, -1.5, 1e300, 5e-324, 2.0**-1074, 1 / 3, math.inf, 123456789.0]
)
def test_numbers_survive_sql(database, value):
    got = database.execute(f"SELECT {sql.number(value)}, typeof({sql.number(value)})").fetchone()
    assert got == (value, "DOUBLE")


def test_sql_refuses_what_it_cannot_write():
    trace = Trace(["y", "f"])
    y, f = trace.symbols.values()
    with pytest.raises(Unsupported, match="'sqlite'"):
        sql.expression(f - y, {"y": "y", "f": "f"}, dialect="sqlite")
    with pytest.raises(ValueError, match="no column for f"):
        sql.expression(f - y, {"y": "y"})
    with pytest.raises(ValueError, match="order=0 where there are several"):
        losskit.gaussian_nll.to("sql", order=1)
