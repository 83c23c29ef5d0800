"""Declared tables: columns, formulas, pivots, and their checks."""
