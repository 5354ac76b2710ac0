"""Minimising mean loss + penalty over linear models.

`fitting.fit` is where a fit starts. `data` holds sources and says what a pass over them computes,
`objective` what is minimised and how near its minimum a point is, `solvers` one file for each
method, `inputs` what makes users' tables and targets numbers, `estimators` what scikit-learn knows,
`files` how a model is kept.
"""
