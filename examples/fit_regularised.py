"""Three priors on the weights of a classifier: Gaussian, Laplace, and the product of both."""

from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

import losskit
from losskit import penalties

DATA = Path(__file__).with_name("data") / "breast_cancer.csv"
table = np.genfromtxt(DATA, delimiter=",", names=True, dtype=None, encoding="utf-8")
names = [name for name in table.dtype.names if name != "diagnosis"]
X, y = np.column_stack([table[name] for name in names]), table["diagnosis"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)

priors = {
    "Gaussian, sd 1": {"gaussian": 1.0},
    "Laplace, scale 1": {"laplace": 1.0},
    "both": {"gaussian": 1.0, "laplace": 1.0},
}
print(f"{'prior':17} {'penalty':28} {'alpha':7} weights of 0   accuracy   log loss")
zeros = {}
for prior, given in priors.items():
    penalty, alpha = penalties.prior(n=len(y_train), **given)
    model = losskit.Classifier(penalty=penalty, alpha=alpha, standardize=True, tol=1e-8)
    model.fit(X_train, y_train)
    zeros[prior] = np.sum(model.coef_ == 0)
    accuracy = model.score(X_test, y_test)
    log_loss = losskit.log_loss(y_test == model.classes_[1], model.predict_proba(X_test)[:, 1])
    name = repr(penalty).removeprefix("losskit.penalties.")
    print(
        f"{prior:17} {name:28} {alpha:.5f} {zeros[prior]:7} of 30"
        f"   {accuracy:8.4f}   {log_loss:8.4f}"
    )

assert list(zeros.values()) == [0, 15, zeros["both"]]
assert 0 < zeros["both"] < 15  # a Laplace prior makes weights 0, a Gaussian one never does
print("certificate of the last:", model.certificate_)
