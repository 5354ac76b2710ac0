"""What formulas become: one file per backend, none of which imports another."""
