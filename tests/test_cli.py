"""`losskit evaluate` as a user meets it: real files, real processes, one line per mistake."""

import csv
import io
import json
import math
import os
import pty
import re
import signal
import subprocess
import sys
import time

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import losskit
from losskit.cli.main import main

COMMAND = [sys.executable, "-m", "losskit"]


@pytest.fixture
def scores(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("y,p,q,g\n1,.9,.8,a\n0,.1,.2,b\n1,.8,.6,a\n1,.7,.99,\n0,.3,.4,b\n")
    return str(path)


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return call


def evaluate(run, path, *arguments):
    return run("evaluate", path, "--target", "y", "--prediction", "p", *arguments)


# --- what it prints


def test_table(run, scores):
    code, out, err = evaluate(run, scores, "--prediction", "q", "--by", "g", "--loss", "bce")
    assert (code, err) == (0, "")
    lines = out.replace(scores, "scores.csv").splitlines()
    assert lines == [
        "scores.csv: 5 rows",
        "",
        "g            rows   loss                                  p                  q",
        "(all rows)      5   binary_cross_entropy    0.229443 ± 0.05   0.295598 ± 0.086",
        "(blank)         1   binary_cross_entropy           0.356675          0.0100503",
        "a               2   binary_cross_entropy   0.164252 ± 0.042     0.366985 ± 0.1",
        "b               2   binary_cross_entropy   0.231018 ± 0.089     0.366985 ± 0.1",
        "",
        "Differences, row by row (value ± standard error)",
        "p − q   binary_cross_entropy   -0.0661548 ± 0.096   too few rows to judge (5)",
    ]


def test_it_says_which_losses_it_took_and_why(run, scores):
    said = "arget 'y' holds only 0 and 1 and every prediction lies in [0, 1]; scored with "
    code, out, err = evaluate(run, scores)
    assert (code, err) == (0, "")
    assert said + "binary_cross_entropy, squared_error" in out
    assert "its root (RMSE)" in out
    code, out, err = evaluate(run, scores, "--format", "json")
    assert code == 0
    assert json.loads(out)["rows"] == 5  # and nothing else
    assert said in err


def test_json(run, scores):
    code, out, err = evaluate(run, scores, "--prediction", "q", "--loss", "mse", "--format", "json")
    assert (code, err) == (0, "")
    report = losskit.evaluate(scores, target="y", prediction=["p", "q"], loss="mse")
    assert json.loads(out) == report.to_dict()


def test_json_of_infinities_is_valid_json(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("y,p\n0,1e200\n")
    code, out, _ = evaluate(run, path, "--loss", "mse", "--format", "json")
    assert code == 0
    found = json.loads(out, parse_constant=lambda text: pytest.fail(text))["results"][0]
    assert (found["value"], found["root"], found["standard_error"]) == ("inf", "inf", None)


def test_csv(run, scores):
    code, out, _ = evaluate(run, scores, "--prediction", "q", "--loss", "mse", "--format", "csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["prediction"], row["minus"]) for row in rows] == [("p", ""), ("q", ""), ("p", "q")]
    assert float(rows[0]["value"]) == pytest.approx(0.048)
    assert float(rows[0]["root"]) == pytest.approx(math.sqrt(0.048))
    assert float(rows[2]["value"]) == pytest.approx(0.048 - 0.08002)


def test_csv_tells_the_blank_group_from_the_whole_table(run, scores):
    _, out, _ = evaluate(run, scores, "--by", "g", "--loss", "mse", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["group"], row["kind"]) for row in rows] == [
        ("", "all rows"), ("", "group"), ("a", "group"), ("b", "group")
    ]  # fmt: skip
    assert rows[1]["standard_error"] == ""


def test_many_models_stand_one_below_the_other(run, tmp_path):
    path = tmp_path / "a.csv"
    names = [f"m{i}" for i in range(6)]
    rows = [",".join(map(str, [y, *(y + i - 2 + y % 2 for i in range(6))])) for y in range(40)]
    path.write_text("\n".join([",".join(["y", *names]), *rows]) + "\n")
    wanted = [word for name in names[1:] for word in ("--prediction", name)]
    arguments = ["evaluate", path, "--target", "y", "--prediction", "m0", *wanted, "--loss", "mse"]
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    assert all(len(line) < 100 and line == line.rstrip() for line in out.splitlines())
    assert len(re.findall(r"^m\d − m1 ", out, re.MULTILINE)) == 5  # m1 is off by -1 or 0
    assert "m1 is lower by" in out
    assert len(json.loads(run(*arguments, "--format", "json")[1])["differences"]) == 15


def test_one_notation_for_value_and_error(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("y,p,q\n" + "".join(f"{i % 7},{i * 3},{i * 1e14}\n" for i in range(40)))
    _, out, _ = evaluate(run, path, "--prediction", "q", "--loss", "mse")
    pairs = re.findall(r"([0-9.e+-]+) ± ([0-9.e+-]+)", out)
    assert len(pairs) == 3
    assert all(("e" in value) == ("e" in error) for value, error in pairs), pairs


def test_names_with_newlines_stay_in_their_line(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('y,"p\nx"\n1,2\n')
    code, out, _ = run("evaluate", path, "--target", "y", "--prediction", "p\nx", "--loss", "mse")
    assert (code, "p\\nx" in out) == (0, True)


def test_infinite_differences_are_told_in_words(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("y,p,q\n0,1e200,1e201\n1,1,1\n")
    arguments = ["--prediction", "q", "--loss", "mse"]
    assert "both are infinite on the same rows" in evaluate(run, path, *arguments)[1]
    _, out, err = evaluate(run, path, *arguments, "--format", "json")
    assert json.loads(out)["differences"][0]["value"] is None
    assert "both are infinite on the same rows" in err


def test_skipped_rows_are_told(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("y,p\n1,.5\n0,\n1,nan\n")
    code, out, _ = evaluate(run, path, "--invalid", "skip", "--loss", "bce")
    assert code == 0
    assert "3 rows, 2 skipped" in out
    assert "skipped 1 row (null), first row 2: prediction 'p' is missing" in out
    code, out, err = evaluate(run, path, "--invalid", "skip", "--loss", "bce", "--format", "json")
    assert json.loads(out)["invalid"] == {"null": 1, "nan": 1, "infinite": 0, "domain": 0}
    assert "skipped 1 (nan), first row 3" in err


def test_clipping_is_told(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("y,p\n1,0\n0,.5\n")
    _, out, _ = evaluate(run, path, "--loss", "bce")
    assert "1 value of p for binary_cross_entropy clipped: " in out


# --- where tables come from


@pytest.mark.parametrize("name", ["a.csv.gz", "a.tsv", "a.parquet", "a.jsonl"])
def test_formats(run, tmp_path, name):
    path = tmp_path / name
    with duckdb.connect() as connection:
        form = {"gz": "csv, COMPRESSION gzip", "tsv": "csv, DELIMITER '\t'", "parquet": "parquet",
                "jsonl": "json"}[name.rsplit(".", 1)[1]]  # fmt: skip
        connection.execute(
            f"COPY (SELECT 1.0 * range AS y, range + 0.5 AS p FROM range(10)) TO '{path}' "
            f"(FORMAT {form})"
        )
    code, out, _ = evaluate(run, path, "--loss", "mse", "--format", "json")
    assert code == 0
    assert json.loads(out)["results"][0]["value"] == 0.25


def test_database(run, tmp_path):
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT 1.0 * range AS y, range + 2 AS p FROM range(9)"
        )
    code, out, _ = evaluate(run, path, "--table", "t", "--loss", "mae", "--format", "json")
    assert json.loads(out)["results"][0]["value"] == 2
    code, _, err = evaluate(run, path)
    assert (code, err) == (2, f"losskit: error: {path} is a database: pass --table (it has t)\n")


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet", "gzip"])
def test_standard_input(tmp_path, form):
    content = {
        "csv": b"y,p\n1,2\n2,4\n", "tsv": b"y\tp\n1\t2\n2\t4\n",
        "jsonl": b'{"y": 1, "p": 2}\n{"p": 4, "y": 2}\n',
    }.get(form)  # fmt: skip
    if form == "parquet":
        pq.write_table(pa.table({"y": [1, 2], "p": [2, 4]}), tmp_path / "a")
        content = (tmp_path / "a").read_bytes()
    if form == "gzip":
        import gzip

        content = gzip.compress(b"y,p\n1,2\n2,4\n")
    done = subprocess.run(
        [*COMMAND, "evaluate", "-", "--target", "y", "--prediction", "p", "--loss", "mse",
         "--format", "json"],
        input=content, capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["results"][0]["value"] == 2.5
    assert done.stderr == b""


# --- mistakes


def test_every_mistake_is_one_line_and_exit_code_2(run, tmp_path, scores):
    write = {
        "ragged.csv": "y,p\n1,.5\n0\n", "text.csv": "y,p\n1,.5\nyes,.5\n", "empty.csv": "",
        "header.csv": "y,p\n", "comma.csv": 'y,p\n1,"0,5"\n', "above.csv": "y,p\n1,.5\n0,1.2\n",
        "twice.csv": "y,p,p\n1,1,1\n",
    }  # fmt: skip
    for name, content in write.items():
        (tmp_path / name).write_text(content)
    cases = [
        (tmp_path / "ragged.csv", [], "has 1 field on line 3 where its header has 2"),
        (tmp_path / "text.csv", [], "column 'y' has 'yes' at row 2 where a number is needed"),
        (tmp_path / "comma.csv", [], "column 'p' has '0,5' at row 1"),
        (tmp_path / "empty.csv", [], "is empty"),
        (tmp_path / "header.csv", [], "has no data rows"),
        (tmp_path / "twice.csv", [], "names columns 2 and 3 both 'p'"),
        (tmp_path / "above.csv", [], "is 1.2 at row 2, which is no probability"),
        (tmp_path, [], "is a directory"),
        (tmp_path / "score.csv", [], "does not exist; did you mean 'scores.csv'?"),
        (scores, ["--prediction", "pq"], "no column 'pq'; did you mean"),
        (scores, ["--prediction", "p"], "'p' was given twice"),
        (scores, ["--weight", "w"], "no column 'w'"),
        (scores, ["--by", "G"], "no column 'G'; did you mean 'g'?"),
        (scores, ["--loss", "bcee"], "no loss called 'bcee'; did you mean 'bce'?"),
        (scores, ["--loss", "huber:delt=2"], "no parameter 'delt'; did you mean 'delta'?"),
        (scores, ["--loss", "huber:delta=x"], "parameter 'delta' of loss 'huber:delta=x' is 'x'"),
        (scores, ["--table", "t"], "--table names a table of a database"),
        (scores, ["--input-format", "parquet"], "is not a Parquet file"),
        (scores, ["--input-format", "xls"], "'xls' is not one of"),
        (scores, ["--lost", "mse"], "No such option"),
        ("no*.csv", ["--glob"], "no file matches 'no*.csv'"),
    ]
    for path, arguments, message in cases:
        code, out, err = evaluate(run, path, *arguments)
        assert (code, out) == (2, ""), (path, arguments, err)
        assert err.startswith("losskit: error: ")
        assert err.count("\n") == 1, err
        assert message in err
    code, out, err = run("evaluate", scores, "--target", "y")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "missing option --prediction" in err
    assert run("evaluat")[0] == 2


def test_invalid_rows_fit_one_screen(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("y,p\n" + "1,\n0,nan\n1,inf\n0,2\n" * 1000)
    code, out, err = evaluate(run, path, "--loss", "bce")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) <= 8
    assert "4000 of 4000 rows cannot be scored" in err
    for kind, row in (("null", 1), ("nan", 2), ("infinite", 3), ("domain", 4)):
        assert re.search(rf"{kind} +1000 rows, first row {row}: prediction 'p' is", err)


def test_an_unexpected_error_is_one_line_too(run, scores, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr("losskit.evaluation.open_table", broken)
    monkeypatch.delenv("LOSSKIT_DEBUG", raising=False)
    code, out, err = evaluate(run, scores)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "unexpected RuntimeError: first second" in err


def test_a_closed_pipe_is_silent():
    command = " ".join([*COMMAND, "list"])
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() in ("0", "141")  # 0 where all fitted into the pipe before it closed
    assert done.stderr == ""
    closed = subprocess.run(
        [*COMMAND, "list"], stdout=_closed_pipe(), stderr=subprocess.PIPE, check=False
    )
    assert (closed.returncode, closed.stderr) == (141, b"")


def _closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def test_interrupting_is_one_line(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "evaluate", "-", "--target", "y", "--prediction", "p"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    with process:
        process.stdin.write(b"y,p\n" * 100_000)
        process.stdin.flush()
        _wait_for(lambda: list(tmp_path.glob("losskit-*/part0")))
        # A signal that arrives just before a blocking read begins is seen only after it, by any
        # Python program; so wait for the read, and be as patient as a user who presses it again.
        for _ in range(5):
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=5)
                break
            except subprocess.TimeoutExpired:
                continue
        process.kill()
        out, err = process.stdout.read(), process.stderr.read()
    assert (process.returncode, out, err) == (130, b"", b"losskit: error: interrupted\n")
    assert not list(tmp_path.iterdir())


def _wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_progress_appears_on_a_terminal_from_the_second_second_on(tmp_path):
    for seconds, shown in ((0, False), (2, True)):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [*COMMAND, "evaluate", "-", "--target", "y", "--prediction", "p", "--loss", "mse",
             "--format", "json"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        process.stdin.write(b"y,p\n1,2\n")
        process.stdin.flush()
        time.sleep(seconds)
        out, _ = process.communicate()
        text = b""
        try:
            while block := os.read(ours, 65536):
                text += block
        except OSError:  # Linux ends a terminal that nobody holds with EIO
            pass
        os.close(ours)
        assert json.loads(out)["rows"] == 1
        assert (b"rows" in text) == shown, text
