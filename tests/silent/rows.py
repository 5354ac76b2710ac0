"""The table of silent failures: one row each, run by tests and shown by the site.

A row's code runs in the library that it names: values by the code, derivatives by the library's own
differentiation with respect to `x`. "formula" rows are formulas that libraries which are not
installed here have in their source, run in NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, inf, nan
from typing import Any

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """One call of another library, what it gives, and losskit's."""

    by: str  # where the code runs: see `PLACES`
    what: str  # the library's name of it, and where it is defined if `by` is "formula"
    theirs: str | Mapping[str, str]  # code of the value; of formulas also of derivatives
    data: Mapping[str, Any]  # what the code calls x, y, …; derivatives are by x
    does: Numbers  # what it gives, by "value", "gradient", "hessian"
    ours: str  # the loss
    right: Numbers | str  # what losskit gives, or a part of its error's message
    why: str  # a clause for the page
    args: str = "y, x"  # of losskit's call, in NumPy
    raw: bool = True
    dtype: str = "float32"
    options: Mapping[str, Any] = field(default_factory=dict)  # of losskit's call alone
    at: int = 0  # the element whose derivative is looked at


# Where code runs: the page's heading, and the packages whose versions it names.
PLACES = {
    "torch": ("PyTorch", ("torch",)),
    "keras": ("Keras, on JAX", ("keras", "jax")),
    "keras-numpy": ("Keras, on NumPy", ("keras",)),
    "optax": ("Optax", ("optax", "jax")),
    "jax": ("JAX", ("jax",)),
    "lightgbm": ("LightGBM", ("lightgbm",)),
    "formula": ("Formulas in the source of other libraries, run in NumPy", ()),
}
# losskit's adapter for Keras runs on PyTorch and JAX; LightGBM's is tested with its models.
WITHOUT_ADAPTER = ("keras-numpy", "lightgbm")
# One process each, as settings of these libraries are a process's own.
PROCESSES = (("torch",), ("keras", "optax", "jax"), ("keras-numpy",), ("lightgbm",))

_FOCAL = "F.binary_cross_entropy_with_logits(x, y) * (1 - torch.sigmoid(x)) ** gamma"
_X = 1e-3  # small against 1 and not against float32's eps

ROWS = (
    # --- scores far out
    Row("torch", "soft_margin_loss", "F.soft_margin_loss(x, y)",
        {"x": [-100.0], "y": [1.0]}, {"value": inf, "gradient": nan},
        "logistic_margin", {"value": 100.0, "gradient": -1.0},
        "e¹⁰⁰ overflows float32"),
    Row("torch", "soft_margin_loss", "F.soft_margin_loss(x, y)",
        {"x": [-800.0], "y": [1.0]}, {"value": inf, "gradient": nan},
        "logistic_margin", {"value": 800.0, "gradient": -1.0},
        "e⁸⁰⁰ overflows float64", dtype="float64"),
    Row("torch", "binary_cross_entropy_with_logits",
        "F.binary_cross_entropy_with_logits(x, y)",
        {"x": [inf], "y": [1.0]}, {"value": nan},
        "binary_cross_entropy", {"value": 0.0, "gradient": 0.0},
        "a certain and right prediction: ∞ − ∞"),
    Row("torch", "binary_cross_entropy_with_logits",
        "F.binary_cross_entropy_with_logits(x, y)",
        {"x": [-inf], "y": [0.0]}, {"value": nan},
        "binary_cross_entropy", {"value": 0.0, "gradient": 0.0},
        "a certain and right prediction: 0·∞"),
    Row("optax", "sigmoid_binary_cross_entropy",
        "optax.losses.sigmoid_binary_cross_entropy(x, y)",
        {"x": [inf], "y": [1.0]}, {"value": nan},
        "binary_cross_entropy", {"value": 0.0, "gradient": 0.0},
        "a certain and right prediction: 0·∞"),
    Row("keras", "binary_focal_crossentropy(from_logits=True)",
        "keras.losses.binary_focal_crossentropy(y, x, from_logits=True)",
        {"x": [[-100.0]], "y": [[1.0]]}, {"value": 16.118, "gradient": 0.0},
        "focal", {"value": 100.0, "gradient": -1.0},
        "a sigmoid, clipped, then a logarithm: nothing is learnt from the worst mistakes"),
    Row("keras-numpy", "binary_crossentropy(from_logits=True)",
        "keras.losses.binary_crossentropy(y, x, from_logits=True)",
        {"x": [[-50.0]], "y": [[1.0]]}, {"value": 16.118},
        "binary_cross_entropy", {"value": 50.0, "gradient": -1.0},
        "on the NumPy back end alone; the others give 50"),
    Row("formula", "skglm and LossFunctions.jl, logistic",
        {"value": "np.log1p(np.exp(-y * x))"},
        {"x": [-800.0], "y": [1.0]}, {"value": inf},
        "logistic_margin", {"value": 800.0, "gradient": -1.0},
        "e⁸⁰⁰ overflows", dtype="float64"),
    Row("formula", "skglm and LossFunctions.jl, logistic",
        {"hessian": "np.exp(-y * x) / (1 + np.exp(-y * x)) ** 2"},
        {"x": [-800.0], "y": [1.0]}, {"hessian": nan},
        "logistic_margin", {"hessian": 0.0},
        "∞/∞ in the curvature", dtype="float64"),
    Row("formula", "skglm and LossFunctions.jl, logistic",
        {"hessian": "np.exp(-y * x) / (1 + np.exp(-y * x)) ** 2"},
        {"x": [-400.0], "y": [1.0]}, {"hessian": 0.0},
        "logistic_margin", {"hessian": exp(-400.0)},
        "(1 + e)² overflows, so the quotient is 0", dtype="float64"),
    Row("formula", "CatBoost's example of a custom objective",
        {"gradient": "np.exp(x) / (1 + np.exp(x)) - y"},
        {"x": [800.0], "y": [0.0]}, {"gradient": nan},
        "binary_cross_entropy", {"value": 800.0, "gradient": 1.0},
        "∞/∞ in the gradient", dtype="float64"),
    Row("formula", "LightGBM, cross_entropy_lambda with weight 2",
        {"hessian": "2 * np.exp(x) / (1 + np.exp(x)) ** 2 * (1 + y * (c / (c - 1) ** 2)"
                    " * (1 + 2 * np.exp(x) - c))",
         "c": "1 / (1 - (1 - np.exp(-2 * np.log1p(np.exp(x)))))"},
        {"x": [19.0], "y": [1.0]}, {"hessian": nan},
        "cross_entropy_lambda", {"hessian": 1.25565308516095276e-16},
        "1 − z is 0 from a score of 19 on; losskit's is six lines of yours", dtype="float64"),
    Row("formula", "LightGBM, cross_entropy_lambda with weight 2",
        {"gradient": "(1 - y / (1 - np.exp(-2 * np.log1p(np.exp(x))))) * 2 / (1 + np.exp(-x))"},
        {"x": [-40.0], "y": [1.0]}, {"gradient": -inf},
        "cross_entropy_lambda", {"value": 39.306852819440055, "gradient": -1.0},
        "z, a difference from 1, is 0; losskit's is six lines of yours", dtype="float64"),
    # --- kinks of stable forms, under automatic differentiation
    Row("torch", "the logistic loss, written stably",
        "F.relu(-x) + torch.log1p(torch.exp(-x.abs()))",
        {"x": [0.0], "y": [1.0]}, {"gradient": 0.0},
        "binary_cross_entropy", {"value": 0.6931471805599453, "gradient": -0.5},
        "differentiation of two kinks that cancel"),
    Row("jax", "the logistic loss, written stably",
        "jnp.maximum(-x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))",
        {"x": [0.0], "y": [1.0]}, {"gradient": -1.0},
        "binary_cross_entropy", {"value": 0.6931471805599453, "gradient": -0.5},
        "differentiation of two kinks that cancel"),
    # --- probabilities and means at the ends of their range
    Row("torch", "binary_cross_entropy", "F.binary_cross_entropy(x, y)",
        {"x": [0.0], "y": [1.0]}, {"value": 100.0, "gradient": -1e12},
        "binary_cross_entropy", {"value": inf, "gradient": -inf},
        "the logarithm is clamped at −100, its derivative elsewhere",
        raw=False, options={"clip": 0}),
    Row("keras", "binary_crossentropy", "keras.losses.binary_crossentropy(y, x)",
        {"x": [[1.0]], "y": [[0.0]]}, {"value": 15.942, "gradient": 0.0},
        "binary_cross_entropy", {"value": 15.942385152878742, "gradient": 8388608.0},
        "clipped in the value and cut in the gradient: a certain mistake teaches nothing",
        raw=False),
    Row("keras", "binary_crossentropy, float16", "keras.losses.binary_crossentropy(y, x)",
        {"x": [[1.0]], "y": [[0.0]]}, {"value": inf, "gradient": inf},
        "binary_cross_entropy", {"value": 6.931471805599453, "gradient": 1024.0},
        "1 − 1e-7 is 1 in float16; losskit clips by the type's own eps",
        raw=False, dtype="float16"),
    Row("torch", "poisson_nll_loss(log_input=False)", "F.poisson_nll_loss(x, y, log_input=False)",
        {"x": [0.0], "y": [3.0]}, {"value": 55.262, "gradient": -3e8},
        "poisson", "y_pred[0] = 0 lies outside",
        "1e-8 is added within the logarithm; the loss is infinite", raw=False),
    Row("torch", "poisson_nll_loss(full=True)", "F.poisson_nll_loss(x, y, full=True)",
        {"x": [0.0], "y": [2.0]}, {"value": 1.65181},
        "poisson", {"value": 1.0},
        "Stirling's formula adds 0.652 for log 2! = 0.693, and nothing up to 1; losskit leaves the "
        "constant out"),
    Row("torch", "gaussian_nll_loss", "F.gaussian_nll_loss(torch.ones(1), y, x)",
        {"x": [1e-9], "y": [0.0]}, {"value": 499993.1, "gradient": -5e11},
        "gaussian_nll", {"value": 499999989.63836, "gradient": -3.1622776e13},
        "the variance is clamped at 1e-6, unseen by the gradient; losskit's is by the standard "
        "deviation", args="y, np.stack([np.ones(1), np.sqrt(x)], -1).astype(x.dtype)",
        raw=False, at=1),
    # --- classes left out
    Row("torch", "cross_entropy, all targets ignored", "F.cross_entropy(x, y)",
        {"x": [[1.0, 2.0], [3.0, 4.0]], "y": [-100, -100]}, {"value": nan},
        "cross_entropy(ignore_index=-100)", "no row counts",
        "0/0; losskit gives 0 where empty='zero' asks for it"),
    Row("torch", "cross_entropy, shares as targets", "F.cross_entropy(x, y)",
        {"x": [[1.0, -inf]], "y": [[1.0, 0.0]]}, {"value": nan},
        "cross_entropy", {"value": 0.0, "gradient": 0.0},
        "0·∞ of a class that is not allowed and not the target"),
    Row("optax", "softmax_cross_entropy", "optax.losses.softmax_cross_entropy(x, y)",
        {"x": [[1.0, -inf]], "y": [[1.0, 0.0]]}, {"value": nan},
        "cross_entropy", {"value": 0.0, "gradient": 0.0},
        "0·∞ of a class that is not allowed and not the target"),
    Row("torch", "cross_entropy(label_smoothing=0.1)", "F.cross_entropy(x, y, label_smoothing=0.1)",
        {"x": [[1.0, 0.0, -inf]], "y": [0]}, {"value": inf},
        "cross_entropy(label_smoothing=0.1)", {"value": 0.36326168751822286},
        "smoothed over a class that is not allowed; losskit smooths over those that are"),
    Row("torch", "kl_div(log_target=True)",
        "F.kl_div(x, y, log_target=True, reduction='batchmean')",
        {"x": [[0.0, -inf]], "y": [[0.0, -inf]]}, {"value": nan},
        "kl_divergence", {"value": 0.0, "gradient": 0.0},
        "two equal distributions: ∞ − ∞", args="np.exp(y), x"),
    Row("optax", "kl_divergence_with_log_targets",
        "optax.losses.kl_divergence_with_log_targets(x, y)",
        {"x": [[0.0, -inf]], "y": [[0.0, -inf]]}, {"value": nan},
        "kl_divergence", {"value": 0.0, "gradient": 0.0},
        "two equal distributions: ∞ − ∞", args="np.exp(y), x"),
    # --- digits lost
    Row("keras", "log_cosh", "keras.losses.log_cosh(y, x)",
        {"x": [[_X]], "y": [[0.0]]}, {"value": 5.3644e-7},
        "log_cosh", {"value": 4.99999917e-7, "gradient": 9.99999667e-4},
        "a difference of nearly equal numbers: 7 % off", raw=False),
    Row("keras", "log_cosh", "keras.losses.log_cosh(y, x)",
        {"x": [[1e-4]], "y": [[0.0]]}, {"value": 0.0},
        "log_cosh", {"value": 5e-9, "gradient": 1e-4},
        "a difference of nearly equal numbers: all digits lost", raw=False),
    Row("formula", "Barron's general loss as published, α = 1",
        {"value": "(x * x + 1) ** np.float32(0.5) - 1"},
        {"x": [_X], "y": [0.0]}, {"value": 4.76837e-7},
        "barron(alpha=1.0)", {"value": 4.9999988e-7, "gradient": 9.9999950e-4},
        "a difference of nearly equal numbers: 5 % off"),
    Row("formula", "pseudo-Huber as usually written",
        {"value": "np.sqrt(1 + x * x) - 1"},
        {"x": [_X], "y": [0.0]}, {"value": 4.76837e-7},
        "pseudo_huber", {"value": 4.9999988e-7, "gradient": 9.9999950e-4},
        "a difference of nearly equal numbers: 5 % off"),
    Row("torch", "focal loss as torchvision writes it, γ = 0.5", _FOCAL.replace("gamma", "0.5"),
        {"x": [18.0], "y": [1.0]}, {"value": 0.0, "gradient": nan},
        "focal(gamma=0.5)", {"value": 1.8795288e-12, "gradient": -2.8192931e-12},
        "1 − p is 0 in float32, and 0^(γ−1)·0 is no number"),
    Row("torch", "focal loss as torchvision writes it, γ = 2", _FOCAL.replace("gamma", "2"),
        {"x": [18.0], "y": [1.0]}, {"value": 0.0, "gradient": 0.0},
        "focal(gamma=2.0)", {"value": 3.5326285e-24, "gradient": -1.0597885e-23},
        "1 − p is 0 in float32"),
    Row("torch", "mse_loss, float16", "F.mse_loss(x, y)",
        {"x": [300.0], "y": [0.0]}, {"value": inf},
        "squared_error", {"value": 90000.0, "gradient": 600.0},
        "300² overflows float16; losskit computes in float32", raw=False, dtype="float16"),
    # --- encodings
    Row("torch", "soft_margin_loss, target 0", "F.soft_margin_loss(x, y)",
        {"x": [5.0], "y": [0.0]}, {"value": 0.693147, "gradient": 0.0},
        "logistic_margin", "y_true[0] = 0 lies outside {-1, 1}",
        "log 2 whatever the score: half of the data is not learnt from"),
    Row("torch", "hinge_embedding_loss, target 0", "F.hinge_embedding_loss(x, y)",
        {"x": [0.3], "y": [0.0]}, {"value": 1.0, "gradient": 0.0},
        "hinge", "y_true[0] = 0 lies outside {-1, 1}",
        "both branches are added: 1 whatever the distance"),
    Row("torch", "cosine_embedding_loss, target 0",
        "F.cosine_embedding_loss(x, z, y)",
        {"x": [[1.0, 0.0]], "y": [0.0], "z": [[0.0, 1.0]]}, {"value": 0.0, "gradient": 0.0},
        "cosine_embedding", "y_true[0] = 0 lies outside {-1, 1}",
        "0 whatever the vectors", args="y, x, z"),
    Row("optax", "hinge_loss, target 0", "optax.losses.hinge_loss(x, y)",
        {"x": [5.0], "y": [0.0]}, {"value": 1.0, "gradient": 0.0},
        "hinge", "y_true[0] = 0 lies outside {-1, 1}",
        "1 whatever the score: half of the data is not learnt from"),
    Row("keras", "hinge, target 0 beside a −1", "keras.losses.hinge(y, x)[:1]",
        {"x": [[0.5], [0.5]], "y": [[0.0], [-1.0]]}, {"value": 1.0, "gradient": 0.0},
        "hinge", "y_true[0, 0] = 0 lies outside {-1, 1}",
        "1.5 where the batch holds 0 and 1 alone: a sample's loss depends on the others'",
        raw=False),
    Row("lightgbm", "objective='binary', labels 1 and 2", "probability(x, y)",
        {"x": [[0.0], [1.0]] * 50, "y": [1.0, 2.0] * 50}, {"value": 1.0},
        "binary_cross_entropy", "y_true[1] = 2 lies outside [0, 1]",
        "every label above 0 is the positive class: all probabilities are 1",
        args="y, x[:, 0]"),
    # --- other formulas
    Row("optax", "triplet_margin_loss(norm_degree=1)",
        "optax.losses.triplet_margin_loss(x, p, n, norm_degree=1, margin=1.0)",
        {"x": [[0.0]], "p": [[3.0]], "n": [[1.0]]}, {"value": 0.0, "gradient": 0.0},
        "triplet(distance='manhattan')", {"value": 3.0, "gradient": 0.0},
        "powers without absolute values: odd degrees have negative distances", args="x, p, n"),
    Row("formula", "boost-loss, Tweedie with power 1.5, at a perfect mean",
        {"gradient": "-y * 0.5 * x ** -0.5 + x ** -1.5"},
        {"x": [1.0], "y": [1.0]}, {"gradient": 0.5},
        "tweedie", {"gradient": 0.0},
        "powers of another formula: the slope is not 0 where the mean is right",
        raw=False, dtype="float64"),
    Row("formula", "boost-loss, squared logarithmic error at a perfect prediction",
        {"hessian": "2 * (np.log1p(y) - np.log1p(x)) / (1 + x) ** 2"},
        {"x": [1.0], "y": [1.0]}, {"hessian": 0.0},
        "msle", {"hessian": 0.5},
        "a term of the curvature is missing", raw=False, dtype="float64"),
)  # fmt: skip
