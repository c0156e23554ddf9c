"""What is made once for the jobs of a sweep is what each of them would make."""

import pytest
from omegaconf import DictConfig, OmegaConf

from repro.config import resolvers
from repro.config.parts import parts, unchanged
from repro.planning.sweeps import compose

resolvers.register()


def config() -> DictConfig:
    return OmegaConf.create(
        {
            "seed": 1,
            "store": {"path": "s"},
            "stream": {"split_seed": "${seed}", "steps": 20},
            "schedule": {"warmup": "${tenth:${stream.steps}}"},
            "tracker": {"path": "${store.path}/t"},
            "sweep": {"seeds": "${sweep.few}", "few": "1,2", "stream": "${stream}"},
            "numerics": {"world": "${oc.env:WORLD_SIZE,1}"},
            "corpus": {"path": "???"},
            "named": {"by": "${stream.${sweep.key}}"},
            "beside": {"of": "${.other}", "other": 1},
        }
    )


@pytest.mark.parametrize(
    ("changed", "made_again"),
    [
        ("seed", {"seed", "stream", "sweep"}),
        ("stream.steps", {"stream", "schedule", "sweep"}),
        ("stream", {"stream", "schedule", "sweep"}),
        ("store.path", {"store", "tracker"}),
        ("sweep.few", {"sweep"}),
        ("schedule.other", {"schedule"}),
    ],
)
def test_a_part_is_made_again_if_anything_it_takes_a_value_from_changes(changed: str, made_again: set[str]) -> None:
    known = parts(config())
    assert set(known) - set(unchanged(known, [changed])) == made_again
    assert unchanged(known, [])["tracker"] == {"path": "s/t"}


def test_what_follows_from_more_than_settings_or_lacks_a_value_is_made_each_time() -> None:
    assert set(config()) - set(parts(config())) == {"numerics", "corpus", "named", "beside"}


def test_the_environment_is_asked_for_each_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ("1", "2"):
        monkeypatch.setenv("WORLD_SIZE", size)
        (one,) = compose(["scale=smoke", "numerics.parallel=ddp"])
        assert one.numerics.world_size == int(size)


def test_a_setting_that_follows_the_seed_does_so_in_each_job_of_a_sweep() -> None:
    sweep = compose(["scale=proxy", "seed=3,4,3"], multirun=True)
    assert [(each.seed, each.stream.split_seed) for each in sweep] == [(3, 3), (4, 4)]
