"""Text that changes between a plan and its workers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from dumps import text

from repro.common.errors import UserError
from repro.launching import job
from repro.planning import frozen, planner, runs, sweeps
from repro.store.store import Store

Overrides = Callable[..., list[str]]


def test_a_worker_refuses_other_text_than_the_plan_was_made_with(smoke: Overrides, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for number in range(60):
        (tmp_path / "texts" / f"{number}.txt").write_text(text(1, number))
    given = smoke("corpus=local", f"corpus.path={tmp_path / 'texts'}", "stream.steps_per_version=5", "paradigm=cpt")
    plan = planner.make(sweeps.compose([*given, "schedule.warmup_steps=1"]))
    store = Store(tmp_path / "store")
    name = frozen.freeze(plan, store)
    (run,) = plan.tree.runs
    asked = replace(run.settings, frozen_plan=name)
    job.forget_latest()
    assert job._opened(asked)[1].nodes.keys() == plan.tree.nodes.keys()

    (tmp_path / "texts" / "0.txt").write_text(text(2, 0))
    runs._stream.cache_clear()  # as in another process
    job.forget_latest()
    with pytest.raises(UserError) as refusal:
        job._opened(asked)
    said = str(refusal.value)
    assert run.stream.fingerprint in said
    assert "has changed since" in said
    assert run.stream.fingerprint != runs.run(run.settings).stream.fingerprint in said
    assert not store.steps()


def test_a_store_among_the_texts_is_none_of_them_from_its_plan_on(smoke: Overrides, tmp_path: Path) -> None:
    """`corpus.path=.` with places as they are by default: stopped before any checkpoint, it goes on."""
    for number in range(60):
        (tmp_path / f"{number}.txt").write_text(text(1, number))
    given = smoke("corpus=local", f"corpus.path={tmp_path}", "stream.steps_per_version=5", "paradigm=cpt")
    given += ["schedule.warmup_steps=1", f"data.path={tmp_path / 'data'}"]
    store = Store(tmp_path / "store")
    name = frozen.freeze(planner.make(sweeps.compose(given)), store)
    assert not store.steps()
    runs._stream.cache_clear()  # as in another process
    assert frozen.freeze(planner.make(sweeps.compose(given)), store) == name
