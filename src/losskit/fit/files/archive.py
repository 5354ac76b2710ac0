"""Fitted models in files and back: what `save` of an estimator keeps, and `losskit.load` checks.

The file holds constructor parameters, the loss and the fit as numbers and text: see `saving` for
the container and `losskit.portable` for losses, penalties and labels. Nothing in it is code.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.by_rank import ByRank
from losskit.fit.crossvalidation import CrossValidation
from losskit.fit.estimators import classes
from losskit.fit.files import saving
from losskit.fit.fitting import Fit
from losskit.fit.inputs.preprocessing import Preprocessing
from losskit.fit.inputs.targets import Classes, coding
from losskit.fit.objective.certificate import Certificate
from losskit.fit.solvers.auto import SOLVERS, named
from losskit.fit.solvers.run import Step
from losskit.interface import Loss
from losskit.penalties import Penalty
from losskit.portable import (
    labels_from_json,
    labels_to_json,
    loss_from_json,
    loss_to_json,
    penalty_from_json,
    penalty_to_json,
)
from losskit.portable import schema as s
from losskit.several import Several

_KINDS = ("Regressor", "RegressorCV", "Classifier", "ClassifierCV")
_MOST_COLUMNS = 10_000_000
_TEXT, _NUMBERS = s.text(2000), s.many(s.ANY_NUMBER, 1_000_000)
_STEP = ("iteration", "objective", "certificate", "nonzeros", "seconds")


def load(path: str | os.PathLike[str]) -> Any:
    """Return the estimator that `save` wrote: a Regressor, Classifier, RegressorCV, ClassifierCV.

    Loading runs no code of the file: see `losskit.fit.files.saving`. Raises ValueError, in one line
    that names the file, where it is no losskit model, is cut off, changed, or of a newer version.

    >>> import os, tempfile, losskit
    >>> model = losskit.Regressor().fit([[0.0], [1.0], [2.0]], [0.5, 2.5, 4.5])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.losskit")
    ...     model.save(path)
    ...     losskit.load(path).predict([[3.0]]) == model.predict([[3.0]])
    array([ True])
    """
    document, arrays = saving.read(path)
    with saving.naming(path):
        return _model(document, arrays)


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator to a file, at once and whole: see `LinearModel.save`."""
    kind = type(model).__name__
    if kind not in _KINDS or type(model) is not getattr(classes, kind):
        raise TypeError(f"what can be saved is one of {', '.join(_KINDS)}, not {kind}")
    given = {name: _PARAMETERS[name] for name in _names(type(model))}
    known = {name: codec for name, codec in _FITTED.items() if hasattr(model, name)}
    document = {
        "kind": kind,
        "parameters": {name: c.write(getattr(model, name)) for name, c in given.items()},
        "fitted": {name: codec.write(getattr(model, name)) for name, codec in known.items()},
    }
    arrays = {name: getattr(model, name) for name in _ARRAYS}
    arrays["intercept_"] = np.asarray(model.intercept_)
    arrays["history"] = np.array(
        [[float(getattr(one, name)) for name in _STEP] for one in model.history_]
    ).reshape(-1, len(_STEP))
    cv = getattr(model, "cv_", None)
    if cv is not None:
        document["cv"] = {
            "metrics": list(cv.metrics), "fits": [_FIT.write(vars(one)) for one in cv.path],
        }  # fmt: skip
        arrays |= {"cv.scores": cv.scores, "cv.weights": cv.weights}
        arrays |= {f"cv.metric{i}": one for i, one in enumerate(cv.metrics.values())}
    saving.write(path, document, arrays)


# --- losses, penalties, solvers and the rest of what constructors take


def _write_loss(loss: Any) -> Any:
    if isinstance(loss, Several):
        members = [loss_to_json(one) for one in loss.members]
        return {"parameter": loss.parameter, "members": members}
    return loss_to_json(loss) if isinstance(loss, Loss | ByRank) else _TEXT.write(loss)


def _read_loss(where: str, value: Any) -> Any:
    if isinstance(value, str):
        return _TEXT.read(where, value)
    if type(value) is not dict or "members" not in value:
        return loss_from_json(value, where)
    found = s.members(where, value, ("parameter", "members"))
    read = s.Codec(loss_to_json, lambda place, one: loss_from_json(one, place))
    members = s.many(read, 1000, 1).read(f"{where}.members", found["members"])
    parameter = found["parameter"]
    for i, one in enumerate(members):
        if not isinstance(one, Loss) or one.kind != "pointwise" or len(one.outputs) > 1:
            raise ValueError(f"{where}.members[{i}] is not a loss of one number")
        if parameter not in one.params or one.name != members[0].name:
            raise ValueError(f"{where}.members are no family of losses")
    return Several(parameter, members)


def _write_penalty(penalty: Any) -> Any:
    return penalty_to_json(penalty) if isinstance(penalty, Penalty) else penalty


def _read_penalty(where: str, value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value if value is None else _TEXT.read(where, value)
    return penalty_from_json(value, where)


def _write_solver(solver: Any) -> Any:
    if isinstance(solver, str):
        return solver
    name = getattr(solver, "name", None)
    if name not in SOLVERS or type(solver) is not type(named(name)) or not is_dataclass(solver):
        raise ValueError(f"solver={solver!r:.60} cannot be saved; name one of {', '.join(SOLVERS)}")
    values = {f.name: getattr(solver, f.name) for f in fields(solver)}
    plain = {k: v for k, v in values.items() if v is None or type(v) in (int, float, str, bool)}
    return {"name": name, "options": plain}  # a schedule that is a function is left out


def _read_solver(where: str, value: Any) -> Any:
    if isinstance(value, str):
        return _TEXT.read(where, value)
    found = s.members(where, value, ("name", "options"))
    name = s.one_of(("auto", *SOLVERS)).read(f"{where}.name", found["name"])
    default = named(name)
    known = [f.name for f in fields(default)]
    options = found["options"]
    if type(options) is not dict or not set(options) <= set(known):
        raise ValueError(f"{where}.options has an option that {name!r} has not")
    for key, one in options.items():
        if one is not None and type(one) not in (int, float, str, bool):
            raise s.refuse(f"{where}.options.{key}", one, "a number, a text or a truth value")
    return type(default)(**options)


def _write_class_weight(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {"labels": labels_to_json(list(value)), "factors": _NUMBERS.write(value.values())}
    return _NUMBERS.write(np.asarray(value, dtype=np.float64))


def _read_class_weight(where: str, value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value if value is None else _TEXT.read(where, value)
    if type(value) is list:
        return list(_NUMBERS.read(where, value))
    found = s.members(where, value, ("labels", "factors"))
    labels = labels_from_json(found["labels"], f"{where}.labels").tolist()
    factors = _NUMBERS.read(f"{where}.factors", found["factors"])
    if len(labels) != len(factors):
        raise ValueError(f"{where} has {len(labels)} classes and {len(factors)} factors")
    return dict(zip(labels, factors, strict=True))


def _number_or_list(value: Any) -> Any:
    if value is None or isinstance(value, int | np.integer):
        return value if value is None else int(value)
    return _NUMBERS.write(np.atleast_1d(np.asarray(value, dtype=np.float64)))


def _read_number_or_list(where: str, value: Any) -> Any:
    if value is None or type(value) is int:
        return value
    return list(_NUMBERS.read(where, value))


def _write_ratio(value: Any) -> Any:
    return s.NUMBER.write(value) if np.ndim(value) == 0 else _NUMBERS.write(value)


def _read_ratio(where: str, value: Any) -> Any:
    if type(value) is list:
        return list(_NUMBERS.read(where, value))
    return s.NUMBER.read(where, value)


def _write_metrics(value: Any) -> Any:
    every = [value] if value is not None and not isinstance(value, list | tuple) else value
    return None if every is None else [one if isinstance(one, str) else one.name for one in every]


_WHOLE_OR_NONE = s.Codec(  # a generator, a splitter or a list cannot be kept
    lambda value: int(value) if isinstance(value, int | np.integer) else None,
    s.optional(s.whole()).read,
)
_PARAMETERS = {
    "loss": s.Codec(_write_loss, _read_loss),
    "penalty": s.Codec(_write_penalty, _read_penalty),
    "alpha": s.NUMBER,
    "alphas": s.Codec(_number_or_list, _read_number_or_list),
    "l1_ratio": s.Codec(_write_ratio, _read_ratio),
    "cv": s.Codec(
        lambda value: int(value) if isinstance(value, int | np.integer) else 5, s.whole(2).read
    ),
    "rule": _TEXT,
    "metrics": s.Codec(_write_metrics, s.optional(s.many(_TEXT, 100)).read),
    "fit_intercept": s.FLAG,
    "standardize": s.FLAG,
    "unknown": _TEXT,
    "class_weight": s.Codec(_write_class_weight, _read_class_weight),
    "solver": s.Codec(_write_solver, _read_solver),
    "tol": s.NUMBER,
    "max_iter": s.whole(0),
    "certificate": _TEXT,
    "warm_start": s.FLAG,
    "random_state": _WHOLE_OR_NONE,
    "progress": s.Codec(lambda value: None, lambda where, value: None),
}

# --- what fitting found

_SAID = s.struct(kind=_TEXT, value=s.ANY_NUMBER, target=s.ANY_NUMBER, reached=s.FLAG, note=_TEXT)
_CERTIFICATE = s.Codec(
    lambda one: _SAID.write(vars(one)),
    lambda where, value: Certificate(**_SAID.read(where, value)),
)
_FIT = s.struct(
    objective=s.ANY_NUMBER, certificate=_CERTIFICATE, solver=_TEXT, why=_TEXT,
    baseline=s.ANY_NUMBER, interrupted=s.FLAG,
)  # fmt: skip
_FITTED = {
    "loss_": _PARAMETERS["loss"],
    "loss_why_": _TEXT,
    "solver_": _TEXT,
    "solver_why_": _TEXT,
    "alpha_": s.NUMBER,
    "l1_ratio_": s.NUMBER,
    "objective_": s.ANY_NUMBER,
    "baseline_": s.ANY_NUMBER,
    "n_iter_": s.whole(0),
    "interrupted_": s.FLAG,
    "offset_in_fit_": s.FLAG,
    "n_features_in_": s.whole(1, _MOST_COLUMNS),
    "feature_names_in_": s.Codec(
        lambda names: s.many(_TEXT, _MOST_COLUMNS).write(list(names)),
        lambda where, value: np.array(s.many(_TEXT, _MOST_COLUMNS, 1).read(where, value), object),
    ),
    "certificate_": _CERTIFICATE,
    "classes_": s.Codec(labels_to_json, lambda where, value: labels_from_json(value, where)),
    "multilabel_": s.FLAG,
    "order_": s.optional(s.many(s.whole(0, 1000), 1000)),
    "preprocessing_": s.Codec(
        lambda step: step.to_json(), lambda where, value: Preprocessing.from_json(value)
    ),
}
_ARRAYS = ("coef_", "alphas_", "coef_path_", "intercept_path_")
_ALWAYS = {
    "loss_", "loss_why_", "solver_", "solver_why_", "alpha_", "objective_", "baseline_", "n_iter_",
    "n_features_in_", "certificate_", "interrupted_", "offset_in_fit_",
}  # fmt: skip


def _model(document: Mapping[str, Any], arrays: Mapping[str, Array]) -> Any:
    rest = {k: v for k, v in document.items() if k != "cv"}
    found = s.members("the model", rest, ("kind", "parameters", "fitted"))
    kind = s.one_of(_KINDS).read("kind", found["kind"])
    cls = getattr(classes, kind)
    names = _names(cls)
    given = s.members("parameters", found["parameters"], names)
    model = cls(**{n: _PARAMETERS[n].read(f"parameters.{n}", given[n]) for n in names})
    fitted = found["fitted"]
    if type(fitted) is not dict:
        raise s.refuse("fitted", fitted, "an object")
    always = _ALWAYS | ({"classes_", "multilabel_"} if "Classifier" in kind else {"order_"})
    always |= {"l1_ratio_"} if "cv" in document else set()
    for name in always - set(fitted):
        raise ValueError(f"fitted has no {name!r}")
    for name in fitted:
        if name not in always | {"feature_names_in_", "preprocessing_"}:
            raise ValueError(f"fitted has {s.shown(name)}, which a {kind} has not")
        setattr(model, name, _FITTED[name].read(f"fitted.{name}", fitted[name]))
    _set_arrays(model, arrays)
    if "Classifier" in kind:
        _set_coding(model)
    if ("cv" in document) != kind.endswith("CV"):
        raise ValueError(f"a {kind} {'has no' if 'cv' in document else 'needs a'} cross-validation")
    if "cv" in document:
        model.cv_ = _cross_validation(model, document["cv"], arrays)
    return model


def _set_arrays(model: Any, arrays: Mapping[str, Array]) -> None:
    """Set coefficients, after comparing the shapes of all arrays with each other."""
    step = getattr(model, "preprocessing_", None)
    features = model.n_features_in_ if step is None else len(step.names)
    coef = _numbers(arrays, "coef_", None)
    if coef.ndim not in (1, 2) or coef.shape[-1] != features or not coef.size:
        raise ValueError(f"coef_ has shape {coef.shape} for {features} features")
    outputs = coef.shape[:-1]
    intercept = _numbers(arrays, "intercept_", outputs)
    count = len(_numbers(arrays, "alphas_", None))
    model.coef_, model.intercept_ = coef, intercept if outputs else float(intercept)
    model.alphas_ = _numbers(arrays, "alphas_", (count,))
    model.coef_path_ = _numbers(arrays, "coef_path_", (count, *coef.shape))
    model.intercept_path_ = _numbers(arrays, "intercept_path_", (count, *outputs))
    history = _numbers(arrays, "history", None, finite=False)
    if history.ndim != 2 or history.shape[1] != len(_STEP):
        raise ValueError(f"history has shape {history.shape}")
    if not np.isfinite(history[:, [0, 3]]).all():
        raise ValueError("history counts iterations by what is no number")
    model.history_ = tuple(
        Step(int(row[0]), float(row[1]), float(row[2]), int(row[3]), float(row[4]))
        for row in history
    )
    names = getattr(model, "feature_names_in_", None)
    if names is not None and len(names) != model.n_features_in_:
        raise ValueError(f"feature_names_in_ has {len(names)} names for {model.n_features_in_}")
    _check_outputs(model, outputs[0] if outputs else 1)


def _check_outputs(model: Any, outputs: int) -> None:
    loss = model.loss_
    if isinstance(loss, str | ByRank):
        raise ValueError("fitted.loss_ is a name; needed is a loss")
    members = getattr(loss, "members", None)
    if hasattr(model, "order_"):
        fixed = len(members) if members else len(loss.outputs)
        if fixed > 1 and fixed != outputs:
            raise ValueError(f"coef_ has {outputs} outputs; {loss!r} has {fixed}")
        if model.order_ is not None and sorted(model.order_) != list(range(outputs)):
            raise ValueError("order_ is no order of the outputs")


def _set_coding(model: Any) -> None:
    labels = model.classes_
    if len(labels) < 2:
        raise ValueError(f"classes_ has {len(labels)} classes; needed are two")
    shape = (1, len(labels)) if model.multilabel_ else (1,)
    model.coding_ = coding(model.loss_, Classes(labels, np.zeros(shape, np.intp)))
    if model.coef_.shape[:-1] != (model.coding_.outputs,):
        raise ValueError(f"coef_ has shape {model.coef_.shape} for {len(labels)} classes")


def _cross_validation(model: Any, value: Any, arrays: Mapping[str, Array]) -> CrossValidation:
    found = s.members("cv", value, ("metrics", "fits"))
    names = s.many(_TEXT, 100).read("cv.metrics", found["metrics"])
    count = len(model.alphas_)
    listed = s.many(s.Codec(_FIT.write, _FIT.read), count, count).read("cv.fits", found["fits"])
    weights = _numbers(arrays, "cv.weights", None)
    shape = (len(weights), count)
    outputs = model.coef_path_.reshape(count, -1, model.coef_path_.shape[-1])
    path = [
        Fit(coef.T, np.atleast_1d(intercept), float(alpha), history=(), **one)
        for coef, intercept, alpha, one in zip(
            outputs, model.intercept_path_, model.alphas_, listed, strict=True
        )
    ]
    return CrossValidation(
        model.alphas_,
        _numbers(arrays, "cv.scores", shape, finite=False),
        weights,
        tuple(path),
        {n: _numbers(arrays, f"cv.metric{i}", shape, finite=False) for i, n in enumerate(names)},
    )


def _numbers(
    arrays: Mapping[str, Array], name: str, shape: Sequence[int] | None, finite: bool = True
) -> Array:
    if name not in arrays or arrays[name].dtype != np.float64:
        raise ValueError(f"it has no float64 array {name}")
    array = arrays[name]
    if shape is not None and array.shape != tuple(shape):
        raise ValueError(f"{name} has shape {array.shape}; needed is {tuple(shape)}")
    if array.ndim == 0 and shape is None:
        raise ValueError(f"{name} has no axis")
    if finite and not np.isfinite(array).all():
        raise ValueError(f"{name} holds what is not finite")
    return array


def _names(cls: Any) -> list[str]:
    return [name for name in inspect.signature(cls).parameters]
