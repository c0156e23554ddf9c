"""How many versions there are and how long they are: what is `auto` of a stream, resolved to whole numbers before
anything is planned."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from repro.common.errors import UserError
from repro.config import checks
from repro.config.settings import AUTO, Settings
from repro.data.opening import open_stream
from repro.recipes.recipe import recipe


def resolved(sweep: Sequence[Settings]) -> list[Settings]:
    """The settings with numbers of versions and of steps. Runs that share their text share them: each version's data
    once, rounded down to a multiple that every recipe of the sweep finds whole.

    Raises:
        UserError: a version has less than that; or as `repro.data.opening.open_stream`.
    """
    groups: dict[object, list[Settings]] = {}
    sweep = [counted(settings) for settings in sweep]
    for settings in sweep:
        if settings.stream.steps_per_version == AUTO:
            groups.setdefault(_text(settings), []).append(settings)
    lengths = {text: _lengths(members) for text, members in groups.items()}
    result = []
    for settings in sweep:
        if settings.stream.steps_per_version == AUTO:
            steps = lengths[_text(settings)]
            settings = replace(settings, stream=replace(settings.stream, steps_per_version=steps))
            checks.check(settings)
        result.append(settings)
    return result


def counted(settings: Settings) -> Settings:
    """The settings with a number of versions; raises as `resolved` does."""
    if settings.stream.versions != AUTO:
        return settings
    stream = open_stream(settings.corpus, settings.stream, Path(settings.data.path))
    settings = replace(settings, stream=replace(settings.stream, versions=stream.versions))
    checks.check(settings)
    return settings


def answers(planned: Settings, asked: Settings) -> bool:
    """Whether a planned run is what a job was asked for, whose lengths and numerics may not be resolved."""
    unresolved: dict[str, Any] = {
        name: AUTO for name in ("versions", "steps_per_version") if getattr(asked.stream, name) == AUTO
    }
    choices: dict[str, Any] = {name: AUTO for name in ("matmul", "compile") if getattr(asked.numerics, name) == AUTO}
    planned = replace(planned, numerics=replace(planned.numerics, **choices))
    return replace(planned, stream=replace(planned.stream, **unresolved)) == asked


def _text(settings: Settings) -> object:
    return settings.corpus, settings.stream, settings.data.path


def _lengths(members: Sequence[Settings]) -> tuple[int, ...]:
    first = members[0]
    multiple = math.lcm(*(recipe(settings).step_multiple(settings) for settings in members))
    stream = open_stream(first.corpus, first.stream, Path(first.data.path))
    most = [blocks // first.stream.global_batch_size for blocks in stream.version_blocks]
    steps = tuple(each // multiple * multiple for each in most)
    if min(steps) == 0:
        version = steps.index(0) + 1
        size = min(stream.train_tokens) // first.stream.sequence_length // multiple
        batch = f"stream.global_batch_size={size}" if size else "a shorter stream.sequence_length"
        raise UserError(
            f"stream.steps_per_version={AUTO}: version {version} has data for {most[version - 1]} steps, and the "
            f"shares of this sweep's recipes and schedules are whole for multiples of {multiple}. More text, {batch}, "
            "or rounder shares work.",
            works={"stream.global_batch_size": str(size)} if size else {},
        )
    return steps
