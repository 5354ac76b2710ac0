"""What every library calls a loss: its name, parameters, factor, scale, labels and denominator.

`translate` answers from it, `wrap` takes a loss object of another library for one of ours, and
`table` is all of it. Each library's facts are in a file of `rosetta.libraries`; what a loss says by
`same_as` is not said there again.

>>> import losskit
>>> print(losskit.translate("torch.nn.HuberLoss(delta=2)"))
PyTorch torch.nn.HuberLoss(delta=2.0) is losskit.huber(delta=2.0)
"""

from losskit.rosetta.tabulating import Row, table
from losskit.rosetta.translating import Translation, Written, translate
from losskit.rosetta.wrapping import Scaled, wrap

__all__ = ["Row", "Scaled", "Translation", "Written", "table", "translate", "wrap"]
