"""The stages: one module for each kind of work."""
