"""Dealt versions are exchangeable, and packed ones are not: the measure tells the two apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_stream import SMALL, document, write

from repro.config.settings import StreamSettings
from repro.data.opening import open_stream
from repro.data.stream import Stream
from tests.alike import likeness, overlap

SHAPE = replace(SMALL, steps_per_version=150, heldout_blocks=60)


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stream]:
    """The same documents, each in words of its own, dealt block by block and cut in one piece after another."""
    place = tmp_path_factory.mktemp("alike")
    texts = {n: "\n\n".join(document(n + 100 * part) for part in range(3)) for n in range(30)}
    corpus = write(place / "corpus", texts)
    return {order: opened(corpus, replace(SHAPE, order=order), place) for order in ("dealt", "shuffled")}


def opened(corpus: object, settings: StreamSettings, place: Path) -> Stream:
    stream = open_stream(corpus, settings, place / "data")  # type: ignore[arg-type]
    assert isinstance(stream, Stream)
    return stream


def test_neighbours_in_a_dealt_stream_are_no_more_alike_than_others(streams: dict[str, Stream]) -> None:
    for version in (1, 2):
        assert likeness(streams["dealt"], version).excess < 4


def test_the_measure_sees_pieces_that_stay_together(streams: dict[str, Stream]) -> None:
    for version in (1, 2):
        found = likeness(streams["shuffled"], version)
        assert found.excess > 8
        assert found.near[0] > found.far + 0.1


def test_dealt_versions_have_as_much_in_common_with_held_out_text(streams: dict[str, Stream]) -> None:
    one, other = overlap(streams["dealt"])
    assert abs(one - other) < 0.02


def test_overlap_counts_a_version_that_holds_the_held_out_text(
    streams: dict[str, Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = streams["dealt"]
    before, held = overlap(stream), stream.heldout(1).blocks
    real = stream.blocks

    def leaked(ids: np.ndarray) -> np.ndarray:
        blocks = real(ids)
        if len(ids) and ids[0] == 0:  # version 1
            blocks[: len(held)] = held
        return blocks

    monkeypatch.setattr(stream, "blocks", leaked)
    after = overlap(stream)
    assert after[0] > before[0] + 0.3
    assert after[1] == before[1]
    so_far = overlap(stream, so_far=True)
    assert so_far[0] == after[0]
    assert so_far[0] <= so_far[1] <= after.sum()
