"""What each library calls its losses: one file for each, and only what is stated nowhere else.

A new library is a file here and a name in `LIBRARIES`.
"""

from __future__ import annotations

from losskit.rosetta.facts import Library
from losskit.rosetta.libraries.catboost import CATBOOST
from losskit.rosetta.libraries.julia import JULIA
from losskit.rosetta.libraries.keras import KERAS
from losskit.rosetta.libraries.lightgbm import LIGHTGBM
from losskit.rosetta.libraries.metric_learning import METRIC_LEARNING
from losskit.rosetta.libraries.optax import OPTAX
from losskit.rosetta.libraries.rax import RAX
from losskit.rosetta.libraries.scipy import SCIPY
from losskit.rosetta.libraries.sklearn import SKLEARN
from losskit.rosetta.libraries.statsmodels import STATSMODELS
from losskit.rosetta.libraries.torch import TORCH
from losskit.rosetta.libraries.torchvision import TORCHVISION
from losskit.rosetta.libraries.xgboost import XGBOOST

LIBRARIES: tuple[Library, ...] = (
    TORCH, KERAS, OPTAX, SKLEARN, XGBOOST, LIGHTGBM, CATBOOST, SCIPY, STATSMODELS, RAX,
    METRIC_LEARNING, TORCHVISION, JULIA,
)  # fmt: skip
