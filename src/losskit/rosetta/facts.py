"""How a name of another library relates to a loss of ours: what one such fact holds."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

# What "the weighted mean" is divided by.
BY_WEIGHT = "Σw"
BY_COUNT = "n"
SUMMED = "nothing: a sum"
STEPWISE = "nothing: each step by its weight"
BY_CLASS_WEIGHT = "Σ weight[class], or n for class probabilities"
UNWEIGHTED = "takes no weights"
LEFT_TO_USER = "not averaged"

# Where a booster's training starts.
AT_BEST, AT_MEAN, AT_ZERO = "the best constant", "the mean of the targets", "0"
ONE_STEP = "one Newton step from 0"

# Codes of a yes/no target, and of a class.
ZERO_ONE, FRACTION, SIGNS = "0/1", "[0, 1]", "±1"
INDEX, ONE_HOT, MIXTURE = "index", "one-hot", "probabilities"
YES_NO = (ZERO_ONE, FRACTION, SIGNS)


@dataclass(frozen=True)
class Name:
    """One name of a library, and the loss of ours that it is.

    `text` is written as in `same_as`: "keras.losses.Huber(delta={delta})" has our parameter delta
    where theirs stands, and "scipy.optimize.least_squares(loss='huber')" is this loss at that value
    of a parameter only. Where `same_as` of a loss already says so, `text` is the name alone.
    """

    text: str
    loss: str = ""  # our name; "" where a loss's `same_as` tells
    factor: Any = 1.0  # ours = factor · theirs + shift; "classes" is their number, "1/classes"
    shift: float = 0.0
    also: tuple[str, ...] = ()  # other names of the same: paths, or objectives
    ours: Mapping[str, Any] = field(
        default_factory=dict
    )  # parameters of ours that it has no name for
    more: Mapping[str, str] = field(
        default_factory=dict
    )  # parameters that `same_as` leaves out: theirs → ours
    defaults: Mapping[str, Any] = field(default_factory=dict)  # of its parameters
    raw: bool | None = None  # predictions are raw scores; None: as the library has it
    raw_if: str = ""  # the parameter that says so
    takes: str = ""  # what its predictions are, where neither raw scores nor ours: "variances"
    idle: tuple[str, ...] = ()  # parameters of its that leave its values as they are
    labels: tuple[str, ...] = ()  # codes of the target that it takes
    silent: tuple[str, ...] = ()  # codes that give a wrong number rather than an error
    weighted: str = ""  # denominator of its weighted mean; "": as the library has it
    clip: str = ""  # how it keeps predictions from the ends of their range
    target_only: bool = False  # equal up to a constant that depends on the target alone
    start: str = ""  # where a booster's training starts; "": as the library has it
    reports: str = ""  # what a booster calls by this name, where that is not what it trains on
    differs: tuple[str, ...] = ()  # what else differs
    without: str = ""  # why nothing of ours equals it


@dataclass(frozen=True)
class Library:
    """A library: what holds for all its names unless one says otherwise, and the names."""

    name: str  # its package
    title: str
    aliases: tuple[str, ...] = ()  # what people call it
    prefixes: tuple[str, ...] = ()  # what stands before its names
    packages: tuple[str, ...] = ()  # distributions that bring it
    raw: bool = True
    weighted: str = UNWEIGHTED
    class_axis: str = "last"
    order: str = ""  # of the arguments
    options: tuple[str, ...] = ()  # parameters of its calls besides those of the loss itself
    classes: bool = False  # people write a name's first `also`, a class
    objective: str = ""  # the parameter that names a loss, where a loss is no function
    start: str = ""
    inside: bool = False  # parameters stand in the objective's text
    tested: bool = True
    names: tuple[Name, ...] = ()


@dataclass(frozen=True)
class Call:
    """A `text` taken apart: path, title, constants, and our parameters by theirs."""

    path: str
    constants: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def title(self) -> str:
        """What names the loss where the path is that of a trainer: objective='huber'."""
        return next((str(self.constants[k]) for k in TITLES if k in self.constants), "")

    @property
    def key(self) -> str:
        """Path and title."""
        return f"{self.path} {self.title}".strip()


TITLES = ("objective", "loss_function", "loss")


def parse(text: str) -> Call:
    """Take a `text` apart.

    >>> parse("lightgbm.train(objective='huber', alpha={delta})").parameters
    {'alpha': 'delta'}
    >>> parse("catboost.train(loss_function='Huber:delta={delta}')").key
    'catboost.train Huber'
    """
    path, bracket, rest = text.partition("(")
    constants: dict[str, Any] = {}
    parameters: dict[str, str] = {}
    if bracket:
        # "{delta}" is a set of one name to Python, and one string within a string.
        for keyword in _keywords(rest.rstrip(")")):
            name, node = keyword.arg or "", keyword.value
            if isinstance(node, ast.Set):
                parameters[name] = ast.unparse(node.elts[0])
                continue
            value = ast.literal_eval(node)
            title, colon, options = str(value).partition(":")
            if name == "loss_function" and colon:
                pairs = [option.partition("=") for option in options.split(";")]
                parameters |= {k: v[1:-1] for k, _, v in pairs if v.startswith("{")}
                constants |= {k: ast.literal_eval(v) for k, _, v in pairs if not v.startswith("{")}
                value = title
            constants[name] = value
    return Call(path, constants, parameters)


def _keywords(text: str) -> list[ast.keyword]:
    call = ast.parse(f"f({text})", mode="eval").body
    assert isinstance(call, ast.Call)
    return call.keywords
