"""Carrying out plans. To add an executor: one file here, and one line in EXECUTORS."""

from runner.execute.local import execute_locally

EXECUTORS = {"local": execute_locally}
