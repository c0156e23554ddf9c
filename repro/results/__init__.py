"""What is known, as plain tables."""
