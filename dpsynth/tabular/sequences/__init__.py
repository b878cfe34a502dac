"""Whole people: rows of one unit in their order, each drawn given the one before it."""
