"""A stop that comes by itself."""

import threading


class StopAfter(threading.Event):
    """An event that is set from the n-th look at it on: a look a step."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0
