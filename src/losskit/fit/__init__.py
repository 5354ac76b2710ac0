"""Minimising mean loss + penalty over linear models: sources of data, solvers, paths, estimators.

`fitting.fit` is where a fit starts; `kernels` says what a pass over data computes, `problem` what a
solver sees, `certificate` what `tol` means, and `solvers` has one file for each method.
"""
