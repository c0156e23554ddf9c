"""What a training run is: learning rate and batch by step. Pure, without torch."""
