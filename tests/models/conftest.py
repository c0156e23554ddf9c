"""Shared by the tests of models, none of which looks at the text."""

from collections.abc import Callable

import pytest


@pytest.fixture
def smoke(smoke: Callable[..., list[str]], few: list[str]) -> Callable[..., list[str]]:
    """Overrides of a run at scale smoke, on a few speeches."""
    return lambda *more: smoke(*few, *more)
