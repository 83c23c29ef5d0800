"""A recorded run as a plain PyTorch script: which settings one can be written for, and its text."""
