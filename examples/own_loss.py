"""A loss of your own: late is three times as bad as early, and the best promise follows from it."""

import numpy as np

import losskit
from losskit.formula import REAL, Positive, positive_part


@losskit.loss(target=REAL, optimum="quantile")
def lateness(y, f, penalty: Positive = 3.0):
    """Costs each hour promised too early `penalty` times an hour promised too late."""
    r = f - y
    return penalty * positive_part(-r) + positive_part(r)


rng = np.random.default_rng(0)
hours = rng.gamma(shape=4.0, scale=2.0, size=10_001)

promise = lateness.optimal_constant(hours)
share_in_time = float(np.mean(hours <= promise))
print(f"promise {promise:.2f} hours: {share_in_time:.1%} of deliveries are in time")
assert abs(share_in_time - 0.75) < 1e-3  # the quantile at 3/(3 + 1)

even = lateness(penalty=1.0)
assert even.optimal_constant(hours) == np.median(hours)
print(f"{even} promises the median, {np.median(hours):.2f} hours")
