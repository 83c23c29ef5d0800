"""Types, keys, errors and rules that every layer shares.

Owns: the frozen dataclasses that layers hand to one another, the hash behind every key, the error
tree, and the pure reading of a trajectory. Knows no other package and no outside library.
"""
