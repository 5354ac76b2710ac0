"""Losses of rows: formulas over an axis of classes, labels, features or list items."""
