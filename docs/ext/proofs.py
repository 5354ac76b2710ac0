"""What SymPy proves of a loss's numbers; the pages say "proved" of nothing else.

A loss of the residual, of a margin or of a link's score is a function of one real variable x. Its
pieces between the points where its formula changes are smooth. On each piece a claim "E ≥ 0"
becomes, by a substitution that maps the piece onto u > 0, a quotient of polynomials in u, and
holds if no coefficient is negative. A bound is sharp if the function reaches it, or tends to it, at
an end of a piece. This is sufficient, never necessary: what it cannot prove stays "checked".
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from typing import Any

import sympy as sp

X = sp.Symbol("x", real=True)
U = sp.Symbol("u", positive=True)


class _NotProvedError(Exception):
    """Something is beyond the method."""


@dataclass(frozen=True)
class Piece:
    """Value, gradient and curvature on one open interval, where they are smooth."""

    left: Any
    right: Any
    parts: tuple[Any, Any, Any]

    def end(self, part: int, which: str) -> Any:
        """Return the limit of a part at the left or right end."""
        point = self.left if which == "left" else self.right
        found = sp.limit(self.parts[part], X, point, "+" if which == "left" else "-")
        if found.has(sp.nan, sp.Limit, sp.zoo, sp.AccumBounds):
            raise _NotProvedError
        return found


@cache
def proved(loss: Any) -> frozenset[str]:
    """Return which of the numbers of `loss`, by name, are proved."""
    return holding(loss, loss.properties)


def holding(loss: Any, p: Any) -> frozenset[str]:
    """Return which of the numbers `p`, claimed of `loss`, are proved."""
    try:
        lines = _lines(loss)
    except _NotProvedError:
        return frozenset()
    claims = {
        "range": lambda: _range(lines, p.range),
        "symmetric": lambda: _symmetric(loss) == p.symmetric,
    }
    if not math.isnan(p.lipschitz):  # else the loss has no derivative
        claims |= {
            "lipschitz": lambda: _lipschitz(lines, p.lipschitz),
            "curvature": lambda: _extremes(lines, 2, p.curvature),
            "convex": lambda: _convex(lines) == p.convex,
            "kinks": lambda: _kinks(lines[0], p.kinks),
        }
    found = set()
    for name, claim in claims.items():
        with contextlib.suppress(_NotProvedError, NotImplementedError, sp.PolynomialError):
            if claim():
                found.add(name)
    return frozenset(found)


# --- from a loss to smooth pieces ----------------------------------------------------------------


def _lines(loss: Any) -> list[list[Piece]]:
    """The pieces of the loss for each target that matters, the first being `properties.at`."""
    orders = [0] if math.isnan(loss.properties.lipschitz) else [0, 1, 2]
    return [_pieces([whole(n) for n in orders]) for whole in _one_variable(loss, orders)]


def _one_variable(loss: Any, orders: Sequence[int] = (0,)) -> Iterator[Any]:
    """Yield functions from the order of a derivative to its expression in x, one per target."""
    if len(loss.outputs) > 1:
        raise _NotProvedError
    y, f = sp.Symbol("y", real=True), sp.Symbol("f", real=True)
    numbers = {name: _exact(value) for name, value in loss.params.items() if value is not None}

    @cache
    def given(order: int) -> Any:
        whole = loss.to("sympy", order=order)
        return whole.subs({s: numbers[s.name] for s in whole.free_symbols if s.name in numbers})

    domain = loss.target_domain
    if loss.task == "counts":
        count = sp.Symbol("y", positive=True)
        yield lambda n: given(n).subs(y, count).subs(f, X)
    elif domain.values or loss.clips:
        if sp.diff(given(0), y, 2) != 0 and not domain.values:
            raise _NotProvedError  # affine in y, the two ends would speak for all targets between
        ends = sorted(domain.values or (domain.lower, domain.upper), reverse=True)
        for end in ends:
            yield lambda n, end=end: given(n).subs(y, _exact(end)).subs(f, X)
    else:
        if any(y in given(n).subs(f, X + y).free_symbols for n in orders):
            raise _NotProvedError
        yield lambda n: given(n).subs(f, X + y)


def _exact(value: float) -> Any:
    return sp.nsimplify(repr(float(value)), rational=True)


def _pieces(parts: list[Any]) -> list[Piece]:
    points = _refined({sp.Integer(0)}, set().union(*map(_edges, parts)))
    pieces = [_piece(parts, a, b) for a, b in _intervals(points)]
    turns = {turn for piece in pieces for turn in _turns(piece)} - points
    return [_piece(parts, a, b) for a, b in _intervals(points | turns)] if turns else pieces


def _intervals(points: set[Any]) -> Iterator[tuple[Any, Any]]:
    return pairwise([-sp.oo, *sorted(points), sp.oo])


def _refined(points: set[Any], edges: set[Any]) -> set[Any]:
    """Split until no edge is 0 inside an interval, so that no choice changes there.

    An edge may itself hold choices. Those of the innermost are its own; as soon as they are
    settled on an interval, so is what the next one is there, and so on outwards.
    """
    for _ in range(8):
        found = {
            root
            for a, b in _intervals(points)
            for edge in edges
            for root in _roots(_branch(edge, _inside(a, b)), a, b)
        }
        if not found:
            return points
        points = points | found
    raise _NotProvedError


def _roots(smooth: Any, left: Any, right: Any) -> set[Any]:
    if X not in smooth.free_symbols:
        return set()  # it is never 0 here, or always
    solutions = sp.solveset(smooth, X, sp.Interval.open(left, right))
    if solutions is sp.S.EmptySet:
        return set()
    if not isinstance(solutions, sp.FiniteSet):
        raise _NotProvedError
    return set(solutions)


def _edges(whole: Any) -> set[Any]:
    """What is 0 where an |…|, a sign, a maximum or a condition inside `whole` changes."""
    edges: set[Any] = set()
    for atom in whole.atoms(sp.Abs, sp.sign, sp.Max, sp.Min, sp.core.relational.Relational):
        if X not in atom.free_symbols:
            continue
        if isinstance(atom, sp.core.relational.Relational):
            edges.add(atom.lhs - atom.rhs)
        elif isinstance(atom, sp.Max | sp.Min):
            edges |= {a - b for a, b in combinations(atom.args, 2)}
        else:
            edges.add(atom.args[0])
    return edges


def _inside(left: Any, right: Any) -> Any:
    if left == -sp.oo:
        return right - 1
    return left + 1 if right == sp.oo else (left + right) / 2


def _piece(parts: list[Any], left: Any, right: Any) -> Piece:
    smooth = [_branch(part, _inside(left, right)) for part in parts]
    return Piece(left, right, tuple(smooth))


def _branch(whole: Any, inside: Any) -> Any:
    """`whole` with every choice made as at the point `inside`, so that it is smooth."""

    def chosen(*pairs: Any) -> Any:
        for expression, condition in pairs:
            if condition.subs(X, inside) == sp.true:
                return expression
        raise _NotProvedError

    def signed(argument: Any) -> Any:
        return sp.sign(argument.subs(X, inside))

    for _ in range(6):  # choices may be nested
        whole = whole.replace(sp.Piecewise, chosen)
        whole = whole.replace(sp.Abs, lambda a: signed(a) * a)
        whole = whole.replace(sp.sign, signed)
        whole = whole.replace(sp.Max, lambda *args: max(args, key=lambda a: a.subs(X, inside)))
        whole = whole.replace(sp.Min, lambda *args: min(args, key=lambda a: a.subs(X, inside)))
        if not whole.has(sp.Piecewise, sp.Abs, sp.sign, sp.Max, sp.Min):
            return sp.sympify(whole)
    raise _NotProvedError


def _turns(piece: Piece) -> set[Any]:
    """Where gradient and curvature of a rational piece have their extremes."""
    found: set[Any] = set()
    for part in piece.parts[1:]:
        slope = sp.together(sp.diff(part, X))
        numerator = sp.numer(slope)
        if numerator.is_polynomial(X) and numerator.free_symbols == {X}:
            roots = sp.Poly(numerator, X).degree() <= 6 and sp.roots(numerator, X)
            found |= {r for r in roots or () if r.is_real and piece.left < r < piece.right}
    return found


# --- the claims ----------------------------------------------------------------------------------


def _range(lines: list[list[Piece]], claimed: tuple[float, float]) -> bool:
    """Ends of pieces reach the extremes, and on each piece the value is monotone between them."""
    values = []
    for pieces in lines:
        for piece in pieces:
            if len(piece.parts) == 1 and piece.parts[0].is_number:
                values.append(piece.parts[0])
                continue
            if not (_holds(piece, piece.parts[1]) or _holds(piece, -piece.parts[1])):
                return False
            values += [piece.end(0, "left"), piece.end(0, "right")]
    return _close(sp.Min(*values), claimed[0]) and _close(sp.Max(*values), claimed[1])


def _lipschitz(lines: list[list[Piece]], claimed: float) -> bool:
    bounds = [abs(e) for pieces in lines for p in pieces for e in _ends(p, 1)]
    exact = sp.Max(*bounds)
    if not (_close(exact, claimed) and all(map(_continuous, lines))):
        return False
    return exact == sp.oo or all(
        _holds(p, exact - p.parts[1]) and _holds(p, exact + p.parts[1])
        for pieces in lines
        for p in pieces
    )


def _extremes(lines: list[list[Piece]], part: int, claimed: tuple[float, float]) -> bool:
    ends = [e for pieces in lines for p in pieces for e in _ends(p, part)]
    low, high = sp.Min(*ends), sp.Max(*ends)
    if not (_close(low, claimed[0]) and _close(high, claimed[1])):
        return False
    every = [p for pieces in lines for p in pieces]
    above = low == -sp.oo or all(_holds(p, p.parts[part] - low) for p in every)
    return bool(above and (high == sp.oo or all(_holds(p, high - p.parts[part]) for p in every)))


def _convex(lines: list[list[Piece]]) -> bool:
    for pieces in lines:
        if any(end.is_negative for p in pieces for end in _ends(p, 2)):
            return False
        if not (_continuous(pieces) and all(_holds(p, p.parts[2]) for p in pieces)):
            raise _NotProvedError
        for a, b in pairwise(pieces):
            if not (b.end(1, "left") - a.end(1, "right")).simplify().is_nonnegative:
                raise _NotProvedError
    return True


def _continuous(pieces: list[Piece]) -> bool:
    return all(sp.simplify(a.end(0, "right") - b.end(0, "left")) == 0 for a, b in pairwise(pieces))


def _kinks(pieces: list[Piece], claimed: tuple[Any, ...]) -> bool:
    found = []
    for a, b in pairwise(pieces):
        left, right = a.end(1, "right"), b.end(1, "left")
        if sp.simplify(left - right) != 0:
            found.append((a.right, left, right))
    return len(found) == len(claimed) and all(
        _close(x, k.position) and _close(left, k.left) and _close(right, k.right)
        for (x, left, right), k in zip(found, claimed, strict=True)
    )


def _symmetric(loss: Any) -> bool:
    sides = [whole(0) for whole in _one_variable(loss)]
    if loss.task == "counts":
        raise _NotProvedError
    first, mirrored = sides[0], sides[-1].subs(X, -X)
    if sp.simplify(first - mirrored) == 0:
        return True
    if any((first - mirrored).subs(X, point).evalf().is_nonzero for point in (1, 3)):
        return False
    raise _NotProvedError


def _ends(piece: Piece, part: int) -> list[Any]:
    return [piece.end(part, "left"), piece.end(part, "right")]


def _close(exact: Any, claimed: float) -> bool:
    if exact in (sp.oo, -sp.oo):
        return math.isinf(claimed) and (exact == sp.oo) == (claimed > 0)
    if exact.free_symbols:
        return False
    return math.isclose(float(exact), claimed, rel_tol=1e-8, abs_tol=1e-12)


def _holds(piece: Piece, claim: Any) -> bool:
    """Whether `claim` ≥ 0 on the piece, by the coefficients of a quotient of polynomials."""
    if claim.is_nonnegative:
        return True
    quotient = _over_positive(piece, claim)
    numerator, denominator = sp.fraction(sp.together(quotient))
    return _signs(numerator) * _signs(denominator) > 0 or sp.expand(numerator) == 0


def _over_positive(piece: Piece, claim: Any) -> Any:
    """The claim in u > 0, the piece being the image of u by a rational or logarithmic map."""
    a, b = piece.left, piece.right
    exponentials = claim.atoms(sp.exp) | claim.atoms(sp.tanh)
    roots = [p for p in claim.atoms(sp.Pow) if not p.exp.is_integer and X in p.free_symbols]
    half_line = sp.oo in (b, -a)
    sign, start = (1, a) if b == sp.oo else (-1, b)
    if exponentials and half_line:  # e^{±(x − start)} = 1 + u
        claim = claim.rewrite(sp.exp).subs(X, start + sign * sp.log(1 + U))
        claim = sp.powsimp(sp.expand_log(sp.expand_power_exp(claim)))
    elif roots and half_line and start == 0:  # x = sinh w, e^w = 1 + u: √(1 + x²) = cosh w
        v = 1 + U
        base = 1 + X**2
        claim = sp.expand_power_base(sp.together(claim)).replace(
            lambda p: p.is_Pow and sp.expand(p.base - base) == 0,
            lambda p: ((v + 1 / v) / 2) ** (2 * p.exp),
        )
        claim = claim.subs(X, sign * (v - 1 / v) / 2)
    elif exponentials or roots:
        raise _NotProvedError
    elif half_line:
        claim = claim.subs(X, start + sign * U)
    else:
        claim = claim.subs(X, (a + b * U) / (1 + U))
    claim = sp.together(claim)
    if claim.has(sp.log, sp.exp, sp.tanh) or X in claim.free_symbols:
        raise _NotProvedError
    return claim


def _signs(polynomial: Any) -> int:
    """1 or −1 if all coefficients have that sign and one is not 0, else 0."""
    if U not in polynomial.free_symbols:
        return 1 if polynomial.is_positive else -1 if polynomial.is_negative else 0
    coefficients = [c for c in sp.Poly(polynomial, U).coeffs() if c != 0]
    if all(c.is_positive for c in coefficients):
        return 1
    return -1 if all(c.is_negative for c in coefficients) else 0
