"""Figures: curves, metrics against a setting, pages of pictures."""
