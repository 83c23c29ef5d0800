"""Declarative image-classification experiments: a YAML spec becomes a grid and a table.

The verbs of the command line are functions of :mod:`runner.api`, for notebooks.
"""

__version__ = "0.1.0"
