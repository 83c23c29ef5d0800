"""Specs on their data and networks: what is bound, checked, estimated and planned."""
