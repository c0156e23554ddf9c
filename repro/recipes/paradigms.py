"""Paradigms and two-stage recipes as trajectories: one for each version a run releases.

T is `stream.steps_per_version`. Version k's trajectory is the whole training that leads to it, from a random
initialization; what it shares with other trajectories is found by the plan, not stated here.

- ptfs: from scratch, one full cycle of k T steps over versions 1..k.
- cpt: k full cycles of T steps, one a version, each going on from the one before.
- path_switching: (k - alpha) T steps on the main path at the maximum, then a full cycle of alpha T steps.
- two_stage: a cycle cut at T steps, then another cut at T steps on the next version's data.
"""

from repro.common.errors import UserError
from repro.config.settings import ENDLESS, Settings, whole
from repro.recipes.schedules import Curve, constant, curve
from repro.recipes.trajectory import Order, Phase, Trajectory


def trajectories(settings: Settings, identity: str, numerics: str) -> list[Trajectory]:
    """The run's trajectories, version 1 first.

    Args:
        identity, numerics: canonical JSON, as `Trajectory` has them.

    Raises:
        UserError: a stage or a branch would not be a whole number of steps, or would begin within the warm-up.
    """
    kind = settings.paradigm.kind
    build = {"ptfs": _ptfs, "cpt": _cpt, "path_switching": _path_switching, "two_stage": _two_stage}[kind]
    last = 2 if kind == "two_stage" else settings.stream.versions
    result = []
    for version in range(1, last + 1):
        mixed = version if kind == "ptfs" and settings.paradigm.order == "mixed" else None
        order = Order(
            seed=settings.seed,
            batch_size=settings.stream.global_batch_size,
            mixed=None if mixed == 1 else mixed,
        )
        phases = tuple(build(settings, version))
        result.append(Trajectory(identity=identity, numerics=numerics, order=order, phases=phases))
    return result


def _ptfs(settings: Settings, version: int) -> list[Phase]:
    steps = version * settings.stream.steps_per_version
    return [Phase(steps=steps, curve=curve(settings.schedule, steps, warm=True))]


def _cpt(settings: Settings, version: int) -> list[Phase]:
    steps = settings.stream.steps_per_version
    reset = not settings.paradigm.carry_optimizer
    first = Phase(steps=steps, curve=curve(settings.schedule, steps, warm=True))
    update = Phase(steps=steps, curve=curve(settings.schedule, steps, warm=False), reset_optimizer=reset)
    return [first, *[update] * (version - 1)]


def _path_switching(settings: Settings, version: int) -> list[Phase]:
    steps = settings.stream.steps_per_version
    branch = whole("paradigm.alpha", settings.paradigm.alpha, steps, most=steps)
    trunk = version * steps - branch
    warmup = settings.schedule.warmup_steps
    if trunk == 0:
        return [Phase(steps=branch, curve=curve(settings.schedule, branch, warm=True))]
    if trunk < warmup:
        raise UserError(
            f"paradigm.alpha={settings.paradigm.alpha} makes version {version}'s branch leave the main path at step "
            f"{trunk}, within schedule.warmup_steps={warmup}; a warm-up of at most {trunk} steps, an alpha of at most "
            f"{1 - warmup / steps:g}, or alpha=1 works."
        )
    reset = not settings.paradigm.carry_optimizer
    return [
        Phase(steps=trunk, curve=constant(settings.schedule, warm=True)),
        Phase(steps=branch, curve=curve(settings.schedule, branch, warm=False), reset_optimizer=reset),
    ]


def _two_stage(settings: Settings, version: int) -> list[Phase]:
    steps = settings.stream.steps_per_version
    first = Phase(steps=steps, curve=_stage(settings, "first_cycle", warm=True))
    second = Phase(
        steps=steps,
        curve=_stage(settings, "second_cycle", warm=False),
        reset_optimizer=not settings.paradigm.carry_optimizer,
    )
    return [first, second][:version]


def _stage(settings: Settings, name: str, *, warm: bool) -> Curve:
    cycle = getattr(settings.paradigm, name)
    if cycle == ENDLESS:
        return constant(settings.schedule, warm=warm)
    return curve(settings.schedule, whole(f"paradigm.{name}", cycle, settings.stream.steps_per_version), warm=warm)
