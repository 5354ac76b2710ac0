"""What boosting libraries need of a loss, and what all of them get wrong when it is hand-written:
gradient and curvature at the host's own scale, weights, start scores, metrics, the way back.
"""
