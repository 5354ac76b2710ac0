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
def no_bits(typingctx, like):
    """Give the integer 0 as wide as the floats in which `like`, an array, is compared."""
    integer = _INTEGER.get(like.dtype, types.int64)
    return integer(like), lambda context, builder, signature, arguments: ir.Constant(
        context.get_value_type(integer), 0
    )


@intrinsic
def infinite_bits(typingctx, a):
    """Give an integer whose sign bit is set where the float a is infinite or NaN."""
    integer = _INTEGER[_same("infinite_bits", (a,), _INTEGER)]

    def generate(context, builder, signature, arguments):
        kind = context.get_value_type(integer)
        exponent = 0x7FF0000000000000 if integer.bitwidth == 64 else 0x7F800000
        step = 1 << (52 if integer.bitwidth == 64 else 23)
        pattern = builder.bitcast(arguments[0], kind)
        return builder.add(builder.and_(pattern, kind(exponent)), kind(step))

    return integer(a), generate


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
