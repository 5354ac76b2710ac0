"""The card of one loss, as `losskit show` prints it; what has no number or formula is left out."""

from __future__ import annotations

import math
from typing import Any

import click

from losskit.cli.list import wrapped

_LINKS = {
    "log": "log: f is the logarithm of the prediction",
    "logit": "logit: f is the log-odds of the prediction",
    "identity": "identity: f is the prediction",
}
_TOO_LONG = 240  # characters after which a derivative says more to a machine


def print_card(loss: Any) -> None:
    """Print what a loss does, its formulas by the raw score, its numbers and its relatives."""
    click.secho(repr(loss).removeprefix("losskit."), bold=True)
    click.echo(wrapped(loss.summary, 0))
    click.echo()
    if loss.kind == "pointwise":
        lines = [*_formulas(loss), *_facts(loss), *_parameters(loss), *_numbers(loss)]
    elif loss.kind == "rows":
        lines = [*_formulas(loss), *_inputs(loss), *_parameters(loss)]
    else:
        lines = [("formula", "none: an algorithm over the whole batch"), *_inputs(loss)]
        lines += _parameters(loss)
    lines += _relatives(loss)
    width = max(len(label) for label, _ in lines) + 2
    for label, text in lines:
        # The label is laid aside while wrapping, whose width its colour would count in.
        body = wrapped(" " * width + text, width)[width:]
        click.echo(f"{click.style(f'{label:<{width}}', dim=True)}{body}")


def _formulas(loss: Any) -> list[tuple[str, str]]:
    from losskit.cli.readable import written
    from losskit.formula.expr import Unsupported

    graph = loss.form(raw=True).graph
    lines: list[tuple[str, str]] = []
    said: set[tuple[str, str]] = set()
    orders = (("formula", "value"), ("gradient", "gradient"), ("curvature", "hessian"))
    for order, (label, wanted) in enumerate(orders):
        try:
            parts, results = written(graph.select((wanted,)))
        except Unsupported as error:
            lines.append((label, f"none: {error}"))
            continue
        if len(loss.outputs) > 1 and loss.kind == "pointwise":
            names = dict(zip(loss.definition.symbols, loss.outputs, strict=True))
            parts = [(name, _renamed(text, names)) for name, text in parts]
            results = [_renamed(text, names) for text in results]
        shown = [(f"  with {name}", f"= {text}") for name, text in parts]
        if order and sum(len(text) for _, text in [*shown, *enumerate(results)]) > _TOO_LONG:
            if loss.kind == "pointwise":
                lines.append((label, f"long; see losskit.{loss.name}.latex({order})"))
            continue
        for index, text in enumerate(results):
            by = f" by {loss.outputs[index]}" if len(results) > 1 else ""
            lines.append((label + by, text))
        lines += [line for line in shown if line not in said]
        said.update(shown)
    return lines


def _renamed(text: str, names: dict[str, str]) -> str:
    for symbol, name in names.items():
        text = text.replace(symbol, name)
    return text


def _facts(loss: Any) -> list[tuple[str, str]]:
    links = loss.link if isinstance(loss.link, tuple) else (loss.link,)
    scores = " and ".join(dict.fromkeys(_LINKS.get(repr(link), repr(link)) for link in links))
    if len(links) > 1:
        pairs = zip(loss.outputs, links, strict=True)
        scores = ", ".join(f"{name} by {link!r}" for name, link in pairs)
    return [
        ("link", scores),
        ("target y", str(loss.target_domain)),
        ("prediction", _predictions(loss)),
        ("estimates", loss.elicits),
    ]


def _inputs(loss: Any) -> list[tuple[str, str]]:
    """Say what each data argument of a loss over an axis holds, and what becomes of them."""
    definition = loss.definition
    symbols = getattr(definition, "symbols", [name for name, _ in definition.inputs])
    texts = []
    for symbol, (name, one) in zip(symbols, definition.inputs, strict=True):
        called = f"{name} ({symbol} above)" if symbol != name else name
        texts.append(f"{called}: {_held(one, definition)}")
    lines = _listed("takes", texts)
    along = any(one.rank == 2 for _, one in definition.inputs)
    lines.append(("one value for", _AXES[definition.axis] if along else "each row"))
    if loss.elicits:
        lines.append(("estimates", loss.elicits))
    return lines


# By the axis: what a loss charges for.
_AXES = {
    "class": "each row; sum and max run over its classes",
    "label": "each row; sum and max run over its labels",
    "feature": "each row; sum and max run over its features",
    "item": "each list: a row of a matrix, or what has the same query=",
    "row": "each example that the algorithm finds in the batch",
}
_CLASSES = {
    "hard": "a class index, or a one-hot row",
    "soft": "a class index, a one-hot row or class probabilities",
    "index": "an index",
    "level": "a level 0, 1, … up to the number of columns",
    "key": "labels of any kind, equal or not",
}


def _held(one: Any, definition: Any) -> str:
    if one.classes:
        return _CLASSES.get(one.classes, one.classes)
    across = f"one for each {definition.axis}" if definition.axis != "row" else "a vector"
    if not one.trained:
        return f"{one.domain}, {across if one.rank == 2 else 'one for each row'}"
    link = next((k.name for k in definition.links), "identity")
    if link == "softmax":
        return "class probabilities that sum to 1, or with raw=True logits"
    if link == "logit" and any(other.classes == "level" for _, other in definition.inputs):
        return "probabilities of exceeding each level but the last, or with raw=True logits"
    if link == "logit":
        return f"probabilities, {across}, or with raw=True logits"
    if one.rank == 1:
        return "scores, one for each row"
    named = {"feature": "vectors", "row": "vectors"}.get(definition.axis)
    return named or f"scores, {across}"


def _parameters(loss: Any) -> list[tuple[str, str]]:
    defaults = {p.name: p for p in loss.definition.parameters}
    texts = [
        f"{name} = {_value(value)} ({_allowed(defaults[name].domain)}; default "
        f"{_value(defaults[name].default)})"
        for name, value in loss.params.items()
    ]
    return _listed("parameters", texts)


def _listed(label: str, texts: list[str]) -> list[tuple[str, str]]:
    return list(zip([label, *[""] * len(texts)], texts, strict=False))


def _allowed(domain: Any) -> str:
    from losskit.formula.inputs import Choice, Integer, PerElement

    if isinstance(domain, Choice):
        return " or ".join(map(_value, domain.values))
    if isinstance(domain, Integer):
        least = f" of at least {_number(domain.lower)}" if math.isfinite(domain.lower) else ""
        return f"a whole number{least}" + " or none" * domain.none
    if isinstance(domain, PerElement):
        return f"{domain.domain}, or one such number for each element"
    return str(domain)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return "/".join(map(_value, value))
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else _number(value)


def _predictions(loss: Any) -> str:
    domains = loss.form(raw=False).predictions
    if len(domains) == 1:
        return str(domains[0])
    words = []
    for name, domain, link in zip(loss.outputs, domains, loss.definition.links, strict=True):
        # Such an output is named for its raw score.
        logged = repr(link) == "log" and name.startswith("log_")
        place = f" (the {name[4:]} itself; its log is the raw score)" if logged else ""
        words.append(f"{name}: {domain}{place}")
    return ", ".join(words)


def _numbers(loss: Any) -> list[tuple[str, str]]:
    found = loss.properties
    if math.isnan(found.lipschitz):
        return [("values", _interval(found.range))]
    kinks = ", ".join(
        f"f = {_number(kink.position)} (slope {_number(kink.left)} to {_number(kink.right)})"
        for kink in found.kinks
    )
    words = [
        "convex" if found.convex else "not convex",
        *(["strongly convex"] if found.strongly_convex else []),
        "smooth" if found.smooth else "differentiable" if found.differentiable else "has corners",
        "bounded pull" if found.robust else "unbounded pull",
        *(["symmetric"] if found.symmetric else []),
    ]
    return [
        ("shape", ", ".join(words)),
        ("values", _interval(found.range)),
        ("steepest slope", _number(found.lipschitz)),
        ("curvature in", _interval(found.curvature)),
        ("kinks", f"{kinks}, for y = {_number(found.at)}" if kinks else "none"),
    ]


def _relatives(loss: Any) -> list[tuple[str, str]]:
    lines = []
    if loss.aliases:
        lines.append(("also called", ", ".join(loss.aliases)))
    for name, factor in loss.same_as.items():
        lines.append(("equals", f"{name}" if factor == 1 else f"{_number(factor)} × {name}"))
    if loss.cite:
        lines.append(("source", loss.cite))
    return lines


def _interval(ends: tuple[float, float]) -> str:
    low, high = map(_number, ends)
    return low if low == high else f"{low} to {high}"


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.6g}".replace("inf", "∞").replace("-", "−")
