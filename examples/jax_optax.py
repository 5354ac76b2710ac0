"""JAX and Optax: a small network learns a band that holds eight of ten targets.

Its two outputs are the 10 % and the 90 % quantile. The noise grows with x, so a band of one width
would be too wide on the left and too narrow on the right.
"""

import jax
import jax.numpy as jnp
import optax

import losskit.jax

LEVELS = (0.1, 0.9)
STEPS = 1000


def data(key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """Return x in [0, 1] and y = sin(4x) with noise of size 0.05 + 0.5x."""
    left, right = jax.random.split(key)
    x = jax.random.uniform(left, (count, 1))
    noise = jax.random.normal(right, (count,)) * (0.05 + 0.5 * x[:, 0])
    return x, jnp.sin(4 * x[:, 0]) + noise


def network(weights: list[tuple[jax.Array, jax.Array]], x: jax.Array) -> jax.Array:
    """Return a column for each level."""
    for matrix, shift in weights[:-1]:
        x = jnp.tanh(x @ matrix + shift)
    matrix, shift = weights[-1]
    return x @ matrix + shift


band = losskit.jax.function("quantile", q=LEVELS)
keys = jax.random.split(jax.random.key(0), 5)
sizes = (1, 32, 32, len(LEVELS))
weights = [
    (jax.random.normal(key, (a, b)) / a**0.5, jnp.zeros(b))
    for key, a, b in zip(keys[:3], sizes[:-1], sizes[1:], strict=True)
]
x, y = data(keys[3], 2000)
optimiser = optax.adam(optax.cosine_decay_schedule(1e-2, STEPS))


@jax.jit
def train(weights, state):
    """Take all steps in one program."""

    def step(carry, _):
        weights, state = carry
        value, slope = jax.value_and_grad(lambda w: band(y, network(w, x)))(weights)
        update, state = optimiser.update(slope, state)
        return (optax.apply_updates(weights, update), state), value

    return jax.lax.scan(step, (weights, state), length=STEPS)


(weights, _), values = train(weights, optimiser.init(weights))
print(f"mean quantile loss: {values[0]:.3f} at first, {values[-1]:.3f} in the end")

new_x, new_y = data(keys[4], 20_000)
low, high = network(weights, new_x).T
inside = (low <= new_y) & (new_y <= high)
print("part of x      width   targets inside")
for begin in (0.0, 0.25, 0.5, 0.75):
    here = (new_x[:, 0] >= begin) & (new_x[:, 0] < begin + 0.25)
    width = float((high - low)[here].mean())
    print(f"{begin:.2f} to {begin + 0.25:.2f}   {width:.2f}    {float(inside[here].mean()):.0%}")
assert abs(float(inside.mean()) - 0.8) < 0.03
