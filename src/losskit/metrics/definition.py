"""What a metric is, and the registry of metrics."""

from __future__ import annotations

import inspect
import math
import numbers
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal, NoReturn, SupportsFloat

from losskit import catalogue
from losskit.backends import suggest
from losskit.extras import how_to_install
from losskit.formula.expr import Unsupported
from losskit.metrics.rows import Data

Takes = Literal["labels", "probabilities", "scores", "numbers", "text"]


@dataclass(frozen=True, repr=False)
class Metric:
    """A metric with its parameters: call it on data to read a number, or change its parameters.

    `better` says whether "higher" or "lower" is better, `takes` what predictions are: "labels",
    "probabilities", "scores", "numbers" or "text". It has no derivative; `surrogate` is the loss
    that is usually trained with instead.
    """

    name: str
    doc: str
    better: Literal["higher", "lower"]
    takes: Takes
    options: tuple[str, ...]
    aliases: tuple[str, ...]
    values: tuple[tuple[str, Any], ...]
    function: Callable[..., SupportsFloat]
    trains: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "__doc__", self.doc)  # what help() and ? show

    @property
    def summary(self) -> str:
        """The first sentence of `doc`."""
        return " ".join(self.doc.split("\n\n")[0].split())

    @property
    def params(self) -> dict[str, Any]:
        """Parameter values by name."""
        return dict(self.values)

    @property
    def surrogate(self) -> str:
        """The name of the loss that is usually trained with where this metric is what counts."""
        return self.trains.format(**self.params)

    def __repr__(self) -> str:
        changed = ", ".join(f"{k}={v!r}" for k, v in self._changed().items())
        return f"losskit.metrics.{self.name}" + (f"({changed})" if changed else "")

    def __reduce__(self) -> Any:
        return partial(get, self.name, **self._changed()), ()

    def __call__(self, *data: Any, **options: Any) -> Any:
        """With data `(y_true, y_pred)`, return the metric as a float; without, the same metric
        with other parameters.

        `options` names the options it takes: `sample_weight`, `mask` (True counts), `raw`
        (`y_pred` are logits), `query` (which rows belong to one list). Masked elements and those of
        weight 0 are not looked at and may hold NaN. Raises ValueError for values that are no
        labels, probabilities or numbers, with the first index, and `losskit.Unsupported` where the
        library that computes it is not installed.

        >>> import losskit.metrics
        >>> losskit.metrics.f1(average="macro")([0, 1, 2, 2], [0, 1, 2, 1])
        0.7777777777777777
        """
        if not data:
            return self._with(options)
        if len(data) != 2:
            raise TypeError(f"{self.name} takes data as (y_true, y_pred), not {len(data)} of them")
        for name in options:
            if name not in self.options:
                hint = f"; parameters are set first: {self.name}({name}=…)(y_true, y_pred)"
                raise TypeError(
                    f"{self.name} takes no {name}={hint if name in self.params else ''}"
                    f"; beside data it takes {', '.join(self.options)}"
                )
        if not isinstance(options.get("raw", False), bool):
            raise TypeError(f"{self.name}: raw has to be True or False")
        try:
            value = float(self.function(Data(self.name, *data, **options), **self.params))
        except ModuleNotFoundError as missing:
            module = str(missing.name).partition(".")[0]
            package = _PACKAGES.get(module, module)
            raise Unsupported(f"{self.name} needs {package}: {how_to_install(package)}") from None
        if math.isnan(value):
            raise ValueError(f"{self.name} is undefined on these data (it came out as NaN)")
        return value

    def gradient(self, *data: Any, **options: Any) -> NoReturn:
        """Raise `losskit.Unsupported`: a metric is read, not trained with."""
        raise Unsupported(
            f"{self.name}: a metric is read, not trained with; train with {self.surrogate}"
        )

    value_and_gradient = hessian = gradient_and_hessian = hessian_vector_product = gradient

    def _changed(self) -> dict[str, Any]:
        defaults = _REGISTRY[self.name].params
        return {k: v for k, v in self.values if v != defaults[k]}

    def _with(self, changes: dict[str, Any]) -> Metric:
        if not changes:
            return self
        hints = typing.get_type_hints(self.function, include_extras=True)
        for name, value in changes.items():
            if name in self.options:
                raise TypeError(f"{self.name}: {name}= goes with data: {self.name}(y_true, y_pred)")
            if name not in self.params:
                raise TypeError(
                    f"{self.name} has no parameter {name!r}{suggest(name, self.params)}; "
                    f"it has {', '.join(self.params) or 'none'}"
                )
            _check(f"{self.name}: {name}={value!r:.40}", hints[name], value)
        return replace(self, values=tuple({**self.params, **changes}.items()))


@dataclass(frozen=True)
class Needs:
    """What a parameter may be, beside its type in `Annotated`: a test, and its wording."""

    what: str
    test: Callable[[Any], bool]


Count = Annotated[
    int,
    Needs(
        "a whole number, 1 or more",
        lambda v: isinstance(v, numbers.Integral) and not isinstance(v, bool) and v >= 1,
    ),
]
Label = Annotated[
    Any,
    Needs("a label, a number or text", lambda v: isinstance(v, (numbers.Real, str, type(None)))),
]


def metric(
    *,
    better: Literal["higher", "lower"],
    takes: Takes,
    surrogate: str,
    aliases: tuple[str, ...] = (),
    options: tuple[str, ...] | None = None,
) -> Callable[[Callable[..., SupportsFloat]], Metric]:
    """Make a metric of a function of `Data` and parameters with defaults, and register it."""

    def make(function: Callable[..., SupportsFloat]) -> Metric:
        parameters = list(inspect.signature(function).parameters.values())[1:]
        made = Metric(
            name=function.__name__,
            doc=inspect.cleandoc(function.__doc__ or ""),
            better=better,
            takes=takes,
            options=_OPTIONS[takes] if options is None else options,
            aliases=aliases,
            values=tuple((p.name, p.default) for p in parameters),
            function=function,
            trains=surrogate,
        )
        _REGISTRY[made.name] = made
        return made

    return make


def get(name: str, **parameters: Any) -> Metric:
    """Return a metric by name or alias: `losskit.metrics.get("ndcg", k=10)`."""
    if isinstance(name, Metric):
        return name(**parameters)
    spellings = {s: m for m in _REGISTRY.values() for s in (m.name, *m.aliases)}
    if name not in spellings:
        if str(name) in catalogue.names():
            raise ValueError(f"{name!r} is a loss, not a metric: losskit.{name}")
        raise ValueError(f"there is no metric called {name!r}{suggest(name, spellings)}")
    return spellings[name](**parameters)


def names() -> list[str]:
    """Return the names of all metrics."""
    return list(_REGISTRY)


_REGISTRY: dict[str, Metric] = {}
_PACKAGES = {"sklearn": "scikit-learn"}  # where the module has another name
_OPTIONS: dict[str, tuple[str, ...]] = {
    "labels": ("sample_weight", "mask", "raw"),
    "probabilities": ("sample_weight", "mask", "raw"),
    "scores": ("sample_weight", "mask", "raw"),
    "numbers": ("sample_weight", "mask"),
    "text": ("mask",),
}


def _check(given: str, hint: Any, value: Any) -> None:
    optional = type(None) in typing.get_args(hint)
    if optional and value is None:
        return
    if optional:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is Literal and value not in typing.get_args(hint):
        choices = ", ".join(map(repr, typing.get_args(hint)))
        raise ValueError(f"{given}; needed is one of {choices}")
    if hint is bool and not isinstance(value, bool):
        raise ValueError(f"{given}; needed is True or False")
    if typing.get_origin(hint) is Annotated:
        needs = hint.__metadata__[0]
        if not needs.test(value):
            raise ValueError(f"{given}; needed is {needs.what}" + ", or None" * optional)
