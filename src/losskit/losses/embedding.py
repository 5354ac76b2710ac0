"""Losses of embeddings: of pairs and triplets of vectors, and of labelled batches.

`contrastive` and `cosine_embedding` take pairs, `triplet` triplets, row by row; the last axis holds
the features. `triplet.mined`, `info_nce`, `nt_xent`, `supervised_contrastive` and
`multi_similarity` find pairs in a batch, a block of anchors at a time: memory is O(n·features), not
O(n²). There, a row that is masked or has weight 0 is nobody's positive or negative either, and
`sample_weight` weighs a row as an anchor.

A triplet loss of any other distance is a formula of its own:

    @losskit.loss(axis="feature")
    def robust_triplet(anchor, positive, negative, margin: NonNegative = 1.0):
        "Lets no single feature decide a distance."
        near, far = sum_(hypot1(anchor - positive)), sum_(hypot1(anchor - negative))
        return positive_part(near - far + margin)
"""

from typing import Annotated

from losskit.catalogue import loss
from losskit.formula import (
    Domain,
    NonNegative,
    Positive,
    Vector,
    equal,
    minimum,
    norm,
    normalized,
    positive_part,
    sum_,
    where,
)
from losskit.formula.inputs import Choice, Key, Sign, Switch, YesNo
from losskit.losses.classes import cross_entropy
from losskit.mining import (
    DISTANCES,
    MINING,
    batch_contrast,
    label_contrast,
    mined_triplets,
    pairwise_contrast,
    similarity_excess,
)
from losskit.written import written

Distance = Annotated[str, Choice(DISTANCES)]
# None: the hinge becomes softplus(d⁺ − d⁻), the soft margin of Hermans et al. (2017).
Margin = Annotated[float | None, Domain(lower=0, open_lower=False, none=True)]
CosineMargin = Annotated[float, Domain(-1, 1, open_lower=False, open_upper=False)]


# Above the losses that use it, as a formula is traced where it is written.
def _apart(a, b, distance):
    if distance == "cosine":
        # 1 − cos = |â − b̂|²/2 keeps its digits where directions agree; cos of 0 counts as 0.
        lost = where(equal(norm(a), 0), 0.5, 0) + where(equal(norm(b), 0), 0.5, 0)
        return 0.5 * _square(_direction(a) - _direction(b)) + lost
    if distance == "manhattan":
        return sum_(abs(a - b))
    return norm(a - b) if distance == "euclidean" else _square(a - b)


def _square(r):
    return sum_(r * r)


def _direction(x):
    return where(equal(norm(x), 0), 0, normalized(x))


def _nearest(far, positive, negative, distance, swap):
    return minimum(far, _apart(positive, negative, distance)) if swap else far


@loss(axis="feature", cite="hadsell2006", optimum="the distance margin·P(not of a kind)",
      same_as={"Hadsell et al. (2006), equation 4": 2})
def contrastive(y: YesNo, first: Vector, second: Vector, margin: Positive = 1.0):
    """Pulls vectors of a kind (1) together by d², and pushes others (0) `margin` apart.

    d is Euclidean: y·d² + (1 − y)·max(0, margin − d)².
    """
    r = first - second
    short = positive_part(margin - norm(r))
    return y * sum_(r * r) + (1 - y) * (short * short)


@loss(axis="feature", cite="balntas2016", optimum="order of distances",
      same_as={"torch.nn.functional.triplet_margin_loss(eps=0)": 1})
def triplet(anchor: Vector, positive: Vector, negative: Vector, margin: NonNegative = 1.0,
            distance: Distance = "euclidean", swap: Switch = False):
    """Wants a positive nearer to the anchor than a negative, by `margin`: max(0, d⁺ − d⁻ + margin).

    `swap` takes the negative's distance from the positive where that is smaller than d⁻.
    """
    near, far = _apart(anchor, positive, distance), _apart(anchor, negative, distance)
    return positive_part(near - _nearest(far, positive, negative, distance, swap) + margin)


@loss(axis="feature", cite="salton1975", optimum="mean direction",
      same_as={"optax.losses.cosine_distance": 1})
def cosine_distance(first: Vector, second: Vector):
    """Charges 1 − cos of the angle between two vectors; a vector of zeros has cos 0."""
    return _apart(first, second, "cosine")


@loss(axis="feature", cite="bromley1993", optimum="cosine of 1 or {margin}, the likelier",
      same_as={"torch.nn.functional.cosine_embedding_loss(margin={margin})": 1})
def cosine_embedding(y: Sign, first: Vector, second: Vector, margin: CosineMargin = 0.0):
    """Turns vectors of a kind (+1) into one direction, and others (−1) to cos ≤ `margin`."""
    d = _apart(first, second, "cosine")
    return where(y > 0, d, positive_part((1 - margin) - d))


@written(axis="row", cite="hermans2017", optimum="order of distances")
def triplet_mined(embeddings: Vector, labels: Key, *, weight, margin: Margin = 1.0,
                  distance: Distance = "euclidean",
                  mining: Annotated[str, Choice(MINING)] = "batch_hard"):
    """Finds the triplets of a batch: positives share the anchor's label, negatives do not.

    "batch_hard": each anchor with its farthest positive and nearest negative, one triplet per
    anchor (Hermans et al., 2017, eq. 5). "semi_hard": each anchor and positive with the nearest
    negative that is farther than the positive, however far, or where none is, the farthest negative
    (FaceNet, as TensorFlow Addons has it). "all": every triplet, those that charge nothing too
    (Hermans et al., eq. 6), in O(n² log n); without a margin (`margin=None`) in O(n³). The mean is
    over triplets; anchors without a positive or a negative have none.

    `embeddings` (n, features), `labels` (n,) of any type. `reduction="none"` gives (n,): the sum
    over an anchor's triplets times its weight. Distances are computed in float64; that of equal
    vectors has derivative 0. Raises ValueError where no triplet exists, unless `empty="zero"`.

    >>> import losskit
    >>> losskit.triplet.mined([[0.0], [1.0], [1.5]], ["cat", "cat", "dog"])
    1.0
    """
    return mined_triplets(embeddings, labels, weight, margin, distance, mining)


@written(axis="row", cite="oord2018", optimum="pointwise mutual information", aliases=("infonce",))
def info_nce(queries: Vector, keys: Vector, *, weight, temperature: Positive = 0.07,
             normalise: Switch = True, symmetric: Switch = False):
    """Asks each query to recognise its own key, in the same row, among the keys of the batch.

    Cross-entropy of the cosines (with `normalise=False`: inner products) over `temperature`.
    `symmetric` takes the mean with the loss of keys that recognise their queries, as CLIP does.
    Both are (n, features); the gradient is a tuple (queries, keys).

    >>> import losskit
    >>> pairs = [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]
    >>> round(losskit.info_nce(temperature=1.0)(*pairs), 6)
    0.313262
    """
    scored = cross_entropy(temperature=temperature)
    return batch_contrast(queries, keys, weight, scored, normalise, symmetric)


@written(axis="row", cite="chen2020", optimum="pointwise mutual information", aliases=("ntxent",),
         same_as={"optax.losses.ntxent(temperature={temperature})": 1,
                  "pytorch_metric_learning NTXentLoss": 1})
def nt_xent(embeddings: Vector, labels: Key, *, weight, temperature: Positive = 0.07):
    """Asks each vector to recognise each of its positives among its negatives, by cosine.

    Positives share a label: for two views of each example, `labels` is the example's number twice.
    The mean is over ordered positive pairs, each against the anchor's negatives alone.
    `reduction="none"` gives (n,): the sum over an anchor's pairs. Raises ValueError where no two
    rows share a label, unless `empty="zero"`.

    >>> import losskit
    >>> views = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    >>> round(losskit.nt_xent(temperature=1.0)(views, [0, 0, 1, 1]), 6)
    0.551445
    """
    return pairwise_contrast(embeddings, labels, weight, temperature)


@written(axis="row", cite="khosla2020", optimum="one direction for each label", aliases=("supcon",),
         same_as={"pytorch_metric_learning SupConLoss": 1})
def supervised_contrastive(embeddings: Vector, labels: Key, *, weight,
                           temperature: Positive = 0.1):
    """Asks each vector to recognise all vectors of its label among the others, by cosine.

    L_out of Khosla et al. (2020): for each anchor the mean over its positives of
    −log softmax over all others; the mean is over anchors that have a positive. Raises ValueError
    where none has, unless `empty="zero"`.

    >>> import losskit
    >>> views = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    >>> round(losskit.supervised_contrastive(temperature=1.0)(views, [0, 0, 1, 1]), 6)
    0.551445
    """
    return label_contrast(embeddings, labels, weight, cross_entropy(temperature=temperature))


@written(axis="row", cite="wang2019", optimum="cosines above and below {base}",
         same_as={"pytorch_metric_learning MultiSimilarityLoss": 1})
def multi_similarity(embeddings: Vector, labels: Key, *, weight, alpha: Positive = 2.0,
                     beta: Positive = 50.0, base: CosineMargin = 0.5):
    """Charges an anchor's cosines with positives that are low, and with negatives that are high.

    log(1 + Σ⁺ e^{−α(s − base)})/α + log(1 + Σ⁻ e^{β(s − base)})/β; the mean is over all
    anchors. The paper's mining of pairs is left out.

    >>> import losskit
    >>> round(losskit.multi_similarity([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0, 0, 1]), 6)
    0.104421
    """
    return similarity_excess(embeddings, labels, weight, alpha, beta, base)
