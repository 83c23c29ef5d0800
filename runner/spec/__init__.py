"""The YAML language: from files to cells.

Owns loading with file positions, merging, sweeps, validation, resolved settings, table declarations
and the JSON Schema. Imports no torch, reads no data set, knows no database.
"""
