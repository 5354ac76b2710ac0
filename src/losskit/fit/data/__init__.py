"""Where data are and what a pass over them computes: designs, sources, kernels."""
