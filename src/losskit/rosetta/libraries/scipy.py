"""SciPy: the losses of `scipy.optimize.least_squares`, whose cost is their sum."""

from losskit.rosetta.facts import Library, Name

_L = "scipy.optimize.least_squares"

SCIPY = Library(
    "scipy",
    "SciPy",
    prefixes=("scipy.optimize",),
    packages=("scipy",),
    order="the residuals alone; the cost is the sum",
    names=(
        Name(_L + "(loss='linear')", "squared_error", factor=2.0),
        Name(_L + "(loss='huber', f_scale={delta})", "huber", defaults={"f_scale": 1.0}),
        Name(_L + "(loss='soft_l1', f_scale={delta})", "pseudo_huber", defaults={"f_scale": 1.0}),
        Name(_L + "(loss='cauchy', f_scale={c})", "cauchy", defaults={"f_scale": 1.0}),
        Name(_L + "(loss='arctan')", without="losskit.barron(alpha=-2) is of its kind: bounded"),
    ),
)
