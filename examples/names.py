"""One loss, many names: what a config of LightGBM is in ours, and what ours is called elsewhere."""

import numpy as np
from sklearn.metrics import mean_poisson_deviance

import losskit

for text in ("LightGBM huber alpha=0.9", "reg:pseudohubererror", "nn.SmoothL1Loss(beta=0.5)"):
    print(losskit.translate(text))

found = losskit.translate("quantile q=0.9")
print(f"\n{found.loss} elsewhere:")
for name in found.names:
    print(f"  {name.library:<18}{name.text}")
print(f"  nowhere in {', '.join(found.missing[:3])}")

rng = np.random.default_rng(0)
y, predicted = rng.poisson(3.0, size=1000), rng.uniform(2.0, 4.0, size=1000)
ours = losskit.wrap(mean_poisson_deviance)
print(
    f"\n{ours}\n  ours   {ours(y, predicted)!r}\n  theirs {mean_poisson_deviance(y, predicted)!r}"
)
assert np.isclose(ours(y, predicted), mean_poisson_deviance(y, predicted), rtol=1e-12)
