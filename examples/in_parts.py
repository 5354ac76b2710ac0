"""The mean of data that does not fit in memory: parts add up to the whole, to the last bits."""

import numpy as np

import losskit

rng = np.random.default_rng(0)
y = rng.poisson(3.0, size=100_000)
predicted = rng.uniform(2.0, 4.0, size=100_000)

whole = losskit.poisson(y, predicted)
total = sum(
    losskit.poisson.accumulate(y[start : start + 1024], predicted[start : start + 1024])
    for start in range(0, y.size, 1024)
)
print(f"whole {whole!r}\nparts {total.value!r}")
assert abs(whole - total.value) <= 4 * np.spacing(abs(whole))
