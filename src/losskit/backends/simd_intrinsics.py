"""Single LLVM instructions as Numba functions: what the SIMD mathematics is written in.

Numba widens ``int32 + int32`` to 64 bits and ``float32 * 0.5`` to 64 bits, and turns a conditional
expression into a branch; each of the three halves or ends vectorisation.  These functions keep the
width of what they are given, refuse mixed widths when compiled, and never branch.  Used by
`simd_float64`, `simd_float32` and by every generated kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.errors import RequireLiteralValue, TypingError
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

_INTEGER = {types.float64: types.int64, types.float32: types.int32}
_FLOAT = {integer: real for real, integer in _INTEGER.items()}


def _same(name: str, arguments: tuple[Any, ...], allowed: Any) -> Any:
    first = arguments[0]
    if first not in allowed or any(one != first for one in arguments):
        raise TypingError(
            f"losskit SIMD function {name}: needs arguments of one type among "
            f"{sorted(map(str, allowed))}, was given {tuple(map(str, arguments))}; "
            "wrap constants in the kernel's own type"
        )
    return first


@intrinsic
def fma(typingctx, a, b, c):
    """Give a*b + c with one rounding."""
    kind = _same("fma", (a, b, c), _INTEGER)
    return kind(a, b, c), _call("fma")


@intrinsic
def floor(typingctx, a):
    """Give the largest integral value not above a, as a float of a's width."""
    return _same("floor", (a,), _INTEGER)(a), _call("floor")


@intrinsic
def select(typingctx, condition, a, b):
    """Give a where the condition holds, else b; both are computed, nothing branches."""
    kind = _same("select", (a, b), (*_INTEGER, *_FLOAT))
    if condition != types.boolean:
        raise TypingError(f"losskit SIMD function select: condition is {condition}, not boolean")

    def generate(context, builder, signature, arguments):
        return builder.select(*arguments)

    return kind(condition, a, b), generate


@intrinsic
def bits(typingctx, a):
    """Give the bit pattern of a float as an integer of the same width."""
    integer = _INTEGER[_same("bits", (a,), _INTEGER)]
    return integer(a), _bitcast(integer)


@intrinsic
def from_bits(typingctx, a):
    """Give the float whose bit pattern is the integer a."""
    real = _FLOAT[_same("from_bits", (a,), _FLOAT)]
    return real(a), _bitcast(real)


@intrinsic
def iadd(typingctx, a, b):
    """Add integers at their own width, wrapping."""
    return _same("iadd", (a, b), _FLOAT)(a, b), _instruction("add")


@intrinsic
def isub(typingctx, a, b):
    """Subtract integers at their own width, wrapping."""
    return _same("isub", (a, b), _FLOAT)(a, b), _instruction("sub")


@intrinsic
def ior(typingctx, a, b):
    """Give the bitwise or of two integers of one width."""
    return _same("ior", (a, b), _FLOAT)(a, b), _instruction("or_")


@intrinsic
def shift_left(typingctx, a, count):
    """Shift an integer left at its own width."""
    return _same("shift_left", (a, count), _FLOAT)(a, count), _instruction("shl")


@intrinsic
def shift_right(typingctx, a, count):
    """Shift an integer right at its own width, filling with zeros."""
    return _same("shift_right", (a, count), _FLOAT)(a, count), _instruction("lshr")


@intrinsic
def own_width(typingctx, a):
    """Give a number for comparisons: floats as they are, integers and booleans as float64."""
    kind = a if a in _INTEGER else types.float64
    return kind(a), lambda context, builder, signature, arguments: context.cast(
        builder, arguments[0], a, kind
    )


@intrinsic
def as_width_of(typingctx, a, like):
    """Cast the float a to float32 if `like` holds float32, else to float64."""
    dtype = getattr(like, "dtype", like)
    kind = dtype if dtype in _INTEGER else types.float64
    return kind(a, like), lambda context, builder, signature, arguments: context.cast(
        builder, arguments[0], a, kind
    )


@intrinsic
def view(typingctx, array, start, count):
    """Give array[start:start + count] of a contiguous array, unchecked and without owning it.

    A slice would count references, at two locked instructions each: a tenth of a block's time.
    """
    kind = types.Array(array.dtype, 1, "C")

    def generate(context, builder, signature, arguments):
        whole = context.make_array(array)(context, builder, arguments[0])
        part = context.make_array(kind)(context, builder)
        bytes_each = context.get_abi_sizeof(context.get_data_type(array.dtype))
        size = context.get_constant(types.intp, bytes_each)
        populate_array(
            part,
            data=builder.gep(whole.data, [arguments[1]]),
            shape=[arguments[2]],
            strides=[size],
            itemsize=size,
            meminfo=None,
        )
        return part._getvalue()

    return kind(array, types.intp, types.intp), generate


@intrinsic
def nan_unless_finite(typingctx, a, b):
    """Give the float a where the float b is finite, else NaN; a zero a may change its sign.

    One instruction where both are of one width.
    """
    if a not in _INTEGER or b not in _INTEGER:
        raise TypingError(f"losskit SIMD function nan_unless_finite: {a}, {b} are not both floats")

    def generate(context, builder, signature, arguments):
        kind = context.get_value_type(b)
        if a == b:
            return _call("fma")(
                context, builder, signature, (arguments[1], kind(0.0), arguments[0])
            )
        zero = context.cast(builder, builder.fmul(arguments[1], kind(0.0)), b, a)
        return builder.fadd(arguments[0], zero)

    return a(a, b), generate


@intrinsic
def add_vectors(typingctx, values, count, lanes):
    """Add values[:count], count a multiple of 32, to 32 lanes of float64 pairs.

    `lanes` holds 32 sums, then their 32 errors.  float64 values are added by Knuth's two-sum, which
    loses nothing; float32 ones plainly, as 29 spare bits make that all but exact.  Written in
    vectors of 8 since LLVM would keep the lanes in memory, whose stores wait for the gradient's.
    """
    width, vectors = 8, 4
    exact = values.dtype == types.float64

    def generate(context, builder, signature, arguments):
        double = ir.VectorType(ir.DoubleType(), width)
        source = ir.VectorType(context.get_value_type(values.dtype), width)
        size = values.dtype.bitwidth // 8
        data = context.make_array(values)(context, builder, arguments[0]).data
        memory = context.make_array(lanes)(context, builder, arguments[2]).data
        index = arguments[1].type

        def place(start, offset, kind):
            return builder.bitcast(builder.gep(start, [offset]), kind.as_pointer())

        rows = range(2 * vectors if exact else vectors)
        places = [place(memory, index(width * j), double) for j in rows]
        before = [builder.load(one, align=8) for one in places]
        entry = builder.block
        head = builder.append_basic_block("sum.head")
        body = builder.append_basic_block("sum.body")
        done = builder.append_basic_block("sum.done")
        builder.branch(head)

        builder.position_at_end(head)
        position = builder.phi(index)
        position.add_incoming(index(0), entry)
        held = [builder.phi(double) for _ in rows]
        for phi, value in zip(held, before, strict=True):
            phi.add_incoming(value, entry)
        builder.cbranch(builder.icmp_signed("<", position, arguments[1]), body, done)

        builder.position_at_end(body)
        sums, errors = [], []
        for j in range(vectors):
            offset = builder.add(position, index(width * j))
            x = builder.load(place(data, offset, source), align=size)
            x = x if exact else builder.fpext(x, double)
            total = builder.fadd(held[j], x)
            sums.append(total)
            if exact:
                part = builder.fsub(total, held[j])
                lost = builder.fsub(held[j], builder.fsub(total, part))
                lost = builder.fadd(lost, builder.fsub(x, part))
                errors.append(builder.fadd(held[vectors + j], lost))
        for phi, value in zip(held, sums + errors, strict=True):
            phi.add_incoming(value, body)
        position.add_incoming(builder.add(position, index(width * vectors)), body)
        builder.branch(head)

        builder.position_at_end(done)
        for one, value in zip(places, held, strict=True):
            builder.store(value, one, align=8)
        return context.get_dummy_value()

    return types.void(values, types.int64, lanes), generate


@intrinsic
def interleave_loops(typingctx, count):
    """Ask LLVM to run `count` vectors side by side in the loops that precede this in the function.

    The chains of dependent instructions in a loss are several hundred cycles long, more than a CPU
    looks ahead; left alone, LLVM interleaves one or two vectors and half the time is waiting.
    `count` is a literal.  Where no loop is found, nothing happens.
    """
    if not isinstance(count, types.IntegerLiteral):
        raise RequireLiteralValue("losskit SIMD function interleave_loops: count is no literal")
    number = count.literal_value

    def generate(context, builder, signature, arguments):
        module = builder.module
        seen = set()
        for block in builder.function.blocks:
            seen.add(block)
            last = block.terminator
            if isinstance(last, ir.Branch) and last.operands[0] in seen:
                text = ir.MetaDataString(module, "llvm.loop.interleave.count")
                hint = module.add_metadata([text, ir.IntType(32)(number)])
                loop = module.add_metadata([hint])
                loop.operands = (loop, hint)  # LLVM knows a loop's node by its naming itself
                last.set_metadata("llvm.loop", loop)
        return context.get_dummy_value()

    return types.void(count), generate


def _call(name: str) -> Callable[..., Any]:
    def generate(context, builder, signature, arguments):
        kind = arguments[0].type
        function_type = ir.FunctionType(kind, [kind] * len(arguments))
        width = "f64" if isinstance(kind, ir.DoubleType) else "f32"
        callee = builder.module.globals.get(f"llvm.{name}.{width}")
        if callee is None:
            callee = ir.Function(builder.module, function_type, f"llvm.{name}.{width}")
        return builder.call(callee, arguments)

    return generate


def _instruction(name: str) -> Callable[..., Any]:
    def generate(context, builder, signature, arguments):
        return getattr(builder, name)(*arguments)

    return generate


def _bitcast(target: Any) -> Callable[..., Any]:
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(target))

    return generate
