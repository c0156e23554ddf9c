"""Workers and the training loop."""
