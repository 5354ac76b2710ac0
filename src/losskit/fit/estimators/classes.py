"""Estimators for scikit-learn: linear models of any loss and penalty, with or without their path.

>>> import losskit
>>> X = [[0.0], [1.0], [2.0], [3.0], [4.0]]
>>> model = losskit.Regressor(loss="absolute_error", alpha=0.0).fit(X, [1.0, 3.0, 5.0, 7.0, 90.0])
>>> round(float(model.predict([[5.0]])[0]), 1)
11.0
>>> losskit.Classifier().fit(X, ["no", "no", "no", "yes", "yes"]).predict([[5.0]]).tolist()
['yes']
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np

from losskit.arrays import Array
from losskit.fit.crossvalidation import alpha_grid
from losskit.fit.estimators.models import LinearClassifier, LinearRegressor, Task
from losskit.fit.estimators.online import step
from losskit.penalties import get as get_penalty


class Regressor(LinearRegressor):
    """A linear model of numbers: least mean loss + alpha·penalty, solved to a certificate.

    Raw scores are X·coef_ + intercept_ (+ offset), predictions their inverse link. The objective is
    Σwℓ/Σw + alpha·P(coef), the intercept free; `losskit.penalties` converts other libraries'
    strengths.

    Features are columns of the matrix, as `preprocessing_` makes it of a data frame with categories
    or missing values.

    Parameters:
        loss: "auto" (`poisson` for counts, else `squared_error`), a name, or a `losskit.Loss`;
            `losskit.quantile(q=(.1, .5, .9))` fits several side by side.
        penalty: "l1", "l2", "elasticnet", a penalty of `losskit.penalties`, or None.
        alpha: the strength, ≥ 0.
        l1_ratio: L1's share, of "elasticnet" alone.
        fit_intercept: whether there is an intercept.
        standardize: whether the features of dense X get mean 0 and standard deviation 1 first;
            coefficients are then those of standardised features. This step, like the encoding of
            a data frame, is learnt once on all rows that `fit` is given.
        unknown: what `predict` does with a category of a data frame that was not there in `fit`:
            "error", or "ignore" to take it for no level.
        solver: "auto" (see `solver_why_`), a name, or a solver.
        tol: the fit ends where its certificate is ≤ tol·(objective of the best constant − mean
            infimum of the loss).
        max_iter: or after so many iterations, with a warning.
        certificate: "auto", or "gap" to insist on a duality gap (of convex problems).
        warm_start: whether `fit` begins from the last coefficients, if they have the shape.
        random_state: seeds solvers that draw rows.
        progress: a function that is called with a `losskit.fit.fitting.Progress` at each step.

    Attributes:
        coef_: (features,) or (outputs, features), and intercept_ a number or (outputs,). Where
            there is a `preprocessing_`, its `names` are the features: columns that do not vary
            have no coefficient, and `preprocessing_.notes` names them.
        n_features_in_: columns of X, and feature_names_in_ their names, if X had some.
        loss_: what was fitted, and loss_why_ why.
        solver_: how, solver_why_ why, and n_iter_ in how many iterations.
        interrupted_: whether Ctrl-C ended the fit, and offset_in_fit_ whether it had offsets.
        history_: objective and certificate of every iteration, as `losskit.fit.solvers.run.Step`.
        certificate_: how near the minimum it is, a `losskit.fit.objective.certificate.Certificate`.
        alpha_: the strength of the penalty.
        objective_: mean loss + penalty, and baseline_ that of the best constant.
        alphas_: those of `path`, else the one; coef_path_ and intercept_path_ are of each.
    """

    def __init__(
        self,
        loss: Any = "auto",
        *,
        penalty: Any = "l2",
        alpha: float = 1e-4,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        standardize: bool = False,
        unknown: Literal["error", "ignore"] = "error",
        solver: Any = "auto",
        tol: float = 1e-4,
        max_iter: int = 1000,
        certificate: str = "auto",
        warm_start: bool = False,
        random_state: Any = None,
        progress: Callable[[Any], None] | None = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.unknown = unknown
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.certificate = certificate
        self.warm_start = warm_start
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None) -> Regressor:
        """Fit to X (n, features), dense, sparse or a data frame, and y (n,), or (n, m) targets.

        `sample_weight` (n,) counts rows; those of weight 0 may hold anything. `offset` (n,), or
        (n, outputs), is added to the raw scores, as the logarithm of an exposure is for counts; a
        prediction without one warns then.
        """
        task = self._task(X, y, sample_weight, offset)
        self._fit_path(task, [self.alpha], self._begin(task))
        return self

    def path(
        self, X: Any, y: Any, alphas: Any = None, sample_weight: Any = None, offset: Any = None
    ) -> Regressor:
        """Fit to each of several alphas (those, or how many: see `alpha_grid`), strong to weak.

        Leaves the model at the last one, `coef_path_` (alphas, …) and the fits in `path_`.
        """
        return _path(self, self._task(X, y, sample_weight, offset), alphas)

    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None
    ) -> Regressor:
        """Take stochastic gradient steps through these rows, from where the model stands."""
        first = not hasattr(self, "coef_")
        return step(self, self._task(X, y, sample_weight, offset, first=first))


class RegressorCV(LinearRegressor):
    """A `Regressor` whose alpha cross-validation chooses, by the fitted loss on held-out rows.

    What is not said here is as in `Regressor`; the path is that of all data.

    Standardisation and the encoding of a data frame are learnt once on all rows, as glmnet does:
    means, scales and levels that the folds share have seen the rows that a fold leaves out, though
    not their targets. For a step of each fold's own search a pipeline of a scaler and a `Regressor`
    by `sklearn.model_selection.GridSearchCV`.

    Parameters:
        alphas: the strengths to try, or how many; by default 100, or 30 under L2 (`alpha_grid`).
        cv: a number of folds (drawn by random_state), fold ids (n,), (train, test) pairs of
            indexes, or a scikit-learn splitter; folds are disjoint.
        rule: "min" takes the least mean loss, "1se" the strongest alpha within a standard error.
        l1_ratio: one, or several to choose from.
        metrics: names or metrics of `losskit.metrics` to report beside the loss; None for r2.

    Attributes:
        cv_: scores, mean, error, metrics, lambda_min and lambda_1se, as a
            `losskit.fit.crossvalidation.CrossValidation`.
        l1_ratio_: the one that was chosen.
    """

    def __init__(
        self,
        loss: Any = "auto",
        *,
        penalty: Any = "l2",
        alphas: Iterable[float] | int | None = None,
        l1_ratio: Any = 0.5,
        cv: Any = 5,
        rule: str = "min",
        metrics: Any = None,
        fit_intercept: bool = True,
        standardize: bool = False,
        unknown: Literal["error", "ignore"] = "error",
        solver: Any = "auto",
        tol: float = 1e-4,
        max_iter: int = 1000,
        certificate: str = "auto",
        random_state: Any = None,
        progress: Callable[[Any], None] | None = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alphas = alphas
        self.l1_ratio = l1_ratio
        self.cv = cv
        self.rule = rule
        self.metrics = metrics
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.unknown = unknown
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.certificate = certificate
        self.random_state = random_state
        self.progress = progress

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None, groups: Any = None
    ) -> RegressorCV:
        """Fit as `Regressor.fit` does, at the alpha that the folds choose; `groups` (n,) is for a
        splitter.
        """
        self._fit_folds(self._task(X, y, sample_weight, offset), groups)
        return self


class Classifier(LinearClassifier):
    """A linear model of classes, or of labels: least mean loss + alpha·penalty, to a certificate.

    Classes are texts, truth values or whole numbers (n,), two or more; labels are 0 and 1 (n, L).
    What is not said here is as in `Regressor`.

    Parameters:
        loss: "auto" (`binary_cross_entropy` for two classes or for labels, else `cross_entropy`), a
            name, or a `losskit.Loss`; a loss of one number is fitted for each of more than two
            classes against the rest.
        class_weight: what the weights of a class's rows are multiplied by: {class: factor},
            "balanced", factors in the order of the classes, or None.

    Attributes:
        classes_: the classes in order, which predictions are of; for labels the numbers of columns.
        coef_: (1, features) for a loss of one number and two classes, else (classes, features).
    """

    def __init__(
        self,
        loss: Any = "auto",
        *,
        penalty: Any = "l2",
        alpha: float = 1e-4,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        standardize: bool = False,
        unknown: Literal["error", "ignore"] = "error",
        class_weight: Any = None,
        solver: Any = "auto",
        tol: float = 1e-4,
        max_iter: int = 1000,
        certificate: str = "auto",
        warm_start: bool = False,
        random_state: Any = None,
        progress: Callable[[Any], None] | None = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.unknown = unknown
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.certificate = certificate
        self.warm_start = warm_start
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None) -> Classifier:
        """Fit to X (n, features), dense, sparse or a data frame, and classes y (n,) or labels.

        `sample_weight` (n,) counts rows; those of weight 0 may hold anything. `offset` (n,), or
        (n, outputs), is added to the raw scores; a loss over classes takes (n, classes) only.
        """
        task = self._task(X, y, sample_weight, offset)
        self._fit_path(task, [self.alpha], self._begin(task))
        return self

    def path(
        self, X: Any, y: Any, alphas: Any = None, sample_weight: Any = None, offset: Any = None
    ) -> Classifier:
        """Fit to each of several alphas (those, or how many: see `alpha_grid`), strong to weak.

        Leaves the model at the last one, `coef_path_` (alphas, …) and the fits in `path_`.
        """
        return _path(self, self._task(X, y, sample_weight, offset), alphas)

    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
    ) -> Classifier:
        """Take stochastic gradient steps through these rows, from where the model stands.

        The first call names all `classes` that rows may have.
        """
        first = not hasattr(self, "coef_")
        if first and classes is None:
            raise ValueError("the first partial_fit needs classes=, all that y may ever hold")
        known: Array = np.unique(np.asarray(classes)) if first else self.classes_
        return step(self, self._task(X, y, sample_weight, offset, first=first, known=known))


class ClassifierCV(LinearClassifier):
    """A `Classifier` whose alpha cross-validation chooses, by the fitted loss on held-out rows.

    Folds have every class's share of rows. Parameters and attributes are those of `Classifier` and
    `RegressorCV`; metrics=None reports the accuracy. As there, `standardize` and the encoding of a
    data frame are learnt once on all rows, those that a fold leaves out included.
    """

    def __init__(
        self,
        loss: Any = "auto",
        *,
        penalty: Any = "l2",
        alphas: Iterable[float] | int | None = None,
        l1_ratio: Any = 0.5,
        cv: Any = 5,
        rule: str = "min",
        metrics: Any = None,
        fit_intercept: bool = True,
        standardize: bool = False,
        unknown: Literal["error", "ignore"] = "error",
        class_weight: Any = None,
        solver: Any = "auto",
        tol: float = 1e-4,
        max_iter: int = 1000,
        certificate: str = "auto",
        random_state: Any = None,
        progress: Callable[[Any], None] | None = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alphas = alphas
        self.l1_ratio = l1_ratio
        self.cv = cv
        self.rule = rule
        self.metrics = metrics
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.unknown = unknown
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.certificate = certificate
        self.random_state = random_state
        self.progress = progress

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None, groups: Any = None
    ) -> ClassifierCV:
        """Fit as `Classifier.fit` does, at the alpha that the folds choose; `groups` (n,) is for a
        splitter.
        """
        self._fit_folds(self._task(X, y, sample_weight, offset), groups)
        return self


def _path(model: Any, task: Task, alphas: Any) -> Any:
    penalty = get_penalty(model.penalty, l1_ratio=model.l1_ratio)
    grid = alpha_grid(
        task.source(), task.loss, penalty, alphas, outputs=task.outputs,
        intercept=model.fit_intercept,
    )  # fmt: skip
    model.path_ = model._fit_path(task, grid.tolist(), None)
    return model
