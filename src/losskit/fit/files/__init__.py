"""Models in files: the archive, and what an estimator puts into it."""
