"""Other tools that show experiments, and get what is recorded: one module for each.

To add one: a module with a :class:`~runner.report.trackers.tracker.Tracker`, and a line in
``TRACKERS`` in `kinds.py`.
"""
