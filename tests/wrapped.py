"""Loss objects of other libraries and what `losskit.wrap` makes of them, on random data.

`python -m wrapped LIBRARY` writes for each object the reason for which it is refused, or the
greatest difference between theirs and ours in value, and in gradient where that can be asked.
"""

from __future__ import annotations

import json
import pickle
import sys
from functools import partial
from typing import Any

import numpy as np

rng = np.random.default_rng(0)
Y, F, W = rng.normal(size=20), rng.normal(size=20), rng.uniform(0.5, 3, size=20)
SCORES, CLASS = rng.normal(size=(20, 4)), rng.integers(0, 4, 20)
CLASS[:4] = range(4)
MIXED = np.exp(rng.normal(size=(20, 4)))
MIXED /= MIXED.sum(1, keepdims=True)
YES, SIGN, HOT = (Y > 0).astype(float), np.sign(Y), np.eye(4)[CLASS]
LABELS = (rng.random((20, 4)) < 0.4).astype(float)
VECTORS = rng.normal(size=(3, 20, 5))
P = 1 / (1 + np.exp(-F))


def torch() -> dict[str, Any]:
    import torch
    import torch.nn.functional as functional
    from torch import nn

    import losskit

    weight = torch.tensor([1.0, 2.0, 3.0, 0.5], dtype=torch.float64)
    two = torch.tensor(2.0, dtype=torch.float64)
    binary, classes, counts = (F, YES), (SCORES, CLASS), (F, abs(Y))
    cases = {
        "MSE": (nn.MSELoss(), (F, Y)),
        "L1 sum": (nn.L1Loss(reduction="sum"), (F, Y)),
        "Huber": (nn.HuberLoss(delta=0.3), (F, Y)),
        "SmoothL1 none": (nn.SmoothL1Loss(beta=0.4, reduction="none"), (F, Y)),
        "SmoothL1 0": (nn.SmoothL1Loss(beta=0.0), (F, Y)),
        "BCEWithLogits": (nn.BCEWithLogitsLoss(), binary),
        "BCEWithLogits pos": (nn.BCEWithLogitsLoss(pos_weight=two), binary),
        "SoftMargin": (nn.SoftMarginLoss(), (F, SIGN)),
        "PoissonNLL": (nn.PoissonNLLLoss(), counts),
        "CrossEntropy": (nn.CrossEntropyLoss(), classes),
        "CrossEntropy soft": (nn.CrossEntropyLoss(), (SCORES, MIXED)),
        "CrossEntropy smooth": (
            nn.CrossEntropyLoss(label_smoothing=0.1, reduction="none"),
            classes,
        ),
        "CrossEntropy weight": (nn.CrossEntropyLoss(weight=weight), classes),
        "CrossEntropy ignore": (nn.CrossEntropyLoss(weight=weight, ignore_index=1), classes),
        "CrossEntropy sum": (nn.CrossEntropyLoss(weight=weight, reduction="sum"), classes),
        "MultiMargin": (nn.MultiMarginLoss(margin=0.5), classes),
        "MultiMargin none": (nn.MultiMarginLoss(reduction="none"), classes),
        "MultiLabelSoftMargin": (nn.MultiLabelSoftMarginLoss(), (SCORES, LABELS)),
        "CosineEmbedding": (nn.CosineEmbeddingLoss(margin=0.2), (*VECTORS[:2], SIGN)),
        "MarginRanking": (nn.MarginRankingLoss(margin=0.2), (F, Y[::-1].copy(), SIGN)),
        "Triplet": (nn.TripletMarginLoss(eps=0.0, swap=True, margin=0.5), tuple(VECTORS)),
        "huber_loss": (functional.huber_loss, (F, Y)),
        "huber_loss partial": (partial(functional.huber_loss, delta=2.0, reduction="sum"), (F, Y)),
        "cross_entropy": (functional.cross_entropy, classes),
        # Refused.
        "BCE": (nn.BCELoss(), None),
        "BCEWithLogits weight": (nn.BCEWithLogitsLoss(weight=two), None),
        "BCEWithLogits labels": (nn.BCEWithLogitsLoss(pos_weight=weight), None),
        "PoissonNLL mean": (nn.PoissonNLLLoss(log_input=False), None),
        "PoissonNLL full": (nn.PoissonNLLLoss(full=True), None),
        "CrossEntropy both": (nn.CrossEntropyLoss(weight=weight, label_smoothing=0.1), None),
        "NLL": (nn.NLLLoss(), None),
        "KLDiv": (nn.KLDivLoss(), None),
        "MultiMargin squared": (nn.MultiMarginLoss(p=2), None),
        "Triplet eps": (nn.TripletMarginLoss(), None),
        "GaussianNLL": (nn.GaussianNLLLoss(), None),
        "CTC": (nn.CTCLoss(), None),
        "ReLU": (nn.ReLU(), None),
        "class": (nn.HuberLoss, None),
    }

    def tensors(data: tuple[Any, ...]) -> list[Any]:
        made = [torch.tensor(a) for a in data]
        return [a.requires_grad_() if i == 0 else a for i, a in enumerate(made)]

    def both(theirs: Any, ours: Any, data: tuple[Any, ...]) -> list[float]:
        found = []
        for call in (theirs, ours):
            given = tensors(data)
            value = call(*given)
            found.append((value.detach().numpy(), torch.autograd.grad(value.sum(), given[0])[0]))
        (a, c), (b, d) = found
        assert a.shape == b.shape
        return [float(abs(a - b).max()), float(abs(c - d).max())]

    made = _all(cases, both)
    soft = losskit.wrap(nn.CrossEntropyLoss(weight=weight))
    try:
        soft(*tensors((SCORES, MIXED)))
    except ValueError as error:
        made["CrossEntropy weight, soft"] = str(error)
    nearest = losskit.wrap(nn.BCELoss(), nearest=True)
    inside = both(nn.BCELoss(), nearest, (P, YES))
    made["BCE nearest"] = inside
    copied = torch.nn.Sequential(losskit.wrap(nn.HuberLoss(delta=0.3)))
    made["pickled"] = repr(pickle.loads(pickle.dumps(copied)))
    return made


def keras() -> dict[str, Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    import keras as framework

    framework.config.set_floatx("float64")
    kind = framework.losses
    y, f, yes = SCORES, MIXED, LABELS
    binary, hot, index = (yes, y), (HOT, SCORES), (CLASS, SCORES)
    weighed = "mean_with_sample_weight"
    cases = {
        "MSE": (kind.MeanSquaredError(), (y, f)),
        "MAE sum": (kind.MeanAbsoluteError(reduction="sum"), (y, f)),
        "Huber none": (kind.Huber(delta=0.3, reduction=None), (y, f)),
        "LogCosh weighed": (kind.LogCosh(reduction=weighed), (y, f)),
        "BCE logits": (kind.BinaryCrossentropy(from_logits=True), binary),
        "Focal": (kind.BinaryFocalCrossentropy(from_logits=True, gamma=1.0), binary),
        "Focal alpha": (
            kind.BinaryFocalCrossentropy(from_logits=True, apply_class_balancing=True, alpha=0.3),
            binary,
        ),
        "CCE": (kind.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2), hot),
        "SCCE": (kind.SparseCategoricalCrossentropy(from_logits=True, reduction=weighed), index),
        "SCCE ignore": (
            kind.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1),
            index,
        ),
        "CFCE": (kind.CategoricalFocalCrossentropy(from_logits=True, alpha=0.5), hot),
        "huber": (kind.huber, (y, f)),
        "huber partial": (partial(kind.huber, delta=2.0), (y, f)),
        "mse": (kind.get("mse"), (y, f)),
        # Refused.
        "BCE": (kind.BinaryCrossentropy(), None),
        "BCE smooth": (kind.BinaryCrossentropy(from_logits=True, label_smoothing=0.1), None),
        "Hinge": (kind.Hinge(), None),
        "MAPE": (kind.MeanAbsolutePercentageError(), None),
        "Poisson": (kind.Poisson(), None),
        "Dice": (kind.Dice(), None),
        "CosineSimilarity": (kind.CosineSimilarity(), None),
        "CategoricalHinge": (kind.CategoricalHinge(), None),
        "CTC": (kind.CTC(), None),
    }

    def both(theirs: Any, ours: Any, data: tuple[Any, ...]) -> list[float]:
        whole = not hasattr(theirs, "reduction")
        if not whole:
            assert (theirs.reduction, theirs.name) == (ours.reduction, ours.name)
        found = []
        for weight in (None,) if whole else (None, W):
            said = {} if weight is None else {"sample_weight": weight}
            a, b = np.asarray(theirs(*data, **said)), np.asarray(ours(*data, **said))
            assert a.shape == b.shape
            found.append(float(abs(a - b).max()))
        return found

    return _all(cases, both)


def optax() -> dict[str, Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    import optax.losses as kind

    cases = {
        "squared_error": (kind.squared_error, (F, Y)),
        "l2_loss": (kind.l2_loss, (F, Y)),
        "huber_loss": (partial(kind.huber_loss, delta=0.3), (F, Y)),
        "log_cosh": (kind.log_cosh, (F, Y)),
        "hinge_loss": (kind.hinge_loss, (F, SIGN)),
        "perceptron_loss": (kind.perceptron_loss, (F, SIGN)),
        "sparsemax_loss": (kind.sparsemax_loss, (F, YES)),
        "sigmoid_binary_cross_entropy": (kind.sigmoid_binary_cross_entropy, (F, YES)),
        "sigmoid_focal_loss": (partial(kind.sigmoid_focal_loss, alpha=0.3), (F, YES)),
        "softmax_cross_entropy": (kind.softmax_cross_entropy, (SCORES, MIXED)),
        "integer": (kind.softmax_cross_entropy_with_integer_labels, (SCORES, CLASS)),
        "safe": (kind.safe_softmax_cross_entropy, (SCORES, HOT)),
        "poly": (kind.poly_loss_cross_entropy, (SCORES, MIXED)),
        "multiclass_hinge_loss": (kind.multiclass_hinge_loss, (SCORES, CLASS)),
        "multiclass_perceptron_loss": (kind.multiclass_perceptron_loss, (SCORES, CLASS)),
        "multiclass_sparsemax_loss": (kind.multiclass_sparsemax_loss, (SCORES, CLASS)),
        "cosine_distance": (kind.cosine_distance, tuple(VECTORS[:2])),
        "cosine_similarity": (kind.cosine_similarity, tuple(VECTORS[:2])),
        # Refused.
        "kl_divergence": (kind.kl_divergence, None),
        "dice_loss": (kind.dice_loss, None),
        "ntxent": (kind.ntxent, None),
        "ranking_softmax_loss": (kind.ranking_softmax_loss, None),
        "triplet_margin_loss": (kind.triplet_margin_loss, None),
        "ctc_loss": (kind.ctc_loss, None),
        "axis": (partial(kind.softmax_cross_entropy, axis=0), None),
        "positional": (partial(kind.huber_loss, F), None),
    }

    def both(theirs: Any, ours: Any, data: tuple[Any, ...]) -> list[float]:
        x, y = map(jax.numpy.asarray, data)
        a, b = theirs(x, y), ours(x, y)
        assert a.shape == b.shape
        c, d = (jax.grad(lambda x, g=g: g(x, y).sum())(x) for g in (theirs, ours))
        return [float(abs(a - b).max()), float(abs(c - d).max())]

    return _all(cases, both)


def sklearn() -> dict[str, Any]:
    import sklearn._loss as kind
    from sklearn import metrics
    from sklearn._loss.loss import ExponentialLoss
    from sklearn.linear_model import SGDRegressor

    positive = (abs(Y), abs(F))
    cases = {
        "mean_squared_error": (metrics.mean_squared_error, (Y, F)),
        "mean_absolute_error": (metrics.mean_absolute_error, (Y, F)),
        "mean_pinball_loss": (partial(metrics.mean_pinball_loss, alpha=0.9), (Y, F)),
        "mean_poisson_deviance": (metrics.mean_poisson_deviance, positive),
        "mean_gamma_deviance": (metrics.mean_gamma_deviance, positive),
        "mean_tweedie_deviance": (partial(metrics.mean_tweedie_deviance, power=1.3), positive),
        "mean_tweedie_deviance 0": (metrics.mean_tweedie_deviance, (Y, F)),
        "mean_tweedie_deviance 3": (partial(metrics.mean_tweedie_deviance, power=3), positive),
        "log_loss": (metrics.log_loss, (YES, P)),
        "log_loss certain": (metrics.log_loss, (YES, YES)),
        "log_loss of classes": (metrics.log_loss, (CLASS, MIXED)),
        "mean_squared_log_error": (metrics.mean_squared_log_error, positive),
        "mean_absolute_percentage_error": (metrics.mean_absolute_percentage_error, (Y, F)),
        "HalfSquaredError": (kind.HalfSquaredError(), (Y, F)),
        "AbsoluteError": (kind.AbsoluteError(), (Y, F)),
        "PinballLoss": (kind.PinballLoss(quantile=0.2), (Y, F)),
        "HuberLoss": (kind.HuberLoss(delta=0.3), (Y, F)),
        "HalfPoissonLoss": (kind.HalfPoissonLoss(), (abs(Y), F)),
        "HalfGammaLoss": (kind.HalfGammaLoss(), (abs(Y), F)),
        "HalfBinomialLoss": (kind.HalfBinomialLoss(), (YES, F)),
        "HalfMultinomialLoss": (kind.HalfMultinomialLoss(n_classes=4), (CLASS * 1.0, SCORES)),
        "ExponentialLoss": (ExponentialLoss(), (YES, F)),
        # Refused.
        "brier_score_loss": (metrics.brier_score_loss, None),
        "hinge_loss": (metrics.hinge_loss, None),
        "median_absolute_error": (metrics.median_absolute_error, None),
        "r2_score": (metrics.r2_score, None),
        "power below": (partial(metrics.mean_tweedie_deviance, power=-1), None),
        "not normalized": (partial(metrics.log_loss, normalize=False), None),
        "HalfTweedieLoss": (kind.HalfTweedieLoss(power=1.3), None),
        "estimator": (SGDRegressor(loss="huber"), None),
    }

    def both(theirs: Any, ours: Any, data: tuple[Any, ...]) -> list[float]:
        found = [abs(theirs(*data) - ours(*data))]
        found.append(abs(theirs(*data, sample_weight=W) - ours(*data, sample_weight=W)))
        if hasattr(theirs, "gradient"):
            y, f = data
            slopes = theirs.gradient(y_true=y, raw_prediction=f, sample_weight=W) / W.sum()
            found.append(float(abs(slopes - ours.gradient(y, f, sample_weight=W)).max()))
        return found

    return _all(cases, both)


def _all(cases: dict[str, Any], both: Any) -> dict[str, Any]:
    import losskit

    found: dict[str, Any] = {}
    for name, (theirs, data) in cases.items():
        try:
            ours = losskit.wrap(theirs)
        except (TypeError, ValueError) as error:
            found[name] = f"{error}"
            continue
        found[name] = both(theirs, ours, data) if data is not None else "accepted"
    return found


if __name__ == "__main__":
    json.dump(globals()[sys.argv[1]](), sys.stdout)
