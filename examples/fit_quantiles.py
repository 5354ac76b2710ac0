"""Bands instead of points: three quantiles of a disease's progression, fitted side by side."""

import numpy as np
from sklearn.datasets import load_diabetes

import losskit

X, y = load_diabetes(return_X_y=True)
test = np.random.default_rng(0).permutation(len(y)) < 142

bands = losskit.quantile(q=(0.1, 0.5, 0.9))
model = losskit.Regressor(bands, penalty=None).fit(X[~test], y[~test])
low, middle, high = model.predict(X[test]).T  # sorted: no two cross

print(f"{'patient':8} {'10 %':>6} {'median':>7} {'90 %':>6}   truth")
for i in range(8):
    outside = "" if low[i] <= y[test][i] <= high[i] else "   outside"
    print(f"{i + 1:<8} {low[i]:6.0f} {middle[i]:7.0f} {high[i]:6.0f} {y[test][i]:7.0f}{outside}")

for name, share, wanted in (
    ("below the 10 % line", np.mean(y[test] < low), 0.1),
    ("below the median", np.mean(y[test] < middle), 0.5),
    ("below the 90 % line", np.mean(y[test] < high), 0.9),
):
    print(f"{name:20} {share:.0%} of {test.sum()} patients the model has not seen")
    assert abs(share - wanted) < 0.1

constant = bands.optimal_constant(y[~test])
saved = 1 - bands(y[test], model.predict(X[test])) / bands(y[test], np.tile(constant, (142, 1)))
print(f"its loss is {saved:.0%} below that of the same three numbers for everybody")
assert (low <= middle).all()
assert (middle <= high).all()
print("certificate:", model.certificate_)
