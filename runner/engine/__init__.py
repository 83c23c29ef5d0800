"""Training in torch: devices, pixels, batches, the loop, checkpoints. Does the stage it is handed.

Plans nothing, knows no database: what it measures goes to the callbacks of its context.
"""
