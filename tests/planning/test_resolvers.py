"""What configurations compute, and what a study sweeps of some of its recipes alone."""

import pytest

from repro.common.errors import UserError
from repro.config.resolvers import entry, names, tenth
from repro.planning import sweeps


def test_a_tenth_is_whole_or_refused() -> None:
    assert tenth(1550) == 155
    assert tenth([1400, 2800, 700]) == 140
    for steps in (1555, "auto"):
        with pytest.raises(UserError, match=rf"stream\.steps_per_version={steps}.*a multiple of 10 works"):
            tenth(steps)


def test_a_table_gives_its_names_and_numbers() -> None:
    table = "0.4b=3130, 1.2b=10000"
    assert names(table) == "0.4b,1.2b"
    assert entry(table, "1.2b") == 10000
    with pytest.raises(UserError, match=r"2\.1b is not in the table .* it has 0\.4b, 1\.2b"):
        entry(table, "2.1b")
    with pytest.raises(UserError, match="one looks like a=1,b=2"):
        names("0.4b 3130")


def test_a_warm_up_follows_each_t() -> None:
    runs = sweeps.compose(["study=data_scale", "scale=quick"])
    assert {(s.stream.steps_per_version, s.schedule.warmup_steps) for s in runs} == {(200, 20), (400, 40), (800, 80)}
    with pytest.raises(UserError, match="a multiple of 10 works"):
        sweeps.compose(["study=data_scale", "scale=quick", "stream.steps_per_version=205"])


def test_what_a_study_sweeps_of_other_recipes_does_not_stand_in_a_recipes_way() -> None:
    assert {s.paradigm.kind for s in sweeps.compose(["study=main", "scale=smoke", "paradigm=cpt"])} == {"cpt"}
    with pytest.raises(UserError, match=r"paradigm\.branch is a setting of .*path_switching"):
        sweeps.compose(["study=main", "scale=smoke", "paradigm=cpt", "paradigm.branch=decay"])


def test_replay_is_swept_past_ptfs_which_reads_all_data() -> None:
    runs = sweeps.compose(["study=chronological", "scale=smoke"])
    found = [(s.paradigm.kind, s.paradigm.replay) for s in runs]
    assert found == [("ptfs", "0"), *((kind, r) for kind in ("cpt", "path_switching") for r in ("0", "0.25"))]
    assert {s.stream.order for s in runs} == {"chronological"}


def test_the_published_scale_has_ptfs_in_both_orders_and_quick_has_it_mixed() -> None:
    for scale, orders, curves in (("proxy", {"mixed", "arrival"}, 2), ("quick", {"mixed"}, 1)):
        runs = [s for s in sweeps.compose(["study=headline", f"scale={scale}"]) if s.paradigm.kind == "ptfs"]
        assert {s.paradigm.order for s in runs} == orders
        assert len({s.paradigm.curve for s in runs}) == curves
