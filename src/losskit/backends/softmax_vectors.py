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

WIDTH = 8  # elements of a vector; LLVM splits it where the machine's are shorter
_SIDE_BY_SIDE = 4  # vectors in flight, since each waits for its own previous result

_compiled = njit(error_model="numpy", nogil=True, no_cfunc_wrapper=True)


@_compiled
def extremes(values):
    """Give the largest and the smallest value of a contiguous array; NaN may be overlooked."""
    whole = values.shape[0] - values.shape[0] % (WIDTH * _SIDE_BY_SIDE)
    if whole == 0:
        largest = values[0]
        smallest = values[0]
    else:
        largest, smallest = _extremes(values, whole)
    for i in range(whole, values.shape[0]):
        x = values[i]
        largest = x if x > largest else largest
        smallest = x if x < smallest else smallest
    return largest, smallest


@_compiled
def sum_and_ones(values):
    """Give the float64 sum of the values that are not 1, and the number of those that are."""
    whole = values.shape[0] - values.shape[0] % (WIDTH * _SIDE_BY_SIDE)
    total, ones = _sum_and_ones(values, whole)
    for i in range(whole, values.shape[0]):
        if values[i] == 1.0:
            ones += 1.0
        else:
            total += values[i]
    return total, ones


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
def prefetch(typingctx, array, position):
    """Ask for the cache line of array[position]; the position may lie outside the array."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(array)(context, builder, arguments[0]).data
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        name = "llvm.prefetch.p0"
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        callee = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(callee, [address, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@intrinsic
def _extremes(typingctx, values, count):
    def generate(context, builder, signature, arguments):
        size = values.dtype.bitwidth // 8
        vector = ir.VectorType(context.get_value_type(values.dtype), WIDTH)
        data = context.make_array(values)(context, builder, arguments[0]).data

        def load(offset):
            place = builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())
            return builder.load(place, align=size)

        def keep(order, x, held):
            return builder.select(builder.fcmp_ordered(order, x, held), x, held)

        def step(held, offset):
            news = [load(builder.add(offset, offset.type(WIDTH * j))) for j in _FLIGHT]
            up = [keep(">", x, h) for x, h in zip(news, held, strict=False)]
            down = [keep("<", x, h) for x, h in zip(news, held[len(news) :], strict=True)]
            return up + down

        index = arguments[1].type
        first = [load(index(WIDTH * j)) for j in _FLIGHT]
        held = _loop(builder, arguments[1], 2 * first, step)
        answer = []
        for order, group in ((">", held[:_SIDE_BY_SIDE]), ("<", held[_SIDE_BY_SIDE:])):
            while len(group) > 1:
                group = [keep(order, a, b) for a, b in zip(group[::2], group[1::2], strict=True)]
            answer.append(_across(builder, group[0], lambda a, b, order=order: keep(order, a, b)))
        return context.make_tuple(builder, signature.return_type, answer)

    return types.UniTuple(values.dtype, 2)(values, types.int64), generate


@intrinsic
def _sum_and_ones(typingctx, values, count):
    def generate(context, builder, signature, arguments):
        own = context.get_value_type(values.dtype)
        size = values.dtype.bitwidth // 8
        source, double = ir.VectorType(own, WIDTH), ir.VectorType(ir.DoubleType(), WIDTH)
        data = context.make_array(values)(context, builder, arguments[0]).data
        one = ir.Constant(double, [1.0] * WIDTH)
        zero = ir.Constant(double, [0.0] * WIDTH)

        def step(held, offset):
            sums, counts = [], []
            for j in _FLIGHT:
                at = builder.add(offset, offset.type(WIDTH * j))
                place = builder.bitcast(builder.gep(data, [at]), source.as_pointer())
                x = builder.load(place, align=size)
                x = x if own == double.element else builder.fpext(x, double)
                is_one = builder.fcmp_ordered("==", x, one)
                sums.append(builder.fadd(held[j], builder.select(is_one, zero, x)))
                before = held[_SIDE_BY_SIDE + j]
                counts.append(builder.fadd(before, builder.select(is_one, one, zero)))
            return sums + counts

        held = _loop(builder, arguments[1], [zero] * (2 * _SIDE_BY_SIDE), step)
        answer = []
        for group in (held[:_SIDE_BY_SIDE], held[_SIDE_BY_SIDE:]):
            while len(group) > 1:
                group = [builder.fadd(a, b) for a, b in zip(group[::2], group[1::2], strict=True)]
            answer.append(_across(builder, group[0], builder.fadd))
        return context.make_tuple(builder, signature.return_type, answer)

    return types.UniTuple(types.float64, 2)(values, types.int64), generate


_FLIGHT = range(_SIDE_BY_SIDE)


def _loop(builder: Any, count: Any, start: list[Any], step: Any) -> list[Any]:
    """Carry vectors through ``step(held, offset)`` for each 4 vectors' worth of `count`."""
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
    for phi, value in zip(held, after, strict=True):
        phi.add_incoming(value, body)
    offset.add_incoming(builder.add(offset, count.type(WIDTH * _SIDE_BY_SIDE)), body)
    builder.branch(head)
    builder.position_at_end(done)
    return held


def _across(builder: Any, vector: Any, join: Any) -> Any:
    """Join the elements of a vector, halves first."""
    for half in (4, 2, 1):
        order = [(j + half) % WIDTH for j in range(WIDTH)]
        vector = join(vector, builder.shuffle_vector(vector, vector, _mask(order)))
    return builder.extract_element(vector, ir.IntType(32)(0))


def _mask(order: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), order)
