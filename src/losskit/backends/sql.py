"""A formula as one scalar SQL expression, for scoring inside DuckDB.

NULL in gives NULL out and NaN gives NaN: the text begins with a guard, since in SQL a comparison
with NULL takes the ELSE branch, and DuckDB orders NaN above every number, so that a missing
prediction could otherwise come out as a perfect one. Checked with DuckDB 2.0: exp(1000) is inf,
ln(0) is -inf, x/0 is ±inf or NaN, and none of them raises. Infinite scores are not replaced by
their limit, as calls do: where the formula meets 0·∞ the result is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from types import MappingProxyType
from typing import Any

from losskit.formula.domain import Domain
from losskit.formula.expr import Expr, Trace, Unsupported, reachable, rebuild, rows
from losskit.formula.lower import lower

EPS = 2.0**-52  # of float64, by which calls clip probabilities

# DuckDB has no log1p and expm1, but atanh, sinh and tanh that are accurate near 0:
# log(1 + x) = 2·atanh(x/(2 + x)) and e^x − 1 = 2·e^(x/2)·sinh(x/2).
# Numbers carry an exponent because DuckDB takes 0.1 for a DECIMAL.
_TABLE = {
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "neg": "(-{0})",
    "abs": "abs({0})",
    "sqrt": "sqrt({0})",
    "pow": "pow({0}, {1})",
    "exp": "exp({0})",
    "log": "ln({0})",
    "log1p": "CASE WHEN abs({0}) < 0.5e0 THEN 2e0 * atanh({0} / (2e0 + {0}))"
    " ELSE ln(1e0 + {0}) END",
    "expm1": "CASE WHEN {0} < -50e0 THEN -1e0 ELSE 2e0 * exp({0} / 2e0) * sinh({0} / 2e0) END",
    "tanh": "tanh({0})",
    "signed": "({0} * sign({1}))",
    # With e = exp(-|x|), log(1 + e) = 2·atanh(e/(2 + e)), here with the fraction turned over.
    "softplus": "(greatest({0}, 0e0) + 2e0 * atanh(1e0 / (1e0 + 2e0 * exp(abs({0})))))",
    "sigmoid": "(1e0 / (1e0 + exp(-{0})))",
    "sigmoid_scaled": "(1e0 / (1e0 + exp(-{0}) / {1}))",
    # log cosh x = log(1 + 2·sinh²(x/2)) = 2·atanh(tanh²(x/2))
    "log_cosh": "CASE WHEN abs({0}) < 1e0 THEN 2e0 * atanh(pow(tanh({0} / 2e0), 2e0))"
    " ELSE abs({0}) - 0.6931471805599453e0"
    " + 2e0 * atanh(1e0 / (1e0 + 2e0 * exp(2e0 * abs({0})))) END",
    # GREATEST skips NULL, which the guard has ruled out, and returns NaN, the largest of DuckDB's
    # order; LEAST would lose a NaN that arises on the way.
    "maximum": "greatest({0}, {1})",
    "minimum": "(-greatest(-{0}, -{1}))",
    "positive_part": "greatest({0}, 0e0)",
    "where": "CASE WHEN {0} THEN {1} ELSE {2} END",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "eq": "{0} = {1}",
    "and": "({0} AND {1})",
    "or": "({0} OR {1})",
    "not": "NOT ({0})",
}


def expression(
    output: Expr,
    columns: Mapping[str, str | float],
    dialect: str = "duckdb",
    domains: Mapping[str, Domain] = MappingProxyType({}),
) -> str:
    """Return `output` as one SQL expression of type DOUBLE, without subqueries.

    Args:
        output: An expression of a formula, as traced or differentiated (it is lowered here).
        columns: For each symbol the name of a column, which is quoted here, or a number. Where
            one of these columns is NULL or NaN, so is the result.
        dialect: "duckdb"; there is no other yet.
        domains: Where a symbol's values must lie; the result is NaN where they do not.

    Raises:
        ValueError: A symbol has neither a column nor a number.
        Unsupported: Another dialect is asked for.

    Example:
        >>> from losskit.formula.expr import Trace
        >>> trace = Trace(["y", "f"])
        >>> r = trace.symbols["f"] - trace.symbols["y"]
        >>> print(expression(abs(r), {"y": "price", "f": "forecast"}).partition("ELSE ")[2])
        abs(("forecast"::DOUBLE - "price"::DOUBLE)) END

    """
    if dialect != "duckdb":
        raise Unsupported(f"SQL is written for dialect='duckdb' only, not {dialect!r}")
    (lowered,) = lower([_with_numbers(output, columns)], _TABLE, "sql")
    text: dict[int, str] = {}
    read = {s: f"{quote(c)}::DOUBLE" for s, c in columns.items() if isinstance(c, str)}
    for node in reachable([lowered]):
        if node.op == "symbol":
            text[node.serial] = read[str(node.value)]
        elif node.op == "constant":
            text[node.serial] = number(float(node.value))  # type: ignore[arg-type]
        else:
            text[node.serial] = _TABLE[node.op].format(*(text[a.serial] for a in node.args))
    result = text[lowered.serial]
    if not read:
        return result
    absent = dict.fromkeys(f"{c} IS NULL" for c in read.values())
    bad = dict.fromkeys(f"isnan({c})" for c in read.values())
    for symbol, domain in domains.items():
        bad |= dict.fromkeys(_outside(read[symbol], domain) if symbol in read else [])
    return (
        f"CASE WHEN {' OR '.join(absent)} THEN NULL"
        f" WHEN {' OR '.join(bad)} THEN 'nan'::DOUBLE ELSE {result} END"
    )


def loss_to(
    loss: Any,
    dialect: str = "duckdb",
    target: str = "y_true",
    prediction: str | Sequence[str] = (),
    order: int = 0,
    raw: bool = False,
    clip: float = EPS,
) -> str:
    """Return a loss (order 0), its gradient (1) or curvature (2) as SQL over named columns.

    A row whose target or prediction lies outside the loss's domain gives NaN.

    Args:
        loss: A loss with its parameters, which become numbers in the text.
        dialect: "duckdb".
        target: The target's column.
        prediction: The prediction's column, or one for each raw output; `y_pred`, or the names of
            the raw outputs, unless given.
        order: 0, 1 or 2; for several raw outputs 0 only.
        raw: Whether predictions are raw scores and not probabilities or positive means.
        clip: How far from 0 and 1 probabilities are kept, as a call with float64 does.

    """
    form = loss.form(raw)
    count = len(form.graph.outputs)
    names = [prediction] if isinstance(prediction, str) else list(prediction)
    names = names or (["y_pred"] if count == 1 else list(loss.outputs))
    if len(names) != count or (order and count > 1):
        raise ValueError(
            f"{loss.name} has the raw outputs {', '.join(loss.outputs)}: give prediction= one "
            f"column for each, and order=0 where there are several; got {names} and order={order}"
        )
    symbols = form.graph.symbols
    columns = dict(zip(symbols, (target, *names, *form.arguments(clip)), strict=True))
    (output,) = form.graph.select((("value", "gradient", "hessian")[order],))
    domains = dict(zip(symbols, (form.target, *form.predictions), strict=False))
    return expression(output, columns, dialect, domains)


def loss_source(loss: Any) -> str:
    """Return the loss as SQL over the columns `y_true` and `y_pred`."""
    return loss_to(loss)


def quote(name: str) -> str:
    """Return `name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def number(value: float) -> str:
    """Return `value` as a DOUBLE literal that reads back as the same float64."""
    if not isfinite(value):
        return f"'{value}'::DOUBLE"
    digits, _, exponent = repr(abs(value)).partition("e")
    text = f"{digits.removesuffix('.0')}e{int(exponent or 0)}"
    return f"(-{text})" if value < 0 else text


def _outside(column: str, domain: Domain) -> list[str]:
    """Return the conditions under which a value is outside `domain`; infinite ends do not count."""
    if domain.values:
        return [f"{column} NOT IN ({', '.join(map(number, domain.values))})"]
    tests = []
    if isfinite(domain.lower):
        tests.append(f"{column} {'<=' if domain.open_lower else '<'} {number(domain.lower)}")
    if isfinite(domain.upper):
        tests.append(f"{column} {'>=' if domain.open_upper else '>'} {number(domain.upper)}")
    if domain.hole is not None:
        tests.append(f"{column} = {number(domain.hole)}")
    return tests


def _with_numbers(output: Expr, columns: Mapping[str, str | float]) -> Expr:
    """Return `output` in a trace of its own, with numbers in place of the symbols that have one."""
    table = rows(output)
    names = [str(value) for op, _, value in table if op == "symbol"]
    missing = [name for name in names if name not in columns]
    if missing:
        raise ValueError(
            f"no column for {', '.join(missing)}: columns= must name one, or give a number, for "
            f"each of {', '.join(names)}"
        )
    trace = Trace(names)
    numbers = {n: trace.constant(v) for n, v in columns.items() if not isinstance(v, str)}
    return rebuild(table, trace, lambda op, args: trace.node(op, *args), numbers)[-1]
