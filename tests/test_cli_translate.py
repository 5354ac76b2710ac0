"""`losskit translate`, and how names are read."""

import json
import subprocess
import sys

import pytest

import losskit
from losskit.cli.main import main
from losskit.rosetta.listing import entries

TRANSLATED = {
    "LightGBM huber alpha=0.9": "losskit.huber(delta=0.9)",
    "lightgbm huber": "losskit.huber(delta=0.9)",
    "lgbm objective='huber', alpha=0.5": "losskit.huber(delta=0.5)",
    "torch.nn.HuberLoss(delta=2)": "losskit.huber(delta=2.0)",
    "nn.SmoothL1Loss(beta=.5)": "losskit.smooth_l1(beta=0.5)",
    "SmoothL1Loss(beta=0)": "losskit.absolute_error",
    "F.binary_cross_entropy": "losskit.binary_cross_entropy",
    "reg:pseudohubererror": "losskit.pseudo_huber",
    "xgboost pseudohubererror huber_slope=2": "losskit.pseudo_huber(delta=2.0)",
    "keras BinaryCrossentropy(from_logits=True)": "losskit.binary_cross_entropy",
    "tf.keras.losses.Huber(delta=2)": "losskit.huber(delta=2.0)",
    "keras mse": "losskit.squared_error",
    "quantile": "losskit.quantile",
    "pinball q=0.9": "losskit.quantile(q=0.9)",
    "quantile alpha=0.9": "losskit.quantile(q=0.9)",
    "Quantile:alpha=0.9": "losskit.quantile(q=0.9)",
    "catboost loss_function='Huber:delta=2'": "losskit.huber(delta=2.0)",
    "xgb reg:quantileerror quantile_alpha=[.1, .9]": "losskit.quantile(q=(0.1, 0.9))",
    "huber:delta=1.5": "losskit.huber(delta=1.5)",
    "losskit.focal(gamma=1)": "losskit.focal(gamma=1.0)",
    "keras BinaryFocalCrossentropy(apply_class_balancing=True)": "losskit.focal(alpha=0.25)",
    "HUBER TO TORCH": "losskit.huber",
    "sklearn SGDRegressor loss='huber' epsilon=.3": "losskit.huber(delta=0.3)",
    "mean_tweedie_deviance power=1.2": "losskit.tweedie(power=1.2)",
    "mean_tweedie_deviance(power=1)": "losskit.poisson",
    "statsmodels HuberT": "losskit.huber(delta=1.345)",
    "log_loss": "losskit.binary_cross_entropy",
    "tweedie variance_power=1.3": "losskit.tweedie(power=1.3)",
    "HuberLoss": "losskit.huber",
    "huber epsilon=0.3": "losskit.huber(delta=0.3)",
}
REFUSED = {
    "hubre": "did you mean 'huber'",
    "lightgbm hubr": "LightGBM has no loss 'hubr' that we know; did you mean 'huber'",
    "torch.nn.HuberLoss(dleta=2)": "did you mean 'delta'",
    "huber 2": "value of which parameter",
    "huber alpha=0.9": "LightGBM's huber is .* scikit-learn's .* is none of ours; say which",
    "sklearn GradientBoostingRegressor(loss='huber', alpha=0.9)": "quantile of the residuals",
    "sklearn.linear_model.HuberRegressor(epsilon=1.35)": "estimates a scale",
    "focal gama=3": "focal has no parameter 'gama'; did you mean 'gamma'",
    "huber focal_alpha=3": "^huber has no parameter 'focal_alpha'",
    "squared_error(gamma=2)": "^squared_error has no parameter 'gamma'",
    "MSELoss(from_logits=True)": "has no parameter 'from_logits'",
    "torch BCELoss(from_logits=True)": "has no parameter 'from_logits'",
    "huber to pytoch": "no library 'pytoch'; did you mean 'pytorch'",
    "squared_error to nonsense": "no library 'nonsense'; name one of PyTorch, ",
    "quantile q=0.9 to xgboost torch": "no library 'xgboost torch'",
    "LightGBM huber alpha": "alpha needs a value",
    "sklearn huber": "means several",
    "CTCLoss": "nothing of ours equals it",
    "quantile q=2": r"needed is a number in \(0, 1\)",
    "huber delta=1 delta=2": "gives delta twice",
    "to torch": "names no loss",
    "": "names no loss",
    "(((": "names no loss",
    "huber delta=__import__('os').getcwd()": "no loss",
}


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return call


@pytest.mark.parametrize(("text", "expected"), TRANSLATED.items())
def test_names_are_read_as_people_write_them(text, expected):
    assert repr(losskit.translate(text).loss) == expected


@pytest.mark.parametrize(("text", "reason"), REFUSED.items())
def test_what_is_not_understood_is_an_error_that_says_what_to_do(text, reason):
    with pytest.raises((ValueError, TypeError), match=reason):
        losskit.translate(text)


def test_what_is_no_text_is_sent_to_wrap():
    with pytest.raises(TypeError, match=r"losskit\.wrap"):
        losskit.translate(losskit.huber)


@pytest.mark.parametrize("library", {e.library.name: e for e in entries()})
def test_what_is_written_is_read_back_as_the_same_loss(library):
    read = [read_back(e) for e in entries() if e.library.name == library and not e.name.without]
    # Only a name whose parameter cannot be left out has no text for a loss without it.
    assert read.count(False) <= 1 < 2 * len(read)


def read_back(entry):
    own = losskit.get(entry.name.loss, **entry.name.ours)
    given = {
        theirs: own.params[ours]
        for theirs, ours in entry.call.parameters.items()
        if own.params[ours] is not None
    } | {n: v for n, v in entry.call.constants.items() if n not in ("objective", "loss_function")}
    loss = entry.read(given)
    if not entry.serves(loss):
        return False
    found = losskit.translate(f"{entry.library.name} {entry.write(loss)}")
    assert found.loss == loss, entry.write(loss)
    return True


def test_the_name_asked_for_is_not_among_its_names_elsewhere():
    found = losskit.translate("catboost Huber delta=2")
    assert found.given.text == "loss_function='Huber:delta=2.0'"
    assert found.given.text not in [name.text for name in found.names]
    assert "torch.nn.HuberLoss(delta=2.0)" in [name.text for name in found.names]
    assert "XGBoost" in found.missing


def test_a_constant_that_does_not_hold_comes_first():
    found = losskit.translate("torch MultiMarginLoss(p=2)")
    assert found.given.differences[0] == "equal only at p=1; here p is 2"


def test_differences_of_scale_labels_mean_curvature_and_start_are_told():
    said = losskit.translate("lightgbm huber").given.differences
    assert "takes 1 for the curvature" in said
    assert "training starts at the mean of the targets; with ours at the best constant" in said
    said = losskit.translate("keras MeanSquaredError").given.differences
    assert any("divided by the number of elements" in text for text in said)
    said = losskit.translate("optax sparsemax_loss").given.differences
    assert any("takes labels as 0/1, ours as ±1" in text for text in said)


def test_what_was_asked_is_written_as_it_was_asked():
    texts = {
        "TripletMarginLoss(margin=0.5)": "torch.nn.TripletMarginLoss(margin=0.5)",
        "torch HuberLoss reduction=none": "torch.nn.HuberLoss(reduction='none')",
        "binary_crossentropy(from_logits=1)": "keras.losses.BinaryCrossentropy(from_logits=1)",
    }
    assert {text: losskit.translate(text).given.text for text in texts} == texts


def test_a_parameter_that_ours_leaves_out_is_told():
    said = losskit.translate("torch.nn.TripletMarginLoss(p=1, eps=0)").given.differences
    assert said[0] == "equal only at p=2; here p is 1"
    said = losskit.translate("torch MSELoss(reduction='sum')").given.differences
    assert said[0].startswith("reduction='sum' is of the call")
    said = losskit.translate("lightgbm binary sigmoid=2").given.differences
    assert said[0] == "sigmoid=2 is no parameter of ours, and left out"


def test_what_takes_log_probabilities_is_not_said_to_take_logits():
    names = losskit.translate("cross_entropy to torch").names
    takes = {name.text: name.predictions for name in names}
    assert takes["torch.nn.NLLLoss"] == "log-probabilities"
    assert takes["torch.nn.CrossEntropyLoss"] == "logits"
    (name,) = losskit.translate("kl_divergence to optax").names
    assert name.predictions == "log-probabilities"
    (name,) = losskit.translate("gaussian_nll to catboost").names
    assert name.predictions == "means and logarithms of deviations"


def test_sentences_of_differences_have_no_holes():
    said = losskit.translate("CosineEmbeddingLoss").given.differences
    assert not any("ours as ;" in text for text in said)
    said = losskit.translate("optax huber_loss").given.differences
    assert said == ("returns values that are not averaged; ours are, unless reduction='none'",)


def test_the_table_tells_what_its_columns_do_not(run):
    _, out, _ = run("translate", "poisson")
    factor = next(line for line in out.splitlines() if "mean_poisson_deviance " in line)
    assert "0.5 · theirs + a term of the target" in factor
    _, out, _ = run("translate", "mape", "to", "lightgbm")
    assert "LightGBM objective='mape': a target below 1 in size counts as 1" in out
    _, out, _ = run("translate", "cross_entropy", "to", "torch")
    assert "torch.nn.NLLLoss: put no log_softmax before ours" in out


def test_a_mistyped_option_is_no_name(run):
    code, out, err = run("translate", "huber", "--jsn")
    assert (code, out) == (2, "")
    assert "'--jsn'" in err
    assert "--json" in err


def test_help_names_the_libraries(run):
    _, out, _ = run("translate", "--help")
    text = " ".join(out.split())
    assert [e.library.title for e in entries() if e.library.title not in text] == []


def test_the_command_prints_ours_the_differences_and_names_elsewhere(run):
    code, out, err = run("translate", "LightGBM", "huber", "alpha=0.9")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split(None, 1) == ["LightGBM", "objective='huber', alpha=0.9"]
    assert lines[1].split(None, 1) == ["losskit", "losskit.huber(delta=0.9)"]
    assert "curvature" in out
    assert "torch.nn.HuberLoss(delta=0.9)" in out
    assert lines[-1].startswith("No name for it: XGBoost")
    assert not any(line != line.rstrip() for line in lines)


def test_the_command_prints_json(run):
    code, out, _ = run("translate", "--json", "squared_error", "to", "sklearn")
    said = json.loads(out)
    assert code == 0
    assert said["loss"] == "losskit.squared_error"
    half = said["names"][0]
    assert (half["text"], half["factor"]) == ("sklearn._loss.HalfSquaredError", 2)


@pytest.mark.parametrize("text", ["hubre", "sklearn huber", "CTCLoss", "huber 2"])
def test_the_command_fails_in_one_line(run, text):
    code, out, err = run("translate", text)
    assert (code, out) == (2, "")
    assert err.startswith("losskit: error: ")
    assert err.count("\n") == 1


def test_nothing_heavy_is_imported():
    program = (
        "import sys\nimport losskit\nfrom losskit.cli.main import main\n"
        "losskit.wrap('lightgbm huber'); losskit.translate('torch HuberLoss')\n"
        "try: main(['translate', 'huber'])\nexcept SystemExit: pass\n"
        "heavy = ('torch', 'keras', 'jax', 'optax', 'sklearn', 'xgboost', 'lightgbm', 'catboost', "
        "'numba', 'duckdb')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
