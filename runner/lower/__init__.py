"""From runs to naive stages: effective values per epoch, keys, one chain per run.

Owns every key below the run. Imports no torch and decides nothing about sharing: that is planning.
"""
