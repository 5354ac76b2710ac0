"""Data, settings and XGBoost's own objectives for the tests of losses in XGBoost."""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

import losskit

PARAMS = {"nthread": 1, "max_depth": 3}  # of 442 rows: threads would only wait for each other
DIABETES, PROGRESSION = load_diabetes(return_X_y=True)
COUNTS = np.round(PROGRESSION / 20)
TUMOURS, BENIGN = load_breast_cancer(return_X_y=True)
IRIS, SPECIES = load_iris(return_X_y=True)
WEIGHTS = np.random.default_rng(4).integers(0, 4, len(PROGRESSION)).astype(float)

# One row for each objective of XGBoost that a loss claims to be, with data that bends it.
OWN = {
    "squared": (losskit.squared_error, DIABETES, PROGRESSION),
    "logistic": (losskit.binary_cross_entropy, TUMOURS, BENIGN),
    "poisson": (losskit.poisson, DIABETES, COUNTS),
    "gamma": (losskit.gamma, DIABETES, PROGRESSION),
    "tweedie": (losskit.tweedie(power=1.3), DIABETES, COUNTS),
    "pseudo-huber": (losskit.pseudo_huber(delta=20.0), DIABETES, PROGRESSION),
    "squared log": (losskit.msle, DIABETES, PROGRESSION / 100),
    "softmax": (losskit.cross_entropy, IRIS, SPECIES),
    "absolute": (losskit.absolute_error, DIABETES, PROGRESSION),
    "quantile": (losskit.quantile(q=0.9), DIABETES, PROGRESSION),
    "quantiles": (losskit.quantile(q=(0.1, 0.5, 0.9)), DIABETES, PROGRESSION),
}
