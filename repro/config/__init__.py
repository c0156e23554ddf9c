"""Settings: their schema, and from a command line to them."""
