"""Solvers, one file each: frozen options, what the solver needs, and a generator `solve`."""
