r"""A formula over an axis as mathematics: sums, maxima and lengths, softmax f as p with an index.

What varies along the axis has an index. A sum's text is written where it stands, when the next free
index is known: k over classes, j in a sum that is part of the gradient by f_k.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from losskit.backends.latex_axis_rules import included
from losskit.backends.latex_axis_terms import PLACE, Operator, Terms
from losskit.backends.latex_cases import (
    Cases,
    Choice,
    Relation,
    cases,
    condition_of,
    leaves,
    negated,
)
from losskit.backends.latex_expand import expanded, gathered
from losskit.backends.latex_products import product_terms
from losskit.backends.latex_writer import Writer, symbol_text
from losskit.formula.domain import Domain
from losskit.formula.expr import Expr, Trace, reachable
from losskit.formula.inputs import PerElement
from losskit.formula.primitives import where

_INDICES = {"class": "kji", "label": "kji", "feature": "ijk", "item": "ijk"}
_COUNTS = {"class": "K", "label": "K", "feature": "d", "item": "n"}
_LETTERS = ("softmax", "sparsemax", "sigmoid")  # whose results have a letter of their own
_BARE = -2  # the depth at which vectors stand without an index; −1 is outside of all sums


def of_rows(loss: Any, order: int) -> str:
    """Return a loss over an axis (order 0), its gradient (1) or the diagonal of its Hessian (2).

    Parameters at 0 and 1 are those numbers, others stand by their names.
    """
    graph = loss.definition.graph(loss.definition.statics(loss.params), True)
    nodes = graph.select((("value", "gradient", "hessian")[order],))
    page = _page_of(loss)
    shown = [page.terms.of(node) for node in nodes]
    page.used.update(_used(page.terms, shown))
    texts = [page.text(one, 0 if one.rank == 2 else -1) for one in shown]
    if order:
        outputs = [page.derivative(str(o.value), o.rank, order) for o in graph.outputs]
        texts = [f"{left} = {text}" for left, text in zip(outputs, texts, strict=True)]
    body = texts[0]
    if len(texts) > 1:
        lines = r" \\ ".join(text.replace(" = ", " &= ", 1) for text in texts)
        body = rf"\begin{{aligned}} {lines} \end{{aligned}}"
    return r" \quad ".join([body, *page.legend(body)])


@dataclass(frozen=True)
class _Page:
    """How the symbols of one formula are written."""

    terms: Terms
    indices: str
    count: str
    initials: Mapping[str, str]  # letters of inputs whose names are words
    used: set[str] = field(default_factory=set)  # operators that the texts are of

    def text(self, shown: Expr, depth: int) -> str:
        """Return a term's text below `depth` + 1 indices: the shortest of its forms."""
        return min(self._forms(shown, depth), key=len)

    def derivative(self, symbol: str, rank: int, order: int) -> str:
        """Return the left side of an equation for a derivative."""
        by = self._base(symbol) + (f"_{self.indices[0]}" if rank == 2 else "")
        power = "" if order == 1 else "^2"
        return rf"\frac{{\partial{power} \ell}}{{\partial {by}{power}}}"

    def legend(self, body: str) -> list[str]:
        """Return what letters in `body` stand for."""
        found: list[str] = []
        for name, operator in self.terms.operators.items():
            if name in self.used and operator.kind in _LETTERS and _has(self._base(name), body):
                found.append(f"{self._base(name)} = {self._definition(operator)}")
        said = " ".join([body, *found])
        words = [rf"{a} = \text{{{word}}}" for word, a in self.initials.items() if _has(a, said)]
        return [*found, *words]

    def symbol(self, name: str, depth: int) -> str:
        """Return the text of a symbol below `depth` + 1 indices."""
        if name == PLACE:
            return self.indices[max(depth, 0)]
        operator, rank = self.terms.operators.get(name), self.terms.trace.ranks.get(name, 0)
        if operator is not None and operator.kind not in _LETTERS:
            return self._operation(operator, depth)
        base = self._base(name)
        return f"{base}_{self.indices[depth]}" if rank == 2 and depth != _BARE else base

    # --- parts

    def _writer(self, depth: int) -> Writer:
        return Writer(True, _Names(self, depth))

    def _forms(self, shown: Expr, depth: int) -> Iterator[str]:
        writer, tree = self._writer(depth), cases(shown, self.terms.domains)
        yield writer.cases(tree)
        yield writer.cases(_each(tree, lambda term: _simplest(term, writer)))
        joined = self._unlimited(_each(tree, self._joined))
        yield writer.cases(_each(joined, lambda term: _simplest(term, writer)))
        terms = expanded(shown)
        if terms is not None and len(leaves(tree)) > 1:
            yield writer.term(gathered(terms, shown))[0]
            yield writer.term(self._joined(shown))[0]

    def _joined(self, term: Expr) -> Expr:
        """Return a term with its sums over the axis made few."""
        terms = expanded(term)
        made = None if terms is None else expanded(self.terms.joined(terms, term))
        return term if made is None else gathered(made, term)

    def _unlimited(self, tree: Cases) -> Cases:
        """Leave out a choice at y = 0 that the limit of y·log y makes."""
        if not isinstance(tree, Choice) or not isinstance(tree.condition, Relation):
            return tree
        asked, first, second = tree.condition, tree.first, tree.second
        if asked.signs == {">"} and isinstance(first, Expr) and isinstance(second, Expr):
            made = self.terms.limit(where(asked.left > asked.right, first, second))
            return tree if made.op == "where" else made
        return tree

    def _base(self, name: str) -> str:
        operator = self.terms.operators.get(name)
        if operator is None:
            return self.initials.get(name) or symbol_text(name, tex=True)
        alike = [n for n, o in self.terms.operators.items() if o.kind in _LETTERS]
        alike.sort(key=lambda n: n not in self.used)
        data = [self._base(n) for n in self.terms.trace.ranks if n not in self.terms.operators]
        free = [c for c in "pqsuvw" if c not in data]
        return free[alike.index(name)]

    def _operation(self, operator: Operator, depth: int) -> str:
        kind, inner = operator.kind, max(depth, -1) + 1
        if kind == "count":
            return self.count
        if kind.startswith("at "):
            place = self.text(operator.body, depth)
            return f"{self._base(kind[3:])}_{place if len(place) == 1 else f'{{{place}}}'}"
        if kind == "norm":
            inner_text = self._writer(_BARE).term(operator.body)[0]
            high = r"\frac" in inner_text
            return rf"\left\|{inner_text}\right\|" if high else rf"\|{inner_text}\|"
        below = self._below(operator, inner)
        below = below if len(below) == 1 else f"{{{below}}}"
        body = self._summand(operator.body, inner)
        if kind == "argmax":
            there = rf"{self.indices[depth]} = \arg\max_{below} {body}"
            return rf"\mathbf{{1}}\{{{there}\}}"
        return rf"{_SIGNS[kind]}_{below} {body}"

    def _summand(self, body: Expr, depth: int) -> str:
        """Return the shortest text of what a sum or maximum stands before."""
        writer, tree = self._writer(depth), cases(body, self.terms.domains)
        if len(leaves(tree)) > 1:
            return self.text(body, depth)
        terms = expanded(body)
        forms = [body] if terms is None else [body, gathered(terms, body)]
        return min((_bracketed(form, writer) for form in forms), key=len)

    def _below(self, operator: Operator, depth: int) -> str:
        index = self.indices[depth]
        if operator.condition is None:
            return index
        text = self._writer(depth).condition(condition_of(operator.condition))
        return text if text.startswith(f"{index} ") else rf"{index} :\, {text}"

    def _definition(self, operator: Operator) -> str:
        if operator.kind == "sigmoid":
            return rf"\sigma({self._base(str(operator.body.value))})"
        name = rf"\operatorname{{{operator.kind}}}"
        body, excluded = included(operator.body)
        if excluded is not None:
            only = self._writer(0).condition(negated(condition_of(excluded)))
            return rf"{name}({self.text(body, 0)} :\, {only})"
        text = self._writer(_BARE).cases(cases(body, self.terms.domains))
        return rf"{name} {text}" if body.op == "symbol" else rf"{name}({text})"


_SIGNS = {"sum": r"\sum", "max": r"\max"}


class _Names(Mapping[str, str]):
    """The texts of symbols at one depth, each written when it is asked for."""

    def __init__(self, page: _Page, depth: int) -> None:
        self._page, self._depth = page, depth

    def __getitem__(self, name: str) -> str:
        return self._page.symbol(name, self._depth)

    def __iter__(self) -> Iterator[str]:
        return iter(self._page.terms.trace.ranks)

    def __len__(self) -> int:
        return len(self._page.terms.trace.ranks)


def _page_of(loss: Any) -> _Page:
    definition = loss.definition
    inputs = [(s, one) for s, (_, one) in zip(definition.symbols, definition.inputs, strict=True)]
    parameters = definition.formula_parameters
    names = [*(s for s, _ in inputs), *(p.name for p in parameters)]
    words = [s for s, _ in inputs if len(s) > 1]
    first = [word[0] for word in words]
    ranks = {PLACE: 2, **{s: one.rank for s, one in inputs}}
    ranks |= {p.name: 2 if isinstance(p.domain, PerElement) else 0 for p in parameters}
    domains = {s: one.domain for s, one in inputs}
    domains |= {p.name: p.domain for p in parameters if isinstance(p.domain, Domain)}
    terms = Terms(
        trace=Trace([*names, PLACE], ranks),
        length=definition.axis == "feature",
        one_hot=frozenset(s for s, one in inputs if one.classes == "hard"),
        shares={s for s, one in inputs if one.classes == "soft"},
        levels=frozenset(s for s, one in inputs if one.classes == "level"),
        domains=domains,
    )
    return _Page(
        terms,
        _INDICES[definition.axis],
        _COUNTS[definition.axis],
        {w: w[0] for w in words if first.count(w[0]) == 1 and w[0] not in names},
    )


def _used(terms: Terms, nodes: Iterable[Expr]) -> set[str]:
    """Return the names of the operators that stand in `nodes`, or in what these are of."""
    found: set[str] = set()
    waiting = [str(n.value) for n in reachable(nodes) if n.op == "symbol"]
    while waiting:
        name = waiting.pop()
        operator = terms.operators.get(name)
        if operator is None or name in found:
            continue
        found.add(name)
        inner = [operator.body, *([] if operator.condition is None else [operator.condition])]
        waiting += [str(n.value) for n in reachable(inner) if n.op == "symbol"]
        if operator.kind.startswith("at "):
            waiting.append(operator.kind[3:])
    return found


def _each(tree: Cases, change: Callable[[Expr], Expr]) -> Cases:
    if isinstance(tree, Choice):
        return replace(tree, first=_each(tree.first, change), second=_each(tree.second, change))
    return change(tree)


def _simplest(term: Expr, writer: Writer) -> Expr:
    terms = expanded(term)
    if terms is None:
        return term
    return min(term, gathered(terms, term), key=lambda t: len(writer.term(t)[0]))


def _bracketed(body: Expr, writer: Writer) -> str:
    products, text = product_terms(body), writer.term(body)[0]
    if len(products) == 1 and products[0].coefficient > 0:
        return text
    high = r"\frac" in text or r"\begin" in text
    return rf"\left({text}\right)" if high else f"({text})"


def _has(letter: str, text: str) -> bool:
    """Say whether a letter stands in a text by itself."""
    return re.search(rf"(?<![A-Za-z\\]){re.escape(letter)}(?![A-Za-z(])", text) is not None
