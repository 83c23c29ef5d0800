"""Networks: building, weights, freezing, splitting."""
