"""Losses of ranked lists: combinators that make them of other losses, and how they are computed."""
