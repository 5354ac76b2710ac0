"""torchvision: the focal loss that PyTorch itself lacks. Not installed where these are tested."""

from losskit.rosetta.facts import FRACTION, LEFT_TO_USER, SIGNS, ZERO_ONE, Library, Name

TORCHVISION = Library(
    "torchvision",
    "torchvision",
    prefixes=("torchvision.ops",),
    packages=("torchvision",),
    weighted=LEFT_TO_USER,
    order="(inputs, targets)",
    options=("reduction",),
    tested=False,
    names=(
        Name(
            "torchvision.ops.sigmoid_focal_loss(alpha={alpha}, gamma={gamma})",
            "focal",
            defaults={"alpha": 0.25, "gamma": 2.0},
            labels=(ZERO_ONE, FRACTION),
            silent=(SIGNS,),
            differs=("an alpha below 0 switches it off; ours is then None",),
        ),
    ),
)
