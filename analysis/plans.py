"""What a scale's studies are planned with: `sweep` of conf/scale/NAME.yaml and conf/study/NAME.yaml say so alone.

A study is judged when all of its planned seeds are there, and all the values that it is planned to vary; and by these
seeds alone. Scales that list no seeds are judged as they are.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import pandas as pd
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from analysis.registries import STUDIES
from repro.common.errors import UserError
from repro.config import resolvers
from repro.config.places import CONF
from repro.planning import sweeps


def seeds(scale: str, study: str) -> tuple[int, ...]:
    """A study's planned seeds; empty: none are planned."""
    return tuple(int(value) for value in listed(scale, STUDIES[study].seeds)) if study in STUDIES else ()


@lru_cache
def listed(scale: str, entry: str) -> tuple[str, ...]:
    """The values of one entry of a scale's `sweep`; none where there is no such scale or entry."""
    path = CONF / "scale" / f"{scale}.yaml"
    if path not in (CONF / "scale").glob("*.yaml"):
        return ()
    value = OmegaConf.select(OmegaConf.load(path), f"sweep.{entry}")
    return tuple(str(value).split(",")) if value is not None else ()


@lru_cache
def values(scale: str, study: str, setting: str, column: str) -> tuple[str, ...]:
    """What a study is planned to vary a setting over, as a column of runs.csv has it; none where no seeds are."""
    if not seeds(scale, study):
        return ()
    resolvers.register()
    files = (CONF / "scale" / f"{scale}.yaml", CONF / "study" / f"{study}.yaml")
    whole = OmegaConf.merge(*map(OmegaConf.load, files))
    swept = str(OmegaConf.select(whole, "hydra.sweeper.params")[setting]).split(",")
    options = {value: CONF / setting / f"{value}.yaml" for value in swept}
    return tuple(
        str(OmegaConf.select(OmegaConf.load(path), column, default=value)) if path.exists() else value
        for value, path in options.items()
    )


@lru_cache
def rates(scale: str, schedule: str) -> Mapping[str, float]:
    """What a scale gives a schedule, by column of runs.csv; nothing where it is none of ours."""
    try:
        (settings,) = sweeps.compose([f"scale={scale}", f"schedule={schedule}"])
    except (UserError, HydraException, OmegaConfBaseException):
        return MappingProxyType({})
    given = settings.schedule
    return MappingProxyType({"max_lr": given.max_lr, "min_lr": given.floor_lr, "warmup_steps": given.warmup_steps})


def planned(rows: pd.DataFrame, scale: str) -> "pd.Series[bool]":
    """Which runs, by study, are of a planned seed; all of a study for which none are planned."""
    by_study = {study: seeds(scale, study) for study in set(rows["study"])}
    pairs = zip(rows["study"], rows["seed"], strict=True)
    return pd.Series([not by_study[study] or seed in by_study[study] for study, seed in pairs], rows.index, dtype=bool)
