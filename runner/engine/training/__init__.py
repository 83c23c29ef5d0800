"""Training: the loop, checkpoints, resuming, which weights stay."""
