"""Augmentations: what a spec may name, and the image operations that they are made of."""
