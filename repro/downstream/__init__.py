"""Fine-tuning and lm-eval."""
