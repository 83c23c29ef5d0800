"""What the loop is fed: arrays of pixels, batches, augmentation."""
