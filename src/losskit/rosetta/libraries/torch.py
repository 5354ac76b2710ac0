"""PyTorch: modules of `torch.nn`, and the functions that they call."""

from losskit.rosetta.facts import (
    BY_CLASS_WEIGHT,
    BY_COUNT,
    BY_WEIGHT,
    FRACTION,
    INDEX,
    MIXTURE,
    ONE_HOT,
    SIGNS,
    UNWEIGHTED,
    ZERO_ONE,
    Library,
    Name,
)

_F = "torch.nn.functional."
_LOG_PROBABILITIES = (
    "put no log_softmax before ours, which takes logits (or log-"
    "probabilities, which give the same value)"
)

TORCH = Library(
    "torch",
    "PyTorch",
    aliases=("pytorch",),
    prefixes=("torch.nn", "torch.nn.functional", "torch", "nn.functional", "nn", "F"),
    packages=("torch",),
    weighted=UNWEIGHTED,
    class_axis="1",
    classes=True,
    order="(input, target)",
    options=("reduction", "weight", "size_average", "reduce"),
    names=(
        Name(_F + "mse_loss", also=("torch.nn.MSELoss",), weighted=BY_WEIGHT),
        Name(_F + "l1_loss", also=("torch.nn.L1Loss",), weighted=BY_WEIGHT),
        Name(
            _F + "huber_loss",
            also=("torch.nn.HuberLoss",),
            defaults={"delta": 1.0},
            weighted=BY_COUNT,
        ),
        Name(_F + "smooth_l1_loss", also=("torch.nn.SmoothL1Loss",), defaults={"beta": 1.0}),
        Name(_F + "smooth_l1_loss(beta=0)", "absolute_error", also=("torch.nn.SmoothL1Loss",)),
        Name(
            _F + "gaussian_nll_loss(full=False)",
            "gaussian_nll",
            also=("torch.nn.GaussianNLLLoss",),
            defaults={"full": False, "eps": 1e-6},
            raw=False,
            takes="means and variances",
            clip="a variance below eps counts as eps in the value; its gradient passes",
            differs=("takes the variance, ours the standard deviation (raw: its logarithm)",),
        ),
        Name(
            _F + "poisson_nll_loss(full=False)",
            "poisson",
            also=("torch.nn.PoissonNLLLoss",),
            defaults={"log_input": True, "full": False, "eps": 1e-8},
            raw_if="log_input",
            idle=("eps",),  # but in the logarithm, which `clip` is about
            clip="with log_input=False, eps is added inside the logarithm",
        ),
        Name(
            _F + "binary_cross_entropy_with_logits",
            also=("torch.nn.BCEWithLogitsLoss",),
            defaults={"pos_weight": None},
            labels=(ZERO_ONE, FRACTION),
            silent=(SIGNS,),
            weighted=BY_COUNT,
        ),
        Name(
            _F + "binary_cross_entropy",
            "binary_cross_entropy",
            also=("torch.nn.BCELoss",),
            raw=False,
            labels=(ZERO_ONE, FRACTION),
            weighted=BY_COUNT,
            clip="a logarithm below −100 counts as −100; ours keeps probabilities one eps away "
            "from 0 and 1",
        ),
        Name(
            _F + "soft_margin_loss",
            also=("torch.nn.SoftMarginLoss",),
            labels=(SIGNS,),
            silent=(ZERO_ONE, FRACTION),
            differs=("in float32 a margin below −88 gives inf, and a NaN gradient",),
        ),
        Name(
            _F + "cross_entropy",
            also=("torch.nn.CrossEntropyLoss",),
            more={"weight": "class_weight", "ignore_index": "ignore_index"},
            defaults={"label_smoothing": 0.0},
            labels=(INDEX, ONE_HOT, MIXTURE),
            weighted=BY_CLASS_WEIGHT,
            differs=(
                "targets of −100 are left out unless ignore_index says otherwise; ours leaves "
                "none out unless told",
                "with label_smoothing, class weights weigh the smoothed classes too",
            ),
        ),
        Name(
            _F + "nll_loss",
            "cross_entropy",
            also=("torch.nn.NLLLoss",),
            more={"weight": "class_weight", "ignore_index": "ignore_index"},
            takes="log-probabilities",
            labels=(INDEX,),
            weighted=BY_CLASS_WEIGHT,
            differs=(_LOG_PROBABILITIES,),
        ),
        Name(
            _F + "kl_div(log_target=False)",
            "kl_divergence",
            also=("torch.nn.KLDivLoss",),
            defaults={"log_target": False},
            takes="log-probabilities",
            labels=(ONE_HOT, MIXTURE),
            differs=(
                _LOG_PROBABILITIES,
                "reduction='mean' divides by all elements; 'batchmean' is the mean over rows",
            ),
        ),
        Name(
            _F + "multi_margin_loss(p=1, margin={margin})",
            "weston_watkins",
            factor="classes",
            also=("torch.nn.MultiMarginLoss",),
            defaults={"p": 1, "margin": 1.0},
            labels=(INDEX,),
            weighted=BY_COUNT,
        ),
        Name(
            _F + "multilabel_soft_margin_loss",
            also=("torch.nn.MultiLabelSoftMarginLoss",),
            labels=(ZERO_ONE, FRACTION),
            weighted=BY_COUNT,
        ),
        Name(
            _F + "cosine_embedding_loss",
            also=("torch.nn.CosineEmbeddingLoss",),
            defaults={"margin": 0.0},
            labels=(SIGNS,),
            silent=(ZERO_ONE, FRACTION),
        ),
        Name(
            _F + "margin_ranking_loss",
            also=("torch.nn.MarginRankingLoss",),
            defaults={"margin": 0.0},
            labels=(SIGNS,),
            silent=(ZERO_ONE, FRACTION),
        ),
        Name(
            _F + "triplet_margin_loss(p=2, eps=0)",
            "triplet",
            also=("torch.nn.TripletMarginLoss",),
            more={"margin": "margin", "swap": "swap"},
            defaults={"margin": 1.0, "swap": False, "p": 2.0, "eps": 1e-6},
            differs=("eps is added to each coordinate's difference",),
        ),
        Name(
            _F + "hinge_embedding_loss",
            also=("torch.nn.HingeEmbeddingLoss",),
            without="it takes a distance and not scores; losskit.contrastive is of that kind",
        ),
        Name(
            _F + "multilabel_margin_loss",
            also=("torch.nn.MultiLabelMarginLoss",),
            without="its labels are lists padded with −1; losskit.multilabel_cross_entropy and "
            "losskit.multilabel_asymmetric take labels as yes or no",
        ),
        Name(
            _F + "triplet_margin_with_distance_loss",
            also=("torch.nn.TripletMarginWithDistanceLoss",),
            without="its distance is a function; losskit.triplet(distance=…) names one",
        ),
        Name(_F + "ctc_loss", also=("torch.nn.CTCLoss",), without="alignments are not of ours"),
        Name(
            "torch.nn.AdaptiveLogSoftmaxWithLoss",
            without="it has weights of its own; losskit.linear_cross_entropy saves logits too",
        ),
        Name(
            _F + "linear_cross_entropy",
            also=("torch.nn.LinearCrossEntropyLoss",),
            without="ours is a function of hidden states and weights: losskit.linear_cross_entropy",
        ),
    ),
)
