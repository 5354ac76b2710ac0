"""Write the tables beside this file: real data, out-of-fold predictions of two models each.

Run `python examples/data/make_predictions.py` with the `[dev]` extra; README.md names the sources.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, PoissonRegressor, QuantileRegressor, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent


def breast_cancer() -> pd.DataFrame:
    """Return the probability that a tumour is benign, by a linear model and by a shallow forest."""
    x, y = load_breast_cancer(return_X_y=True, as_frame=True)
    models = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "forest": RandomForestClassifier(200, max_depth=4, min_samples_leaf=5, random_state=0),
    }
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    groups = pd.qcut(x["mean radius"], 3, labels=["small", "medium", "large"])
    return _table("benign", y, models, x, folds, radius_group=groups)


def diabetes() -> pd.DataFrame:
    """Return the disease progression one year on, by a model of the mean and one of the median."""
    x, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    models = {
        "ridge": make_pipeline(StandardScaler(), Ridge(alpha=10.0)),
        "median": make_pipeline(StandardScaler(), QuantileRegressor(quantile=0.5, alpha=0.01)),
    }
    folds = KFold(10, shuffle=True, random_state=0)
    groups = pd.cut(x["age"], [0, 40, 55, 120], labels=["to_40", "41_to_55", "over_55"])
    return _table("progression", y.astype(int), models, x, folds, age_group=groups)


def doctor_visits() -> pd.DataFrame:
    """Return the yearly visits to a doctor, by a log-linear Poisson model and by boosted trees."""
    data = sm.datasets.randhie.load_pandas().data.iloc[::3].reset_index(drop=True)
    y, x = data["mdvis"], data.drop(columns="mdvis")
    models = {
        "poisson": make_pipeline(StandardScaler(), PoissonRegressor(alpha=0.0, max_iter=1000)),
        "boosted": HistGradientBoostingRegressor(
            loss="poisson", max_iter=60, learning_rate=0.05, max_leaf_nodes=8, random_state=0
        ),
    }
    health = data[["hlthg", "hlthf", "hlthp"]].to_numpy()
    names = np.array(["excellent", "good", "fair", "poor"])
    groups = names[np.where(health.any(axis=1), health.argmax(axis=1) + 1, 0)]
    return _table("visits", y, models, x, KFold(5, shuffle=True, random_state=0), health=groups)


def iris() -> pd.DataFrame:
    """Return the probabilities of three species, by a linear model and by a shallow forest.

    The linear model's stand in a column for each species and, like the forest's, in one of lists.
    """
    x, y = load_iris(return_X_y=True, as_frame=True)
    names = load_iris().target_names
    models = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "forest": RandomForestClassifier(200, max_depth=3, min_samples_leaf=3, random_state=0),
    }
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    columns: dict[str, object] = {"id": np.arange(1, len(y) + 1), "species": names[y]}
    lists: dict[str, object] = {}
    for name, model in models.items():
        p = cross_val_predict(model, x, y, cv=folds, method="predict_proba")
        if name == "logistic":
            columns |= {f"p_{species}": p[:, k] for k, species in enumerate(names)}
        lists[name] = ["[" + ", ".join(f"{v:.7g}" for v in row) + "]" for row in p]
    groups = pd.qcut(x["sepal length (cm)"], 2, labels=["short", "long"])
    return pd.DataFrame(columns | lists | {"sepals": groups})


def diabetes_lists() -> pd.DataFrame:
    """Return patients in random lists of ten or so, with how urgent each is and two models' scores.

    Urgency is the quarter of the progression; scores are predictions in standard deviations.
    """
    table = diabetes()
    mean, deviation = table["progression"].mean(), table["progression"].std()
    rank = table["progression"].rank(method="first")
    lists = np.random.default_rng(0).permutation(np.arange(len(table)) % 44)
    return pd.DataFrame(
        {
            "list": lists + 1,
            "urgency": ((rank - 1) * 4 // len(table)).astype(int),
            "ridge": (table["ridge"] - mean) / deviation,
            "median": (table["median"] - mean) / deviation,
        }
    )


def _table(
    target: str,
    y: pd.Series,
    models: Mapping[str, BaseEstimator],
    x: pd.DataFrame,
    folds: KFold | StratifiedKFold,
    **groups: object,
) -> pd.DataFrame:
    method = "predict_proba" if target == "benign" else "predict"
    columns: dict[str, object] = {"id": np.arange(1, len(y) + 1), target: y.astype(int)}
    for name, model in models.items():
        predicted = cross_val_predict(model, x, y, cv=folds, method=method)
        columns[name] = predicted[:, 1] if method == "predict_proba" else predicted
    return pd.DataFrame(columns | groups)


if __name__ == "__main__":
    for name, make, digits in (
        ("breast_cancer_predictions", breast_cancer, 9),
        ("diabetes_predictions", diabetes, 9),
        ("doctor_visits_predictions", doctor_visits, 9),
        ("iris_predictions", iris, 7),
        ("diabetes_lists", diabetes_lists, 7),
    ):
        # Few significant digits: small files, the same on machines whose last bits differ.
        written = {"index": False, "float_format": f"%.{digits}g", "lineterminator": "\n"}
        make().to_csv(HERE / f"{name}.csv", **written)
