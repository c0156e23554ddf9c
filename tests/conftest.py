"""Shared by all tests: one cache of prepared data, one thread per process, no hub."""

import contextlib
import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

ROOT = Path(__file__).resolve().parent.parent

with contextlib.suppress(ImportError):  # a machine with a GPU needs none of it
    import hypothesis

    # No test is timed: on a machine that does something else, any takes long.
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """Nearly a million objects are imported by now, and stay: looking through them for garbage again and again takes a
    fifteenth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed goes to a file, whatever terminal the tests were started from."""
    for name in ("COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all processes of one test session."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def once(shared: Path) -> Callable[[str, Callable[[Path], object]], Path]:
    """Makes a folder that many tests read, and none changes, in whichever process asks for it first."""
    from repro.common.locks import held  # after the environment was set

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        there = shared / name
        with held(shared / f"{name}.lock"):
            if not there.exists():
                make(shared / f"{name}.partial")
                (shared / f"{name}.partial").rename(there)
        return there

    return folder


@pytest.fixture(scope="session")
def data_path(shared: Path) -> Path:
    """Prepared streams (preparing takes a lock)."""
    return shared / "data"


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides of the first speeches alone: tests with streams of their own prepare them in a moment."""
    from repro.data.corpora.sotu import speeches  # after the environment was set

    path = tmp_path_factory.mktemp("corpus") / "speeches.jsonl"
    lines = (json.dumps({"text": each.text, "date": each.date}) for each in islice(speeches(), 24))
    path.write_text("\n".join(lines))
    return ["corpus=local", f"corpus.path={path}"]


@pytest.fixture
def undrawn() -> Iterator[set[str]]:
    """Reports whose figures' files are empty.

    Yields:
        Names of figures that are drawn all the same: none yet.
    """
    from undrawn import left_empty  # after the environment was set

    drawn: set[str] = set()
    with left_empty(drawn):
        yield drawn


@pytest.fixture
def smoke(tmp_path: Path, data_path: Path) -> Callable[..., list[str]]:
    """Overrides of a run at scale smoke with a store of its own."""

    def overrides(*more: str) -> list[str]:
        if "numerics.compile=true" in more and shutil.which(os.environ.get("CXX", "g++")) is None:
            pytest.skip("compiling needs a C++ compiler")
        return [
            "scale=smoke",
            f"store.path={tmp_path / 'store'}",
            f"data.path={data_path}",
            f"ledger.path={tmp_path / 'ledger'}",
            *more,
        ]

    return overrides
