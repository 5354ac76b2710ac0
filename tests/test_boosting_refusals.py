"""Parameters and targets that no boosting library is given, and what is said of them."""

import re

import pytest

import losskit
from losskit.boosting import hosts
from losskit.boosting.decided import DECIDED, refuse_decided
from losskit.boosting.estimators import task_of_numbers


def test_what_to_use_instead_of_a_parameter_that_the_loss_decides_is_there():
    named = [
        (host, *found)
        for host, table in DECIDED.items()
        for why in table.values()
        for found in re.findall(r"losskit\.(\w+)\((\w+)=", why)
    ]
    assert {host for host, *_ in named} == set(hosts.HOSTS)
    for _, name, parameter in named:
        assert parameter in losskit.get(name).params
    for host, table in DECIDED.items():
        refuse_decided(host, dict.fromkeys(table))
        for name in table:
            with pytest.raises(ValueError, match=f"^{name}=False cannot be passed: [a-z]"):
                refuse_decided(host, {name: False})


@pytest.mark.parametrize("weight", [None, [0.0, 1.0, 1.0]])
def test_targets_beyond_float32_are_named(weight):
    with pytest.raises(ValueError, match=r"^y\[2\] is -1e\+39, beyond ±3.4e\+38: .*float32"):
        task_of_numbers("xgboost", [1.0, 2.0, -1e39], 3, weight)
    with pytest.raises(ValueError, match=r"^y\[1, 0\] is 1e\+39"):
        task_of_numbers("xgboost", [[1.0, 2.0], [1e39, 1.0], [0.0, 0.0]], 3, weight)
    task = task_of_numbers("xgboost", [1.0, 2.0, 3e38], 3, weight, loss="huber")
    with pytest.raises(ValueError, match=r"^eval_set\[4\]: y\[0\] is 1e\+39"):
        task.evaluation("eval_set[4]", [1e39], 1)
