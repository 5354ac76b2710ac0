"""Losses as values: what users call."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from losskit.backends import suggest, through
from losskit.call import DEFAULTS
from losskit.compute import Form
from losskit.definition import CALL_OPTIONS, REGISTRY, freeze
from losskit.formula.domain import REAL, Domain
from losskit.reduction import Accumulation
from losskit.several import several, wide

# Who prepares a call of each kind of loss: `prepare(loss, wanted, data, options, vector)`.
KINDS = {
    "pointwise": "losskit.call",
    "rows": "losskit.rows.call",
    "written": "losskit.written",
}


@dataclass(frozen=True, eq=False, repr=False)
class Loss:
    """A loss with its parameters: call it on data, differentiate it, print it, change it."""

    definition: Any
    values: tuple[tuple[str, Any], ...]
    _forms: dict[bool, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        said = ", ".join(f"{k}={v!r}" for k, v in self.values) or "none"
        about = f"Takes ({', '.join(self.inputs)}). Parameters: {said}. Call options, as raw= and "
        about += "sample_weight=, are in help(losskit.Loss.__call__)."
        object.__setattr__(self, "__doc__", f"{self.doc}\n\n{about}")  # what help() and ? show

    # --- what it says of itself

    @property
    def name(self) -> str:
        """Its name in the registry and in generated text."""
        return self.definition.name

    @property
    def params(self) -> dict[str, Any]:
        """Parameter values by name."""
        return dict(self.values)

    @property
    def doc(self) -> str:
        """What it does and when to use it, as its author wrote it."""
        return self.definition.doc

    @property
    def summary(self) -> str:
        """The first sentence of `doc`."""
        return " ".join(self.doc.split("\n\n")[0].split())

    @property
    def kind(self) -> str:
        """What its formula sees: "pointwise", "rows", or "written" for an algorithm."""
        return str(self.definition.kind)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of its data arguments in order; gradients are taken by `outputs` among them."""
        if self.kind == "pointwise":
            return ("y_true", "y_pred")
        return tuple(name for name, _ in self.definition.inputs)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names for it."""
        return self.definition.aliases

    @property
    def task(self) -> str:
        """The part of the catalogue it belongs to; "user" for a user's own."""
        return self.definition.task

    @property
    def cite(self) -> str:
        """Where it comes from."""
        from losskit.losses.references import REFERENCES

        return REFERENCES.get(self.definition.cite, self.definition.cite)

    @property
    def elicits(self) -> str:
        """The statistic of the target that minimises its mean."""
        return self.definition.optimum.format(**self.params)

    @property
    def link(self) -> Any:
        """The link from predictions to raw scores; a tuple where there are several outputs."""
        links = self.definition.links
        return links[0] if len(links) == 1 else links

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of its raw outputs, in the order of `y_pred`'s last axis if there are several."""
        return self.definition.outputs

    @property
    def target_domain(self) -> Domain:
        """Where targets may lie."""
        target = self.definition.target
        return target if isinstance(target, Domain) else target(**self.params)

    def prediction_domain(self, raw: bool = False) -> Domain:
        """Where predictions, or with `raw=True` raw scores, may lie (of the first output)."""
        if self.kind == "pointwise":
            return self.form(raw).predictions[0]
        linked = any(link.name != "identity" for link in self.definition.links)
        return REAL if raw and linked else self.definition.predictions[0]

    @property
    def clips(self) -> bool:
        """Whether predictions are probabilities, kept one eps away from 0 and 1."""
        return any(link.clips for link in self.definition.links)

    @property
    def root(self) -> bool:
        """Whether the root of its mean is a familiar figure too (RMSE)."""
        return self.definition.root

    @property
    def same_as(self) -> dict[str, float]:
        """Losses of other libraries that this equals, with the factor: ours = factor · theirs."""
        # What does not have a parameter of ours is the same at that parameter's default only.
        changed = self._changed()
        return {
            name.format(**self.params): factor
            for name, factor in self.definition.same_as
            if all(f"{{{parameter}}}" in name for parameter in changed)
        }

    @property
    def properties(self) -> Any:
        """Numbers computed from the formula: Lipschitz constant, curvature, kinks, range, …."""
        from losskit.properties import properties

        return properties(self)

    # --- a loss is a value

    def __repr__(self) -> str:
        defaults = {p.name: p.default for p in self.definition.parameters}
        changed = [f"{k}={v!r}" for k, v in self.values if v != defaults[k]]
        registered = REGISTRY.get(self.name)
        own = registered is not None and registered.definition is self.definition
        prefix = "losskit." if own else ""
        return f"{prefix}{self.name}" + (f"({', '.join(changed)})" if changed else "")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Loss):
            return NotImplemented
        same = self.definition is other.definition
        return self.values == other.values and (same or self._frozen() == other._frozen())

    def __hash__(self) -> int:
        return hash((self.name, self.values))

    def __reduce__(self) -> Any:
        from losskit import catalogue

        registered = REGISTRY.get(self.name)
        if registered is not None and registered.definition is self.definition:
            if self.task != "user":
                return catalogue.get_registered, (self.name, self.values)
        return catalogue.thaw, (self._frozen(), self.values)

    def _changed(self) -> list[str]:
        """Names of the parameters that are not at their defaults."""
        return [p.name for p in self.definition.parameters if self.params[p.name] != p.default]

    def _frozen(self) -> Any:
        if self.kind == "pointwise":
            return freeze(self.definition, self.params)
        return self.definition.frozen(self.params)

    def __getattr__(self, name: str) -> Loss:
        """Return a variant: `triplet.mined` is `triplet_mined` with the same parameters."""
        variant = None if name.startswith("_") else REGISTRY.get(f"{self.definition.name}_{name}")
        if variant is None or variant.task != self.task:
            raise AttributeError(f"losskit.{self.definition.name} has no attribute {name!r}")
        lost = [n for n in self._changed() if n not in variant.params]
        if lost:
            raise ValueError(
                f"{variant.name} has no parameter {lost[0]!r}; leave it at its default"
            )
        return variant(**{k: v for k, v in self.values if k in variant.params})

    # --- calling

    def __call__(self, *data: Any, **options: Any) -> Any:
        """With data `(y_true, y_pred)`, return the weighted mean loss; without, the same loss with
        other parameters.

        The data arguments are `inputs`. Where that is `(y_true, y_pred)`, both have equal shapes;
        `y_pred` has a last axis more where the loss has several outputs or sees classes (`y_true`
        then holds class indexes, or as many columns). Options: `sample_weight`, `mask` (True
        counts), `reduction` ("mean", "sum", "none"), `raw` (y_pred are raw scores), `clip`
        (distance that probabilities keep from 0 and 1; default their dtype's eps), `nan` ("raise",
        "propagate", "omit"), `empty` ("error", or "zero" where nothing counts), `query` (of each
        item, for losses of lists). Raises ValueError for values outside the loss's domain, with
        the first index.

        >>> import losskit
        >>> losskit.huber([1.0, 2.0, 9.0], [1.5, 2.0, 2.0])
        2.2083333333333335
        >>> losskit.huber(delta=2.0)
        losskit.huber(delta=2.0)
        """
        if not data:
            return self._with(options)
        return self._run(("value",), data, options)[0]

    def value_and_gradient(self, *data: Any, **options: Any) -> Any:
        """Return the value of a call and its derivative by `y_pred`, from one pass.

        `out=` receives the derivative, `value_out=` the values of `reduction="none"`.
        """
        return self._run(("value", "gradient"), data, options)

    def gradient(self, *data: Any, **options: Any) -> Any:
        """Return the derivative, by `y_pred` in the scale given, of what the same call returns."""
        return self._run(("gradient",), data, options)[0]

    def hessian(self, *data: Any, **options: Any) -> Any:
        """Return the second derivative, by each element of `y_pred`, of what a call returns."""
        return self._run(("hessian",), data, options)[0]

    def gradient_and_hessian(self, *data: Any, **options: Any) -> Any:
        """Return first and second derivative from one pass; `out=(g, h)` receives them."""
        return self._run(("gradient", "hessian"), data, options)

    def hessian_vector_product(self, *data: Any, **options: Any) -> Any:
        """Return the second derivative of what a call returns times a vector, the last argument,
        which has `y_pred`'s shape: `loss.hessian_vector_product(y_true, y_pred, v)`.

        Where the Hessian is diagonal this is `hessian(…)*v`; for classes it holds what `hessian`,
        the diagonal, leaves out. Several trained inputs take a tuple of vectors and give one.
        """
        if len(data) != len(self.inputs) + 1:
            raise TypeError(
                f"{self.name}: hessian_vector_product takes ({', '.join(self.inputs)}, vector), "
                f"not {len(data)} arguments"
            )
        return self._prepared(("product",), data[:-1], options, data[-1]).results()[0]

    def accumulate(self, *data: Any, gradient: bool = False, **options: Any) -> Accumulation:
        """Return Σwℓ and Σw of a part of the data; the parts add up to the whole.

        >>> import losskit
        >>> a = losskit.huber.accumulate([1.0], [2.0])
        >>> b = losskit.huber.accumulate([3.0], [3.0])
        >>> (a + b).value
        0.25
        """
        wanted = ("value", "gradient") if gradient else ("value",)
        for name in {"reduction", "out", "value_out"} & set(options):
            raise TypeError(f"{self.name}: accumulate() takes no {name}=")
        call = self._prepared(wanted, data, {**options, "reduction": "sum"})
        return call.accumulation(self, gradient)

    # --- constants

    def optimal_constant(self, y_true: Any, sample_weight: Any = None, *, raw: bool = False) -> Any:
        """Return the constant prediction with the least mean loss: the start of any model.

        The middle of the interval where several are best, and exact at the domain's edges.
        """
        from losskit.optimum import optimal_constant

        return optimal_constant(self, y_true, sample_weight, raw)

    def start_score(self, y_true: Any, sample_weight: Any = None) -> Any:
        """Return `optimal_constant` as a raw score, kept 10 eps inside the domain for training."""
        from losskit.optimum import start_score

        return start_score(self, y_true, sample_weight)

    def infimum(self, y_true: Any) -> Any:
        """Return, for each target, the greatest lower bound of the loss over predictions."""
        from losskit.optimum import infimum

        return infimum(self, y_true)

    # --- other forms

    def latex(self, order: int = 0) -> str:
        """Return the formula (order 0), its gradient (1) or its curvature (2) in LaTeX."""
        from losskit.backends.latex import of_loss

        if order not in (0, 1, 2):
            raise ValueError(f"{self.name}: order={order!r}; needed is 0, 1 or 2")
        return of_loss(self, order)

    def source(self, backend: str) -> str:
        """Return the text that a backend runs or shows: "numpy", "numba", "sql", "latex", …."""
        return str(through(backend, "source", self))

    def to(self, backend: str, **options: Any) -> Any:
        """Return this loss in another form, with options of that form.

        "numpy", "numba", "jax" give functions of (y_true, y_pred); "torch" a module of (input,
        target); "keras" a `keras.losses.Loss`; "sklearn" a scorer; "xgboost", "lightgbm" and
        "catboost" objects with `.objective`, `.metric`, `.start`; "sql" and "latex" text.
        """
        return through(backend, "to", self, **options)

    # --- inside

    def form(self, raw: bool = False) -> Any:
        """Return the graph with parameter values and domains that calls on one scale compute."""
        if raw not in self._forms:
            self._forms[raw] = _form(self, raw)
        return self._forms[raw]

    def _with(self, changes: Mapping[str, Any]) -> Any:
        if not changes:
            return self
        known = {p.name: p for p in self.definition.parameters}
        for name in changes:
            if name in CALL_OPTIONS:
                raise TypeError(f"{self.name}: {name}= goes with data: {self.name}(y_true, y_pred)")
            if name not in known:
                raise TypeError(
                    f"{self.name} has no parameter {name!r}{suggest(name, known)}; "
                    f"it has {', '.join(known) or 'none'}"
                )
        if self.definition.fixed:
            raise ValueError(
                f"{self.name} was pickled with its target domain for {self.params}, which depends "
                "on the parameters: change them before it travels"
            )
        if self.kind == "pointwise" and wide(changes):
            return several(self, changes)
        values = {**self.params, **{n: known[n].check(self.name, v) for n, v in changes.items()}}
        changed = Loss(self.definition, tuple(values.items()))
        changed.target_domain  # noqa: B018 - a declared function of the parameters may refuse them
        return changed

    def _run(self, wanted: tuple[str, ...], data: Any, options: Any) -> tuple[Any, ...]:
        return self._prepared(wanted, data, options).results()

    def _prepared(
        self,
        wanted: tuple[str, ...],
        data: tuple[Any, ...],
        options: Mapping[str, Any],
        vector: Any = None,
    ) -> Any:
        if len(data) != len(self.inputs):
            raise TypeError(
                f"{self.name} takes data as ({', '.join(self.inputs)})"
                + (f"; {self._example(data[0])}" if len(data) == 1 else
                   f", not {len(data)} positional arguments; weights go by name, sample_weight=")
            )  # fmt: skip
        for name in options:
            if name not in CALL_OPTIONS:
                params = self.params
                hint = (
                    f"; parameters are set first: {self.name}({name}=…)({', '.join(self.inputs)})"
                )
                raise TypeError(
                    f"{self.name}: unknown option {name!r}"
                    + (hint if name in params else suggest(name, CALL_OPTIONS))
                )
        prepare = import_module(KINDS[self.kind]).prepare
        return prepare(self, wanted, data, {**DEFAULTS, **options}, vector)

    def _example(self, value: Any) -> str:
        first = next(iter(self.params), None)
        if isinstance(value, Sized) or not first:
            return f"{self.inputs[1]} is missing"
        return f"parameters go by name: {self.name}({first}={value!r:.20})"


def _form(loss: Loss, raw: bool) -> Any:
    definition, params = loss.definition, loss.params
    if loss.kind == "rows":
        from losskit.rows.compute import RowForm

        return RowForm(definition, params, raw)
    absent = frozenset(name for name, value in params.items() if value is None)
    identity = [link.name == "identity" for link in definition.links]
    domains = zip(definition.predictions, identity, strict=True)
    return Form(
        definition.graph(absent, raw),
        tuple(float(v) for v in params.values() if v is not None),
        loss.target_domain,
        tuple(domain if same or not raw else REAL for domain, same in domains),
        clips=not raw and loss.clips,
        raw_hint=not raw and not all(identity),
    )
