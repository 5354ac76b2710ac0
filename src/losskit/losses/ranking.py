"""Losses of ranked lists: y is the relevance of each item of a list, a higher one to come first.

Lists are rows of a matrix, or groups of equal `query=`, in any order; a list has one weight. What
is said of pairs, orders and ranks is in `losskit.ranking`; here is which losses they make.
"""

from typing import Annotated, Any

from losskit.catalogue import loss
from losskit.formula import (
    REAL,
    Choice,
    Input,
    NonNegative,
    Positive,
    Relevance,
    Score,
    Sign,
    Vector,
    positive_part,
    softmax_rest,
    softplus,
    sum_,
    surprise,
)
from losskit.losses.binary import exponential, hinge, logistic_margin, squared_hinge
from losskit.losses.classes import cross_entropy
from losskit.ranking.combinators import listwise, pairwise
from losskit.ranking.orders import plackett_luce, smooth_mrr, smooth_ndcg
from losskit.written import written

Grade = Annotated[Any, Input(REAL)]
Gain = Annotated[str, Choice(("exponential", "linear"))]

# --- of pairs

pairwise_hinge = pairwise(
    hinge, name="pairwise_hinge", task="ranking", cite="herbrich2000",
    doc="Charges each pair of items what the better one's lead in score lacks to one.\n\n"
        "The ranking support-vector machine's loss.",
    same_as={"rax.pairwise_hinge_loss": 1})

pairwise_squared_hinge = pairwise(
    squared_hinge, name="pairwise_squared_hinge", task="ranking", cite="chapelle2010",
    doc="Squares, for each pair of items, what the better one's lead in score lacks to one.")

pairwise_logistic = pairwise(
    logistic_margin, name="pairwise_logistic", task="ranking", cite="burges2005",
    aliases=("ranknet",), same_as={"rax.pairwise_logistic_loss": 1},
    doc="Charges each pair of items the logarithm of the probability that its scores give to their "
        "order.\n\nRankNet's loss; that of pairs drawn at random is BPR.")

pairwise_exponential = pairwise(
    exponential, name="pairwise_exponential", task="ranking", cite="freund2003",
    doc="Grows exponentially with the lead of a worse item over a better one: RankBoost's loss.")

lambda_rank = pairwise(
    logistic_margin, metric="ndcg", name="lambda_rank", task="ranking", cite="burges2006",
    aliases=("lambdarank", "lambdamart"),
    doc="Charges each pair as `pairwise_logistic` does, times how much NDCG or MAP would change if "
        "the two swapped places.\n\nIts \"sum\" has the gradients of XGBoost's and LightGBM's "
        "lambdarank before their normalisations, with `k` as in NDCG@k.")


@loss(axis="feature", cite="rendle2009", optimum="log-odds that the positive is preferred")
def bpr(positive: Score, negative: Score):
    """Charges the logarithm of the probability that a chosen item scores above one not chosen.

    Takes the scores of both, pair by pair (Bayesian personalised ranking)."""
    return softplus(-(positive - negative))


@loss(axis="feature", cite="herbrich2000",
      same_as={"torch.nn.functional.margin_ranking_loss(margin={margin})": 1})
def margin_ranking(first: Score, second: Score, y: Sign, margin: NonNegative = 0.0):
    """Charges what the first item's lead lacks to a margin where y is 1, the second's where −1."""
    return positive_part(margin - y * (first - second))


# --- of lists

softmax_ranking = listwise(
    cross_entropy, target="relevance", name="softmax_ranking", task="ranking", cite="bruch2019",
    aliases=("ranking_softmax",),
    doc="Charges each relevance times the logarithm of the item's share of e^score in its list.",
    optimum="log of the expected relevance, up to a constant",
    same_as={"rax.softmax_loss": 1, "optax.losses.ranking_softmax_loss": 1})

list_net = listwise(
    cross_entropy, target="softmax", name="list_net", task="ranking", cite="cao2007",
    aliases=("listnet",), optimum="relevance, up to a constant",
    doc="Compares the probabilities that scores and relevances give each item of coming first.")


@loss(axis="item", cite="leng2022", same_as={"rax.poly1_softmax_loss(epsilon={epsilon})": 1})
def poly1_softmax(y: Relevance, f: Vector, epsilon: NonNegative = 1.0):
    """Adds to the softmax loss the share of e^score that items without relevance have, so that
    lists already ordered well count less."""
    return sum_(y * surprise(f)) + epsilon * sum_(y * softmax_rest(f)) / sum_(y)


@written(axis="item", cite="xia2008", aliases=("listmle", "plackett_luce"),
         same_as={"rax.listmle_loss": 1})
def list_mle(y_true: Grade, y_pred: Vector, *, lists):
    """Charges the logarithm of the probability of drawing the items in the order of their grades.

    Items are drawn one by one in proportion to e^score; of equal grades the one that stands first
    in the data comes first."""
    return plackett_luce(y_true, y_pred, lists)


@written(axis="item", cite="qin2010", aliases=("approxndcg",))
def approx_ndcg(y_true: Relevance, y_pred: Vector, *, lists,
                temperature: Positive = 1.0, gain: Gain = "exponential"):
    """One less NDCG with smooth ranks: 1 plus the sum of sigmoid((other score − score)/temperature)
    over the other items.

    Rax, TF-Ranking and allRank minimise −NDCG, one less than this, at temperatures 1, 0.1 and 1."""
    return smooth_ndcg(y_true, y_pred, lists, temperature, gain)


@written(axis="item", cite="qin2010", aliases=("approxmrr",))
def approx_mrr(y_true: Relevance, y_pred: Vector, *, lists, temperature: Positive = 1.0):
    """One less the mean of one over the smooth rank of items of relevance 1 or more."""
    return smooth_mrr(y_true, y_pred, lists, temperature)
