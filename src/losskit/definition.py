"""What a loss is: a traced formula with what its author declared, and the registry of losses."""

from __future__ import annotations

import inspect
import math
import numbers
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from dataclasses import fields as dataclass_fields
from functools import cached_property
from itertools import combinations
from typing import Any

from losskit.formula.diff import derivative
from losskit.formula.domain import REAL, Domain
from losskit.formula.expr import (
    Expr,
    FormulaError,
    Row,
    Trace,
    Unsupported,
    reachable,
    rebuild,
    rows,
)
from losskit.formula.inputs import Input
from losskit.formula.primitives import PRIMITIVES
from losskit.links import LINKS, Link, on_prediction_scale

CALL_OPTIONS = (
    "sample_weight", "mask", "reduction", "raw", "clip", "nan", "out", "value_out", "tier",
    "query", "empty",
)  # fmt: skip
RESERVED = {*CALL_OPTIONS, *PRIMITIVES, "y", "f", "np", "T", "clip_lower", "clip_upper"}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a loss: its name, default and the values it may take."""

    name: str
    default: Any
    domain: Any  # a Domain, or something else that reads a value: see `formula.domain`

    def checked(self, loss: str) -> Parameter:
        """Return the parameter with its default read as any value is."""
        return replace(self, default=self.check(loss, self.default))

    def check(self, loss: str, value: Any) -> Any:
        """Return `value` as a float, or raise ValueError if it is no number or not allowed."""
        if not isinstance(self.domain, Domain):
            return self.domain.read(f"{loss}: {self.name}", value)
        usable = value is None or (isinstance(value, numbers.Real) and not isinstance(value, bool))
        try:
            number = value if value is None or not usable else float(value)
        except OverflowError:
            number = math.inf
        if not usable or not self.domain.contains(number):
            allowed = str(self.domain)
            article = "a number in " if allowed[0] in "([{" else ""
            raise ValueError(f"{loss}: {self.name}={value!r:.40}; needed is {article}{allowed}")
        return number


@dataclass(frozen=True, eq=False)
class Graph:
    """One scale's form of a loss: the nodes of target, predictions, parameters and value."""

    name: str
    symbols: tuple[str, ...]
    outputs: tuple[Expr, ...]
    value: Expr
    curvature: tuple[Expr, ...] = ()  # what stands in for the second derivative, if anything

    @cached_property
    def gradient(self) -> tuple[Expr, ...]:
        """The derivative by each output."""
        return tuple(derivative(self.value, o) for o in self.outputs)

    @cached_property
    def hessian(self) -> tuple[Expr, ...]:
        """The second derivative by each output."""
        if self.curvature:
            return self.curvature
        pairs = zip(self.gradient, self.outputs, strict=True)
        return tuple(derivative(g, o, order=2) for g, o in pairs)

    @cached_property
    def orders(self) -> tuple[str, ...]:
        """What of value, gradient and Hessian exists."""
        return existing(self)

    def select(self, wanted: tuple[str, ...]) -> list[Expr]:
        """Return the nodes of 'value', 'gradient', 'hessian' in the order wanted.

        They are copies in a trace of their own, so that what one backend adds in lowering them does
        not change the order, and with it the text, of another's.
        """
        nodes: list[Expr] = []
        for name in wanted:
            nodes += [self.value] if name == "value" else getattr(self, name)
        return copies(nodes, Trace(self.symbols))


def existing(graph: Any) -> tuple[str, ...]:
    """Return what of value, gradient and Hessian a graph has."""
    found = ["value"]
    for name in ("gradient", "hessian"):
        try:
            getattr(graph, name)
        except Unsupported:
            break
        found.append(name)
    return tuple(found)


# A formula as plain data: its graph for each set of parameters that may be left out.
Tables = tuple[tuple[tuple[str, ...], tuple[Row, ...]], ...]


@dataclass(frozen=True, eq=False)
class Definition:
    """Everything its author said about a loss, once; the rest of losskit derives from it."""

    name: str
    doc: str
    task: str
    formula: Callable[..., Expr] | Tables
    outputs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    target: Domain | Callable[..., Domain]
    links: tuple[Link, ...]
    predictions: tuple[Domain, ...]
    optimum: str
    perfect: Callable[..., float] | None
    cite: str
    aliases: tuple[str, ...]
    same_as: tuple[tuple[str, float], ...]
    root: bool = False
    fixed: bool = False  # its parameters can no longer change: see `freeze`
    _graphs: dict[Any, Graph] = field(default_factory=dict, repr=False)

    kind = "pointwise"

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the raw outputs as they stand in generated text: f, or f0, f1, …."""
        n = len(self.outputs)
        return ("f",) if n == 1 else tuple(f"f{i}" for i in range(n))

    def graph(self, absent: frozenset[str] = frozenset(), raw: bool = True) -> Graph:
        """Return the traced formula, the parameters in `absent` being None."""
        raw = raw or all(link.name == "identity" for link in self.links)
        key = absent, raw
        if key not in self._graphs:
            make = self._trace if raw else self._substitute
            made = self._graphs[key] = make(absent)
            _ = made.orders  # differentiated before anyone adds a node: see `Graph.select`
        return self._graphs[key]

    def _present(self, absent: frozenset[str]) -> tuple[str, ...]:
        return tuple(p.name for p in self.parameters if p.name not in absent)

    def _trace(self, absent: frozenset[str]) -> Graph:
        names = ("y", *self.symbols, *self._present(absent))
        trace = Trace(names)
        nodes = trace.symbols
        if isinstance(self.formula, tuple):
            table = dict(self.formula)[tuple(sorted(absent))]
            value = rebuild(table, trace, lambda op, args: trace.node(op, *args))[-1]
        else:
            value = self.formula(
                nodes["y"],
                *(nodes[s] for s in self.symbols),
                **{p.name: nodes.get(p.name) for p in self.parameters},
            )
            if not isinstance(value, Expr):
                raise FormulaError(
                    f"{self.name}: the formula returned {type(value).__name__} ({value!r:.40}), "
                    "not an expression of its arguments; does it end with 'return'?"
                )
            if value.rank:
                raise FormulaError(f"{self.name}: sum_, max_ and the like run along an axis; say "
                                   'which: @losskit.loss(axis="class")')  # fmt: skip
        return Graph(self.name, names, tuple(nodes[s] for s in self.symbols), value)

    def _substitute(self, absent: frozenset[str]) -> Graph:
        plain = self.graph(absent)
        clips = any(link.clips for link in self.links)
        extra = ("clip_lower", "clip_upper") if clips else ()
        trace = Trace((*plain.symbols, *extra))
        outputs = tuple(trace.symbols[s] for s in self.symbols)
        if clips:
            lower, upper = (trace.symbols[name] for name in extra)
            outputs = tuple(
                trace.node("minimum", trace.node("maximum", p, lower), upper) if k.clips else p
                for p, k in zip(outputs, self.links, strict=True)
            )
        value = on_prediction_scale(rows(plain.value), trace, outputs, self.links, self.symbols)[-1]
        return Graph(self.name, (*plain.symbols, *extra), outputs, value)


def copies(nodes: list[Expr], trace: Trace) -> list[Expr]:
    """Return `nodes` made anew in `trace`, as they are."""
    made: dict[int, Expr] = {}
    for n in reachable(nodes):
        made[n.serial] = trace.add(n.op, tuple(made[a.serial] for a in n.args), n.value)
    return [made[n.serial] for n in nodes]


def define(
    function: Callable[..., Expr],
    *,
    target: Domain | Callable[..., Domain] = REAL,
    link: str | tuple[str, ...] = "identity",
    prediction: Domain | tuple[Domain, ...] | None = None,
    optimum: str = "",
    perfect: Callable[..., float] | None = None,
    cite: str = "",
    aliases: tuple[str, ...] = (),
    same_as: Mapping[str, float] | None = None,
    root: bool = False,
) -> Definition:
    """Return the definition of a formula, checked and traced once so that mistakes show here."""
    outputs, parameters = signature_of(function)
    check_declared(function.__name__, aliases)
    if not (isinstance(target, Domain) or callable(target)):
        raise TypeError(
            f"{function.__name__}: target={target!r}; needed is a Domain such as "
            "losskit.formula.REAL, or a function of the parameters that returns one"
        )
    links = (link,) * len(outputs) if isinstance(link, str) else tuple(link)
    if len(links) != len(outputs) or any(name not in LINKS for name in links):
        raise ValueError(
            f"{function.__name__}: link is one of {', '.join(LINKS)}, or one of them for each of "
            f"the {len(outputs)} raw outputs, not {link!r}"
        )
    definition = Definition(
        name=function.__name__,
        doc=inspect.cleandoc(function.__doc__ or ""),
        task=task_of(function),
        formula=function,
        outputs=outputs,
        parameters=parameters,
        target=target,
        links=tuple(LINKS[name] for name in links),
        predictions=_predictions(function.__name__, prediction, links),
        optimum=optimum,
        perfect=perfect,
        cite=cite,
        aliases=tuple(aliases),
        same_as=tuple((same_as or {}).items()),
        root=root,
    )
    definition.graph(frozenset(p.name for p in parameters if p.default is None))
    return definition


def _predictions(name: str, declared: Any, links: tuple[str, ...]) -> tuple[Domain, ...]:
    """Return where each output's predictions lie: as declared, else as its link has it."""
    if declared is None:
        return tuple(LINKS[link].domain for link in links)
    domains = declared if isinstance(declared, tuple) else (declared,) * len(links)
    if len(domains) != len(links) or not all(isinstance(d, Domain) for d in domains):
        raise TypeError(f"{name}: prediction={declared!r}; needed is a Domain, or one per output")
    return domains


def check_declared(name: str, aliases: Any) -> None:
    """Raise where a loss has no proper name, or aliases are not a tuple of names."""
    if not name.isidentifier():
        raise ValueError(f"a loss needs a name: define its formula by def, not as {name}")
    if isinstance(aliases, str) or not all(isinstance(a, str) for a in aliases):
        raise TypeError(f"{name}: aliases={aliases!r}; needed is a tuple of names")


def task_of(function: Callable[..., Any]) -> str:
    """The catalogue's files are its tasks; a user's loss belongs to none."""
    package, _, module = (function.__module__ or "").rpartition(".")
    return module if package == "losskit.losses" else "user"


def signature_of(
    function: Callable[..., Any],
) -> tuple[tuple[str, ...], tuple[Parameter, ...]]:
    """Return the names of a formula's raw outputs, and its parameters; y comes before them."""
    name = function.__name__
    hints = typing.get_type_hints(function, include_extras=True)
    data, parameters = [], []
    for p in inspect.signature(function).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise ValueError(
                f"{name}: a formula names its arguments, it takes no *args or **kwargs"
            )
        said = getattr(hints.get(p.name), "__metadata__", ())
        if any(isinstance(m, Input) for m in said):
            raise ValueError(
                f"{name}: {p.name} is annotated as data along an axis; say which, as in "
                '@losskit.loss(axis="class")'
            )
        domains = [m for m in said if _is_domain(m)]
        if p.default is p.empty:
            if domains:
                raise ValueError(
                    f"{name}: the parameter {p.name} needs a default, {p.name}: … = 1.0"
                )
            data.append(p.name)
            continue
        if p.name in RESERVED or re.fullmatch(r"[tf]\d+|_.*", p.name):
            raise ValueError(f"{name}: a parameter cannot be called {p.name!r}, which is reserved")
        parameters.append(
            Parameter(p.name, p.default, domains[0] if domains else REAL).checked(name)
        )
    if len(data) < 2:
        raise ValueError(
            f"{name}: a formula takes the target and at least one raw output without default, "
            f"then parameters with defaults; it has only {data or 'none'}"
        )
    return tuple(data[1:]), tuple(parameters)


def _is_domain(value: object) -> bool:
    return isinstance(value, Domain)


@dataclass(frozen=True)
class Frozen:
    """A definition as plain data, which travels to processes that cannot import its formula."""

    fields: tuple[tuple[str, Any], ...]
    formula: Tables

    def thaw(self) -> Definition:
        """Return the definition, whose formula is now the graph itself."""
        fields = dict(self.fields)
        fields["links"] = tuple(LINKS[name] for name in fields["links"])
        for op, args, _ in (row for _, table in self.formula for row in table):
            if op in ("symbol", "constant"):
                continue
            if op not in PRIMITIVES or PRIMITIVES[op].arity != len(args):
                raise ValueError(f"{op!r} of {len(args)} operands is not in the loss language")
        return Definition(formula=self.formula, **fields)


def freeze(definition: Definition, params: Mapping[str, float | None]) -> Frozen:
    """Return `definition` as plain data.

    A target that is a function of the parameters cannot travel: its domain for `params` does, and
    the parameters are then fixed.
    """
    optional = [p.name for p in definition.parameters if p.domain.none]
    absences = [c for n in range(len(optional) + 1) for c in combinations(sorted(optional), n)]
    tables = tuple((absent, rows(definition.graph(frozenset(absent)).value)) for absent in absences)
    target = definition.target
    fields = {f.name: getattr(definition, f.name) for f in dataclass_fields(Definition)}
    for name in ("formula", "_graphs"):
        del fields[name]
    fields |= {
        "target": target if isinstance(target, Domain) else target(**params),
        "links": tuple(link.name for link in definition.links),
        "perfect": None,
        "fixed": definition.fixed or not isinstance(target, Domain),
    }
    return Frozen(tuple(sorted(fields.items())), tables)


class Registry(Mapping[str, Any]):
    """Losses by name and alias; iterating gives the names."""

    def __init__(self) -> None:
        self._losses: dict[str, Any] = {}
        self._aliases: dict[str, str] = {}

    def add(self, loss: Any) -> None:
        """Register `loss`; a user's later definition of the same name replaces the earlier one."""
        for name in (loss.name, *loss.aliases):
            known = self.get(name)
            if known is not None and known.task != "user" and loss.task == "user":
                raise ValueError(f"{name!r} is a loss of the catalogue; give yours another name")
        self._losses[loss.name] = loss
        self._aliases |= dict.fromkeys(loss.aliases, loss.name)

    def __getitem__(self, name: str) -> Any:
        return self._losses[name if name in self._losses else self._aliases[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._losses)

    def __len__(self) -> int:
        return len(self._losses)

    def spellings(self) -> list[str]:
        """Return every name and alias."""
        return [*self._losses, *self._aliases]


REGISTRY = Registry()
