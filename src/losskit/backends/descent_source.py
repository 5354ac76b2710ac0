"""Text of the coordinate-descent kernels: a penalty's scalar prox in the loops that call it.

One text serves both tiers, under one of the heads of `descent_heads`: for Numba, or for Python,
where the loops over a row or a column are NumPy calls and the rest is interpreted.

A coordinate counts as still when it moved by no more than tol/√curvature: that is the same in every
unit of a column, and a coordinate that could move further would lower the objective by more than
tol²/2.  It bounds no distance to the minimum (nothing cheap does for every penalty): who needs one
computes the gap of what is returned and comes back with a smaller tol.

Measured and paid for: a row is added through a view of its own, or the loop is not vectorised; the
coordinates that are not zero are gathered into a small dense matrix, so that a sweep over m of n
costs m² and not m·n, and stays in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence

# Where there is no curvature the best coordinate is prox with an infinite step.  A step of 1e100
# gives that limit to the last digit; where the objective falls for ever, since the penalty does not
# outweigh the slope, the coordinate stays, and the caller's certificate tells.  A strength below 0
# says that there is no penalty.
_STEP = """\
{prox}


_prox = _compiled(prox)
_FAR = 1e100


@_compiled
def _best(w, slope, step, alpha, numbers):
    if step > 0.0:
        v = w - step * slope
        if alpha < 0.0:
            return v
        return _prox(v, step, alpha{numbers})
    if alpha < 0.0:
        return w
    u = _prox(w - _FAR * slope, _FAR, alpha{numbers})
    if abs(u) < 1e-80:
        return 0.0
    if abs(u) <= 1e50:
        return u
    return w


@_compiled
def _step(curvature):
    if curvature > 1e-290:
        return 1.0 / curvature
    return 0.0


@_compiled
def _gain(move, step):
    if step > 0.0:
        return move * move / step
    return 0.0


"""

# `_cycle` sweeps over all coordinates of a small matrix until none moves.  `kernel` first lets
# coordinates leave zero, one after another, each with the slope that its predecessors left (all at
# once would be many more where columns are correlated), then cycles those in play in their own
# matrix, then computes the slope afresh, so that rounding does not pile up.
_QUADRATIC = """\
@_compiled
def _cycle(matrix, stride, q, w, step, alpha, numbers, bound, limit):
    m = w.shape[0]
    largest = 0.0
    for sweep in range(limit):
        largest = 0.0
        for j in range(m):
            new = _best(w[j], q[j], step[j], alpha[j], numbers)
            move = new - w[j]
            if move != 0.0:
                w[j] = new
                _add(q, move, _view(matrix, j * stride, m))
                largest = max(largest, _gain(move, step[j]))
        if not largest > bound:
            return sweep + 1, largest
    return limit, largest


@_compiled
def kernel(matrix, q, w, alpha, numbers, tol, limit):
    n = w.shape[0]
    bound = tol * tol
    start, slope = w.copy(), q.copy()
    step = _np.empty(n)
    playing = _np.zeros(n, _np.bool_)
    order = _np.empty(n, _np.int64)
    m = 0
    for j in range(n):
        step[j] = _step(float(matrix[j * n + j]))
        if w[j] != 0.0 or alpha[j] <= 0.0:
            playing[j] = True
            order[m] = j
            m += 1
    small = _np.empty(0, matrix.dtype)
    stride = 0
    packed = 0
    sweeps = 0
    largest = 0.0
    joined = 0.0
    while sweeps < limit:
        joined = 0.0
        for j in range(n):
            if not playing[j]:
                new = _best(w[j], q[j], step[j], alpha[j], numbers)
                move = new - w[j]
                if move != 0.0:
                    w[j] = new
                    _add(q, move, _view(matrix, j * n, n))
                    joined = max(joined, _gain(move, step[j]))
                    playing[j] = True
                    order[m] = j
                    m += 1
        sweeps += 1
        still = not (joined > bound or largest > bound)
        if m == 0 or (still and sweeps > 1):
            break
        if 2 * m > n:
            playing[:] = True
            done, largest = _cycle(matrix, n, q, w, step, alpha, numbers, bound, limit - sweeps)
        else:
            if m > stride:
                stride = 2 * m
                small = _np.empty(stride * stride, matrix.dtype)
                packed = 0
            for a in range(m):
                for b in range(packed if a < packed else 0, m):
                    small[a * stride + b] = matrix[order[a] * n + order[b]]
            packed = m
            own = order[:m]
            own_w = w[own]
            done, largest = _cycle(
                small, stride, q[own], own_w, step[own], alpha[own], numbers, bound, limit - sweeps
            )
            for a in range(m):
                w[own[a]] = own_w[a]
        sweeps += done
        q[:] = slope
        for j in range(n):
            if w[j] != start[j]:
                _add(q, w[j] - start[j], _view(matrix, j * n, n))
    return sweeps, math.sqrt(max(largest, joined))
"""

# Columns of the data.  `r` holds the rows' slopes g + h·t with t the change of scores.  A column is
# centred by `middle`, its given centre or, with an intercept, its mean weighted by h: then no
# move changes Σ r = 0, which is an intercept that is always at its best.  A sparse column changes r
# at its own rows only; what centring adds to all rows is h times the number `state[0]`, which costs
# digits where a mean is many deviations: hardly a number is zero there.
_COLUMNS = """\
@_compiled
def kernel(values, rows, starts, chosen, middle, g, h, total, intercept, w, alpha, numbers, tol,
           limit, t):
    m = chosen.shape[0]
    n = g.shape[0]
    bound = tol * tol
    start = w.copy()
    step = _np.empty(m)
    r = g.copy()
    state = _np.zeros(4)  # shift of the scores, Σ r without it, Σ h, first shift
    ones = _np.ones(n)
    state[2] = _dot(h, 0.0, ones)
    fixed = intercept and state[2] > 0.0
    if fixed:
        state[3] = -_dot(g, 0.0, ones) / state[2]
        _add(r, state[3], h)
    else:
        state[1] = _dot(g, 0.0, ones)
    pull = _np.zeros(m)
    for a in range(m):
        j = chosen[a]
        pull[a] = _first(values, rows, starts, n, j, h)
        if fixed:
            middle[a] = pull[a] / state[2]
        curvature, whole = _second(values, rows, starts, n, j, middle[a], h, state[2])
        # A column whose deviations are a millionth of a millionth of it is constant and rounding.
        step[a] = _step(curvature / total) if curvature > 1e-24 * whole else 0.0
    playing = _np.empty(m, _np.bool_)
    order = _np.empty(m, _np.int64)
    sweeps = 0
    largest = 0.0
    joined = 0.0
    while sweeps < limit:
        count = 0
        for a in range(m):
            playing[a] = w[a] != 0.0 or alpha[a] <= 0.0
            if playing[a]:
                order[count] = a
                count += 1
        joined = 0.0
        for a in range(m):
            if not playing[a]:
                before = w[a]
                _visit(values, rows, starts, n, chosen[a], a, middle, pull, g, h, total, fixed, w,
                       step, alpha, numbers, r, state)
                if w[a] != before:
                    joined = max(joined, _gain(w[a] - before, step[a]))
                    order[count] = a
                    count += 1
        sweeps += 1
        still = not (joined > bound or largest > bound)
        if count == 0 or (still and sweeps > 1):
            break
        while sweeps < limit:
            largest = 0.0
            for place in range(count):
                a = order[place]
                before = w[a]
                _visit(values, rows, starts, n, chosen[a], a, middle, pull, g, h, total, fixed, w,
                       step, alpha, numbers, r, state)
                largest = max(largest, _gain(w[a] - before, step[a]))
            sweeps += 1
            if not largest > bound:
                break
    t[:] = state[3] + state[0]
    for a in range(m):
        if w[a] != start[a]:
            _finish(values, rows, starts, n, chosen[a], middle[a], w[a] - start[a], t)
    return sweeps, math.sqrt(max(largest, joined)), state[3]
"""

_DENSE = """\
@_compiled
def _first(values, rows, starts, n, j, h):
    return _dot(_view(values, j * n, n), 0.0, h)


@_compiled
def _second(values, rows, starts, n, j, middle, h, weight):
    x = _view(values, j * n, n)
    return _spread(x, middle, h), _spread(x, 0.0, h)


@_compiled
def _visit(values, rows, starts, n, j, a, middle, pull, g, h, total, fixed, w, step, alpha,
           numbers, r, state):
    x = _view(values, j * n, n)
    new = _best(w[a], _dot(x, middle[a], r) / total, step[a], alpha[a], numbers)
    move = new - w[a]
    if move != 0.0:
        w[a] = new
        _pull(r, move, h, x, middle[a])


@_compiled
def _finish(values, rows, starts, n, j, middle, move, t):
    _shift(t, move, _view(values, j * n, n), middle)


"""

_SPARSE = """\
@_compiled
def _first(values, rows, starts, n, j, h):
    first, count = int(starts[j]), int(starts[j + 1] - starts[j])
    return _dot_at(_view(values, first, count), _view(rows, first, count), h)


@_compiled
def _second(values, rows, starts, n, j, middle, h, weight):
    first, count = int(starts[j]), int(starts[j + 1] - starts[j])
    x, at = _view(values, first, count), _view(rows, first, count)
    own, covered = _spread_at(x, at, middle, h)
    whole, covered = _spread_at(x, at, 0.0, h)
    zeros = weight - covered
    return own + (middle * middle * zeros if zeros > 1e-12 * weight else 0.0), whole


@_compiled
def _visit(values, rows, starts, n, j, a, middle, pull, g, h, total, fixed, w, step, alpha,
           numbers, r, state):
    first, count = int(starts[j]), int(starts[j + 1] - starts[j])
    x, at = _view(values, first, count), _view(rows, first, count)
    slope = _dot_at(x, at, r) + state[0] * pull[a]
    if not fixed:
        slope -= middle[a] * (state[1] + state[0] * state[2])
    new = _best(w[a], slope / total, step[a], alpha[a], numbers)
    move = new - w[a]
    if move != 0.0:
        w[a] = new
        _pull_at(r, at, move, h, x)
        state[0] -= move * middle[a]
        state[1] += move * pull[a]


@_compiled
def _finish(values, rows, starts, n, j, middle, move, t):
    first, count = int(starts[j]), int(starts[j + 1] - starts[j])
    _shift_at(t, _view(rows, first, count), move, _view(values, first, count))


"""

_BODIES = {
    "dense matrix": _QUADRATIC,
    "dense columns": _DENSE + _COLUMNS,
    "sparse columns": _SPARSE + _COLUMNS,
}


def source(kind: str, prox: str, parameters: int, *, head: str, stamps: Sequence[str] = ()) -> str:
    """Write the kernel for "dense matrix", "dense columns" or "sparse columns".

    `prox` is the text of one function ``prox(v, step, alpha, *parameters)`` of Python floats, in
    which `math` may be used; `head` is `COMPILED` or `PLAIN`.
    """
    numbers = "".join(f", numbers[{k}]" for k in range(parameters))
    return (
        head.format(title=kind, stamps="\n".join(stamps))
        + _STEP.format(prox=prox.strip(), numbers=numbers)
        + _BODIES[kind]
    )
