"""Optax: functions of JAX arrays, one value for each element or row."""

from losskit.rosetta.facts import (
    FRACTION,
    INDEX,
    LEFT_TO_USER,
    MIXTURE,
    ONE_HOT,
    SIGNS,
    ZERO_ONE,
    Library,
    Name,
)

_O = "optax.losses."

OPTAX = Library(
    "optax",
    "Optax",
    aliases=("jax", "flax"),
    prefixes=("optax.losses", "optax"),
    packages=("optax",),
    weighted=LEFT_TO_USER,
    order="(predictions, targets)",
    options=("axis", "where"),
    names=(
        Name("optax.squared_error", also=(_O + "squared_error",)),
        Name(_O + "l2_loss", "squared_error", factor=2.0, also=("optax.l2_loss",)),
        Name("optax.huber_loss", also=(_O + "huber_loss",), defaults={"delta": 1.0}),
        Name("optax.log_cosh", also=(_O + "log_cosh",)),
        Name(
            "optax.hinge_loss",
            also=(_O + "hinge_loss",),
            labels=(SIGNS,),
            silent=(ZERO_ONE, FRACTION),
        ),
        Name(_O + "perceptron_loss", "perceptron", labels=(SIGNS,), silent=(ZERO_ONE, FRACTION)),
        Name(
            _O + "sparsemax_loss",
            "smoothed_hinge",
            ours={"gamma": 2.0},
            labels=(ZERO_ONE,),
            silent=(FRACTION, SIGNS),
        ),
        Name(
            _O + "sigmoid_binary_cross_entropy",
            "binary_cross_entropy",
            also=("optax.sigmoid_binary_cross_entropy",),
            labels=(ZERO_ONE, FRACTION),
            silent=(SIGNS,),
        ),
        Name(
            _O + "sigmoid_focal_loss(alpha={alpha}, gamma={gamma})",
            "focal",
            also=("optax.sigmoid_focal_loss",),
            defaults={"alpha": None, "gamma": 2.0},
            labels=(ZERO_ONE,),
            silent=(FRACTION, SIGNS),
        ),
        Name(
            _O + "softmax_cross_entropy",
            also=("optax.softmax_cross_entropy",),
            labels=(ONE_HOT, MIXTURE),
        ),
        Name(
            _O + "softmax_cross_entropy_with_integer_labels",
            "cross_entropy",
            also=("optax.softmax_cross_entropy_with_integer_labels",),
            labels=(INDEX,),
        ),
        Name(
            _O + "safe_softmax_cross_entropy",
            "cross_entropy",
            also=("optax.safe_softmax_cross_entropy",),
            labels=(ONE_HOT, MIXTURE),
        ),
        Name(
            _O + "poly_loss_cross_entropy",
            defaults={"epsilon": 2.0},
            labels=(ONE_HOT, MIXTURE),
        ),
        Name(
            _O + "kl_divergence",
            also=("optax.kl_divergence",),
            takes="log-probabilities",
            labels=(ONE_HOT, MIXTURE),
        ),
        Name(_O + "multiclass_hinge_loss", labels=(INDEX,)),
        Name(_O + "multiclass_perceptron_loss", labels=(INDEX,)),
        Name(_O + "multiclass_sparsemax_loss", labels=(INDEX,)),
        Name(
            _O + "dice_loss(smooth={smooth}, alpha={alpha}, beta={beta})",
            "tversky",
            defaults={"smooth": 1.0, "alpha": 0.5, "beta": 0.5},
            labels=(ZERO_ONE, FRACTION),
            differs=(
                "sums over all axes but the first and the last, which holds classes; softmax over "
                "these, sigmoid where there is one",
            ),
        ),
        Name(_O + "cosine_distance", also=("optax.cosine_distance",)),
        Name(
            _O + "cosine_similarity",
            "cosine_distance",
            factor=-1.0,
            shift=1.0,
            also=("optax.cosine_similarity",),
        ),
        Name(
            _O + "triplet_margin_loss(norm_degree=2, eps=0, margin={margin})",
            "triplet",
            defaults={"norm_degree": 2, "eps": 1e-6, "margin": 1.0},
            differs=(
                "eps is added inside the root",
                "wrong for an odd norm_degree: signs are kept",
            ),
        ),
        Name(_O + "ntxent", defaults={"temperature": 0.07}),
        Name(_O + "ranking_softmax_loss"),
        Name(
            _O + "generalized_kl_divergence",
            also=(_O + "convex_kl_divergence",),
            without="it takes masses that need not sum to 1; losskit.kl_divergence takes "
            "probabilities",
        ),
        Name(_O + "ctc_loss", without="alignments are not of ours"),
    ),
)
