"""Deliberate faults, each of which some law must find."""
