"""Reductions and transposition in explicit vectors of 8: what LLVM's vectoriser will not make.

It refuses a maximum unless NaN is declared impossible, reorders sums by the machine's width, and
turns a transposition into gathers.  Here the order of additions is part of the text, so a result
does not depend on the machine.  Used by `softmax_kernels`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from losskit.backends.simd_intrinsics import view

WIDTH = 8  # elements of a vector; LLVM splits it where the machine's are shorter
_SIDE_BY_SIDE = 4  # vectors in flight, since each waits for its own previous result
PIECE = WIDTH * _SIDE_BY_SIDE
_LINE = 64  # bytes

#: How what only kernels call is compiled: without an entry for Python, which would take a tenth of
#: the time.
_OPTIONS = {"error_model": "numpy", "no_cfunc_wrapper": True, "no_cpython_wrapper": True}
compiled = njit(nogil=True, **_OPTIONS)
inlined = njit(forceinline=True, **_OPTIONS)


@compiled
def extremes(values):
    """Give the largest and the smallest value of a contiguous array; NaN may be overlooked."""
    size = values.shape[0]
    if size >= PIECE:
        largest, smallest = _extremes(values, size - size % PIECE)
        if size % PIECE:
            high, low = _extremes(view(values, size - PIECE, PIECE), PIECE)
            largest = high if high > largest else largest
            smallest = low if low < smallest else smallest
        return largest, smallest
    largest = values[0]
    smallest = values[0]
    for i in range(1, size):
        largest = values[i] if values[i] > largest else largest
        smallest = values[i] if values[i] < smallest else smallest
    return largest, smallest


@compiled
def sum_and_ones(values):
    """Give the float64 sum of the values that are not 1, and the number of those that are."""
    whole = values.shape[0] - values.shape[0] % PIECE
    total, ones = _sum_and_ones(values, whole)
    for i in range(whole, values.shape[0]):
        if values[i] == 1.0:
            ones += 1.0
        else:
            total += values[i]
    return total, ones


@compiled
def prefetch(array, start, count):
    """Ask for the cache lines of array[start:start + count]; they may lie outside the array."""
    for position in range(start, start + count, _LINE // array.itemsize):
        _prefetch(array, position)


@compiled
def put(source, target, past_caches):
    """Copy into memory, past the caches where asked; needs a `fence` before others read it.

    A cache would first read from memory what is about to be overwritten.
    """
    size = target.shape[0]
    if not past_caches:
        for i in range(size):
            target[i] = source[i]
        return
    line = _LINE // target.itemsize
    head = min(size, _elements_to_line(target))
    whole = (size - head) // line * line
    for i in range(head):
        target[i] = source[i]
    _stream(source, target, head, head + whole)
    for i in range(head + whole, size):
        target[i] = source[i]


@intrinsic
def transpose(typingctx, source, at, stride, target, to, step):
    """Write the 8 x 8 matrix source[at + i*stride + j] to target[to + j*step + i], unchecked.

    Rows of the target are written in rising order.
    """
    if source.dtype != target.dtype:
        raise TypingError(f"transpose: {source} into {target}; needed: one type of element")

    def generate(context, builder, signature, arguments):
        kind = context.get_value_type(source.dtype)
        vector = ir.VectorType(kind, WIDTH)
        align = source.dtype.bitwidth // 8
        read = context.make_array(source)(context, builder, arguments[0]).data
        write = context.make_array(target)(context, builder, arguments[3]).data

        def place(start, origin, stride, i):
            offset = builder.add(origin, builder.mul(stride, origin.type(i)))
            return builder.bitcast(builder.gep(start, [offset]), vector.as_pointer())

        rows = [
            builder.load(place(read, arguments[1], arguments[2], i), align=align)
            for i in range(WIDTH)
        ]
        # Three rounds exchange the off-diagonal blocks of 1, 2 and 4 elements.
        for size in (1, 2, 4):
            low = [j if not j & size else j - size + WIDTH for j in range(WIDTH)]
            high = [j + size if not j & size else j + WIDTH for j in range(WIDTH)]
            after = list(rows)
            for i in range(WIDTH):
                if not i & size:
                    pair = rows[i], rows[i + size]
                    after[i] = builder.shuffle_vector(*pair, _mask(low))
                    after[i + size] = builder.shuffle_vector(*pair, _mask(high))
            rows = after
        for j, row in enumerate(rows):
            builder.store(row, place(write, arguments[4], arguments[5], j), align=align)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(source, whole, whole, target, whole, whole), generate


@intrinsic
def fence(typingctx):
    """Let everything written so far be seen by others before anything after it."""

    def generate(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def column_extremes(typingctx, values, count, pitch, largest, smallest):
    """Fill in the extremes of values[c*pitch + i] over c < count, for each i < the length.

    The length of `largest` and `smallest` is a multiple of `PIECE`; NaN may be overlooked.
    """

    def generate(context, builder, signature, arguments):
        kind = context.get_value_type(values.dtype)
        data, high, low = (_data(context, builder, signature, arguments, i) for i in (0, 3, 4))
        length = context.make_array(largest)(context, builder, arguments[3]).shape

        def piece(held, offset):
            first = _load(builder, builder.gep(data, [offset]), kind)
            span = builder.mul(arguments[1], arguments[2])

            def step(held, at):
                return _keep_extremes(
                    builder,
                    held,
                    _load(builder, builder.gep(data, [builder.add(offset, at)]), kind),
                )

            answer = _loop(builder, span, arguments[2], 2 * first, step)
            _store(builder, answer[:_SIDE_BY_SIDE], builder.gep(high, [offset]))
            _store(builder, answer[_SIDE_BY_SIDE:], builder.gep(low, [offset]))
            return []

        rows = builder.extract_value(length, 0)
        _loop(builder, rows, rows.type(PIECE), [], piece)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(values, whole, whole, largest, smallest), generate


@intrinsic
def column_sums_and_ones(typingctx, values, count, pitch, sums, ones):
    """Fill in what `sum_and_ones` gives of values[c*pitch + i] over c < count, for each i."""

    def generate(context, builder, signature, arguments):
        kind = context.get_value_type(values.dtype)
        data, sum_at, one_at = (_data(context, builder, signature, arguments, i) for i in (0, 3, 4))
        length = context.make_array(sums)(context, builder, arguments[3]).shape

        def piece(held, offset):
            def step(held, at):
                place = builder.gep(data, [builder.add(offset, at)])
                return _add_but_ones(builder, held, _load(builder, place, kind))

            span = builder.mul(arguments[1], arguments[2])
            answer = _loop(builder, span, arguments[2], _ZEROS, step)
            _store(builder, answer[:_SIDE_BY_SIDE], builder.gep(sum_at, [offset]))
            _store(builder, answer[_SIDE_BY_SIDE:], builder.gep(one_at, [offset]))
            return []

        rows = builder.extract_value(length, 0)
        _loop(builder, rows, rows.type(PIECE), [], piece)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(values, whole, whole, sums, ones), generate


@intrinsic
def _prefetch(typingctx, array, position):
    def generate(context, builder, signature, arguments):
        data = _data(context, builder, signature, arguments, 0)
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        name = "llvm.prefetch.p0"
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        callee = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(callee, [address, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@intrinsic
def _elements_to_line(typingctx, array):
    """Give the number of elements before the first that starts a cache line."""

    def generate(context, builder, signature, arguments):
        data = _data(context, builder, signature, arguments, 0)
        index = ir.IntType(64)
        address = builder.ptrtoint(data, index)
        over = builder.and_(builder.neg(address), index(_LINE - 1))
        return builder.udiv(over, index(array.dtype.bitwidth // 8))

    return types.int64(array), generate


@intrinsic
def _stream(typingctx, source, target, start, end):
    """Copy source[start:end] by whole lines; target[start] starts a line."""

    def generate(context, builder, signature, arguments):
        size = target.dtype.bitwidth // 8
        vector = ir.VectorType(context.get_value_type(target.dtype), _LINE // size)
        read, write = (_data(context, builder, signature, arguments, i) for i in (0, 1))
        start, end = arguments[2], arguments[3]
        once = builder.module.add_metadata([ir.IntType(32)(1)])

        def step(held, offset):
            at = builder.add(start, offset)
            places = [builder.gep(one, [at]) for one in (read, write)]
            source_at, target_at = (builder.bitcast(one, vector.as_pointer()) for one in places)
            stored = builder.store(builder.load(source_at, align=size), target_at, align=_LINE)
            stored.set_metadata("nontemporal", once)
            return []

        _loop(builder, builder.sub(end, start), start.type(_LINE // size), [], step)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(source, target, whole, whole), generate


@intrinsic
def _extremes(typingctx, values, count):
    def generate(context, builder, signature, arguments):
        kind = context.get_value_type(values.dtype)
        data = _data(context, builder, signature, arguments, 0)

        def step(held, offset):
            return _keep_extremes(builder, held, _load(builder, builder.gep(data, [offset]), kind))

        step_by = arguments[1].type(PIECE)
        held = _loop(builder, arguments[1], step_by, 2 * _load(builder, data, kind), step)
        answer = [
            _across(builder, group, lambda a, b, order=order: _keep(builder, order, a, b))
            for order, group in ((">", held[:_SIDE_BY_SIDE]), ("<", held[_SIDE_BY_SIDE:]))
        ]
        return context.make_tuple(builder, signature.return_type, answer)

    return types.UniTuple(values.dtype, 2)(values, types.int64), generate


@intrinsic
def _sum_and_ones(typingctx, values, count):
    def generate(context, builder, signature, arguments):
        kind = context.get_value_type(values.dtype)
        data = _data(context, builder, signature, arguments, 0)

        def step(held, offset):
            return _add_but_ones(builder, held, _load(builder, builder.gep(data, [offset]), kind))

        held = _loop(builder, arguments[1], arguments[1].type(PIECE), _ZEROS, step)
        groups = held[:_SIDE_BY_SIDE], held[_SIDE_BY_SIDE:]
        answer = [_across(builder, group, builder.fadd) for group in groups]
        return context.make_tuple(builder, signature.return_type, answer)

    return types.UniTuple(types.float64, 2)(values, types.int64), generate


_FLIGHT = range(_SIDE_BY_SIDE)
_DOUBLE = ir.VectorType(ir.DoubleType(), WIDTH)
_ONE = ir.Constant(_DOUBLE, [1.0] * WIDTH)
_ZERO = ir.Constant(_DOUBLE, [0.0] * WIDTH)
_ZEROS = [_ZERO] * (2 * _SIDE_BY_SIDE)


def _data(context: Any, builder: Any, signature: Any, arguments: Any, i: int) -> Any:
    return context.make_array(signature.args[i])(context, builder, arguments[i]).data


def _places(builder: Any, start: Any, kind: Any) -> list[Any]:
    index, pointer = ir.IntType(64), ir.VectorType(kind, WIDTH).as_pointer()
    return [builder.bitcast(builder.gep(start, [index(WIDTH * j)]), pointer) for j in _FLIGHT]


def _load(builder: Any, start: Any, kind: Any) -> list[Any]:
    """Load 4 vectors."""
    size = 8 if kind == _DOUBLE.element else 4
    return [builder.load(place, align=size) for place in _places(builder, start, kind)]


def _store(builder: Any, vectors: list[Any], start: Any) -> None:
    kind = vectors[0].type.element
    size = 8 if kind == _DOUBLE.element else 4
    for vector, place in zip(vectors, _places(builder, start, kind), strict=True):
        builder.store(vector, place, align=size)


def _keep(builder: Any, order: str, x: Any, held: Any) -> Any:
    return builder.select(builder.fcmp_ordered(order, x, held), x, held)


def _keep_extremes(builder: Any, held: list[Any], news: list[Any]) -> list[Any]:
    highs, lows = held[:_SIDE_BY_SIDE], held[_SIDE_BY_SIDE:]
    return [
        *(_keep(builder, ">", x, h) for x, h in zip(news, highs, strict=True)),
        *(_keep(builder, "<", x, h) for x, h in zip(news, lows, strict=True)),
    ]


def _add_but_ones(builder: Any, held: list[Any], news: list[Any]) -> list[Any]:
    sums, counts = [], []
    for x, before, count in zip(news, held[:_SIDE_BY_SIDE], held[_SIDE_BY_SIDE:], strict=True):
        wide = x if x.type == _DOUBLE else builder.fpext(x, _DOUBLE)
        is_one = builder.fcmp_ordered("==", wide, _ONE)
        sums.append(builder.fadd(before, builder.select(is_one, _ZERO, wide)))
        counts.append(builder.fadd(count, builder.select(is_one, _ONE, _ZERO)))
    return sums + counts


def _loop(builder: Any, count: Any, stride: Any, start: list[Any], step: Any) -> list[Any]:
    """Carry vectors through ``step(held, offset)`` for offset = 0, stride, … below count."""
    entry = builder.block
    head = builder.append_basic_block("vectors.head")
    body = builder.append_basic_block("vectors.body")
    done = builder.append_basic_block("vectors.done")
    builder.branch(head)
    builder.position_at_end(head)
    offset = builder.phi(count.type)
    offset.add_incoming(count.type(0), entry)
    held = [builder.phi(one.type) for one in start]
    for phi, value in zip(held, start, strict=True):
        phi.add_incoming(value, entry)
    builder.cbranch(builder.icmp_signed("<", offset, count), body, done)
    builder.position_at_end(body)
    after = step(held, offset)
    last = builder.block
    for phi, value in zip(held, after, strict=True):
        phi.add_incoming(value, last)
    offset.add_incoming(builder.add(offset, stride), last)
    builder.branch(head)
    builder.position_at_end(done)
    return held


def _across(builder: Any, vectors: list[Any], join: Any) -> Any:
    """Join 4 vectors, pairs first, then the elements of the vector that remains, halves first."""
    while len(vectors) > 1:
        vectors = [join(a, b) for a, b in zip(vectors[::2], vectors[1::2], strict=True)]
    vector = vectors[0]
    for half in (4, 2, 1):
        order = [(j + half) % WIDTH for j in range(WIDTH)]
        vector = join(vector, builder.shuffle_vector(vector, vector, _mask(order)))
    return builder.extract_element(vector, ir.IntType(32)(0))


def _mask(order: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), order)
