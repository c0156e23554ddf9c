"""What a process of any command does first."""

import gc

from repro.common import output


def begin() -> None:
    """Secure what is printed, and look for garbage seldom: importing torch and transformers makes a million objects
    that stay, and looking through them at Python's usual pace takes a fifth of that time."""
    output.secure()
    gc.set_threshold(20_000, 20, 20)
