"""Figures declared in a spec: their kinds, settings and checks. Draws nothing."""
