"""Learning to rank: one linear model, four losses of lists, judged by NDCG on queries held out."""

import numpy as np

import losskit
from losskit import metrics

rng = np.random.default_rng(0)
query = np.repeat(np.arange(120), rng.integers(4, 12, size=120))  # lists of unequal length
features = rng.normal(size=(query.size, 6))
hidden = features @ np.array([2.0, -1.0, 0.5, 0.0, 0.0, 0.0]) + rng.normal(size=query.size)
relevance = np.digitize(hidden, [0.5, 2.0, 3.5])  # grades 0 to 3
train = query < 80

scores = {"no model": np.zeros(query.size)}
for loss in (
    losskit.pairwise_logistic,
    losskit.lambda_rank(k=5),
    losskit.list_net,
    losskit.approx_ndcg,
):
    weights = np.zeros(6)
    for _ in range(150):
        score = features[train] @ weights
        # A list in which nothing is relevant has no NDCG; it counts for nothing.
        slope = loss.gradient(relevance[train], score, query=query[train], empty="zero")
        weights -= 2.0 * features[train].T @ slope
    scores[loss.name] = features @ weights

ndcg = metrics.ndcg(k=5, empty="zero")
for name, score in scores.items():
    print(f"{name:20} NDCG@5 {ndcg(relevance[~train], score[~train], query=query[~train]):.3f}")
