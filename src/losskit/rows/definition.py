"""What a loss over an axis is: a formula of rows, its data inputs and parameters."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from losskit.definition import (
    CALL_OPTIONS,
    RESERVED,
    Parameter,
    check_declared,
    copies,
    existing,
    task_of,
)
from losskit.formula.adjoint import along, diagonal, gradients
from losskit.formula.domain import Domain
from losskit.formula.expr import Expr, FormulaError, Row, Trace, rebuild, rows
from losskit.formula.inputs import Choice, ClassWeight, IgnoredIndex, Input, PerElement, Vector
from losskit.links import LINKS, Link, on_prediction_scale

AXES = ("class", "label", "feature", "item")
# Parameters of every loss whose target is a class: they act on weights, the formula has no say; it
# names one only to give it another default.
_OF_CLASSES = (
    Parameter("class_weight", None, ClassWeight.__metadata__[0]),
    Parameter("ignore_index", None, IgnoredIndex.__metadata__[0]),
)


@dataclass(frozen=True, eq=False)
class RowGraph:
    """One scale's form of a loss: nodes of its inputs, parameters and a row's value."""

    name: str
    symbols: tuple[str, ...]
    ranks: Mapping[str, int]
    outputs: tuple[Expr, ...]
    value: Expr

    @cached_property
    def gradient(self) -> tuple[Expr, ...]:
        """The derivative by each trained input."""
        return gradients(self.value, self.outputs)

    @cached_property
    def hessian(self) -> tuple[Expr, ...]:
        """The second derivative by each element of each trained input."""
        pairs = zip(self.gradient, self.outputs, strict=True)
        return tuple(diagonal(g, o) for g, o in pairs)

    @cached_property
    def orders(self) -> tuple[str, ...]:
        """What of value, gradient and Hessian exists."""
        return existing(self)

    @cached_property
    def product(self) -> tuple[Expr, ...]:
        """The Hessian times a vector, whose parts are the symbols v0, v1, …."""
        trace, directions = self.value.trace, {}
        for i, output in enumerate(self.outputs):
            trace.ranks = {**trace.ranks, f"v{i}": output.rank}
            directions[output] = trace.add("symbol", (), f"v{i}")
        return tuple(along(g, directions) for g in self.gradient)

    def select(self, wanted: tuple[str, ...]) -> list[Expr]:
        """Return copies of the nodes of 'value', 'gradient', 'hessian', 'product' as wanted."""
        nodes: list[Expr] = []
        for name in wanted:
            nodes += [self.value] if name == "value" else getattr(self, name)
        ranks = {**self.ranks, **{f"v{i}": o.rank for i, o in enumerate(self.outputs)}}
        return copies(nodes, Trace(self.symbols, ranks))


Statics = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, eq=False)
class RowDefinition:
    """Everything its author said about a loss over an axis, once."""

    name: str
    doc: str
    task: str
    formula: Callable[..., Expr] | tuple[tuple[Statics, tuple[Row, ...]], ...]
    axis: str
    symbols: tuple[str, ...]  # of the inputs, as the formula names them
    inputs: tuple[tuple[str, Input], ...]  # by the names that users see: y_true for y, y_pred for f
    parameters: tuple[Parameter, ...]
    links: tuple[Link, ...]
    optimum: str
    cite: str
    aliases: tuple[str, ...]
    same_as: tuple[tuple[str, float], ...]
    kernel: str = ""  # the backend whose compiled kernel computes the same, if there is one
    perplexity: bool = False  # whether at its defaults e^(its mean) is a familiar figure too
    _graphs: dict[Any, RowGraph] = field(default_factory=dict, repr=False)

    kind = "rows"
    fixed = root = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the inputs that gradients are taken by."""
        return tuple(name for name, one in self.inputs if one.trained)

    @property
    def target(self) -> Domain:
        """Where targets may lie: of the first input that is not trained."""
        return next(
            (one.domain for _, one in self.inputs if not one.trained), self.inputs[0][1].domain
        )

    @property
    def predictions(self) -> tuple[Domain, ...]:
        """Where each trained input lies on the prediction scale."""
        domains = dict(self.inputs)
        links = zip(self.links, self.outputs, strict=True)
        return tuple(
            k.domain if k.name != "identity" else domains[name].domain for k, name in links
        )

    @property
    def has_classes(self) -> bool:
        """Whether a target is a class, which class weights and an ignored index apply to."""
        return any(one.classes for _, one in self.inputs)

    @property
    def formula_parameters(self) -> tuple[Parameter, ...]:
        """The parameters that the formula takes."""
        own = {p.name for p in _OF_CLASSES} if self.has_classes else set()
        return tuple(p for p in self.parameters if p.name not in own)

    def statics(self, params: Mapping[str, Any]) -> Statics:
        """Return the parameters that decide how the formula is traced: choices, what is left out,
        and numbers at 0 or 1, with which the terms that they switch off vanish.
        """
        own = [(p, params[p.name]) for p in self.formula_parameters]
        return tuple(
            (p.name, v) for p, v in own if v in (None, 0, 1) or isinstance(p.domain, Choice)
        )

    def graph(self, statics: Statics, raw: bool = True) -> RowGraph:
        """Return the traced formula for these static parameters."""
        raw = raw or all(link.name == "identity" for link in self.links)
        if (statics, raw) not in self._graphs:
            made = self._trace(statics) if raw else self._substitute(statics)
            self._graphs[statics, raw] = made
        return self._graphs[statics, raw]

    def _trace(self, statics: Statics) -> RowGraph:
        fixed = dict(statics)
        own = [p for p in self.formula_parameters if p.name not in fixed]
        names = (*self.symbols, *(p.name for p in own))
        ranks = {s: one.rank for s, (_, one) in zip(self.symbols, self.inputs, strict=True)}
        ranks |= {p.name: 2 for p in own if isinstance(p.domain, PerElement)}
        trace = Trace(names, ranks)
        nodes = trace.symbols
        if isinstance(self.formula, tuple):
            numbers = {name: trace.constant(v) for name, v in statics if _is_number(v)}
            table = self._table(tuple((name, v) for name, v in statics if name not in numbers))
            value = rebuild(table, trace, lambda op, args: _build(trace, op, args), numbers)[-1]
        else:
            parameters = {
                p.name: _constant(trace, p, fixed[p.name]) if p.name in fixed else nodes[p.name]
                for p in self.formula_parameters
            }
            value = self.formula(*(nodes[s] for s in self.symbols), **parameters)
        if not isinstance(value, Expr) or value.rank > 1:
            varies = f"what varies along the {self.axis} axis"
            given = varies if isinstance(value, Expr) else f"{value!r:.40}"
            raise FormulaError(
                f"{self.name}: the formula has to return one value for a row, as by sum_ or max_, "
                f"not {given}"
            )
        return RowGraph(self.name, names, ranks, tuple(nodes[s] for s in self._trained), value)

    @property
    def _trained(self) -> tuple[str, ...]:
        pairs = zip(self.symbols, self.inputs, strict=True)
        return tuple(symbol for symbol, (_, one) in pairs if one.trained)

    def _substitute(self, statics: Statics) -> RowGraph:
        plain = self.graph(statics)
        extra = ("clip_lower", "clip_upper")
        trace = Trace((*plain.symbols, *extra), plain.ranks)
        lower, upper = (trace.symbols[name] for name in extra)
        outputs = tuple(
            trace.node("minimum", trace.node("maximum", trace.symbols[s], lower), upper)
            if link.clips
            else trace.symbols[s]
            for s, link in zip(self._trained, self.links, strict=True)
        )
        table = rows(plain.value)
        value = on_prediction_scale(table, trace, outputs, self.links, self._trained)[-1]
        return RowGraph(self.name, (*plain.symbols, *extra), plain.ranks, outputs, value)

    def _table(self, choices: Statics) -> tuple[Row, ...]:
        assert isinstance(self.formula, tuple)
        for known, table in self.formula:
            if known == choices:
                return table
        raise ValueError(
            f"{self.name} was pickled with {dict(self.formula[0][0])}: what decides how its "
            "formula is traced is changed before it travels"
        )

    def frozen(self, params: Mapping[str, Any]) -> RowDefinition:
        """Return the definition as plain data that can be pickled; its choices stay as they are."""
        if isinstance(self.formula, tuple):
            return self
        choices = tuple((n, v) for n, v in self.statics(params) if not _is_number(v))
        table = rows(self._trace(choices).value)
        return replace(self, formula=((choices, table),), _graphs={})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RowDefinition) or not isinstance(self.formula, tuple):
            return self is other
        mine = [getattr(self, f.name) for f in fields(self) if f.name != "_graphs"]
        return mine == [getattr(other, f.name) for f in fields(self) if f.name != "_graphs"]

    def __hash__(self) -> int:
        return hash(self.name)


def _constant(trace: Trace, parameter: Parameter, value: Any) -> Any:
    """Return a number as the formula takes a symbol; a choice, or what is left out, as it is."""
    number = isinstance(parameter.domain, (Domain, PerElement)) and value is not None
    return trace.constant(value) if number else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _build(trace: Trace, op: str, args: tuple[Expr, ...]) -> Expr:
    return trace.node(op, *args) if args else trace.add(op, ())


def define_rows(
    function: Callable[..., Expr],
    *,
    axis: str,
    link: str = "identity",
    optimum: str = "",
    cite: str = "",
    aliases: tuple[str, ...] = (),
    same_as: Mapping[str, float] | None = None,
    kernel: str = "",
    perplexity: bool = False,
    **unknown: Any,
) -> RowDefinition:
    """Return the definition of a formula over `axis`, traced once so that mistakes show here."""
    name = function.__name__
    if unknown:
        raise TypeError(
            f"{name}: a formula over an axis declares no {min(unknown)}=; what its arguments hold "
            "is said by their annotations, and there are link, optimum, cite, aliases, same_as"
        )
    check_declared(name, aliases)
    if axis not in AXES:
        raise ValueError(f"{name}: axis={axis!r}; needed is one of {', '.join(AXES)}")
    if link not in LINKS:
        raise ValueError(f"{name}: link={link!r}; needed is one of {', '.join(LINKS)}")
    inputs, parameters = signature_of(function)
    if any(one.classes for _, one in inputs):
        own = {p.name for p in parameters}
        parameters += tuple(p for p in _OF_CLASSES if p.name not in own)
    definition = RowDefinition(
        name=name,
        doc=inspect.cleandoc(function.__doc__ or ""),
        task=task_of(function),
        formula=function,
        axis=axis,
        symbols=tuple(name for name, _ in inputs),
        inputs=tuple((_SAID.get(name, name), one) for name, one in inputs),
        parameters=parameters,
        links=(LINKS[link],) * sum(one.trained for _, one in inputs),
        optimum=optimum,
        cite=cite,
        aliases=tuple(aliases),
        same_as=tuple((same_as or {}).items()),
        kernel=kernel,
        perplexity=perplexity,
    )
    definition.graph(definition.statics({p.name: p.default for p in parameters}))
    return definition


def signature_of(
    function: Callable[..., Any], frame: tuple[str, ...] = ()
) -> tuple[tuple[tuple[str, Input], ...], tuple[Parameter, ...]]:
    """Return the data inputs and the parameters that a function names; `frame` says which of its
    arguments are neither.
    """
    name, hints = function.__name__, typing.get_type_hints(function, include_extras=True)
    inputs: list[tuple[str, Input]] = []
    parameters: list[Parameter] = []
    for p in inspect.signature(function).parameters.values():
        if p.name in frame:
            continue
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise ValueError(f"{name}: a formula names its arguments, it takes no *args, **kwargs")
        said = getattr(hints.get(p.name), "__metadata__", ())
        held = next((m for m in said if isinstance(m, Input)), None)
        if p.default is p.empty:
            if said and held is None:
                raise ValueError(
                    f"{name}: the parameter {p.name} needs a default, {p.name}: … = 1.0"
                )
            if _TAKEN.fullmatch(p.name) or p.name in CALL_OPTIONS:
                raise ValueError(f"{name}: no argument can be called {p.name!r}, which is reserved")
            inputs.append((p.name, held or _VECTOR))
            continue
        if p.name in RESERVED or _TAKEN.fullmatch(p.name):
            raise ValueError(f"{name}: a parameter cannot be called {p.name!r}, which is reserved")
        domain = next((m for m in said if not isinstance(m, Input)), Domain())
        parameters.append(Parameter(p.name, p.default, domain).checked(name))
    if not any(one.trained for _, one in inputs):
        raise ValueError(f"{name}: no argument is trained; annotate one as Vector or Score")
    return tuple(inputs), tuple(parameters)


# Names that generated text has for its own: steps, vectors, what it calls.
_TAKEN = re.compile(r"[tfv]\d+|_.*|axis|float|np")
_SAID = {"y": "y_true", "f": "y_pred"}
_VECTOR = Vector.__metadata__[0]
