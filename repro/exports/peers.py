"""The same learning rates by the settings of others: Megatron-LM, OLMo-core, transformers.

Their schedulers know one warm-up, one maximum and one decay, and count steps in ways of their own:

- here, and in OLMo-core, a step's rate is that at its end: warm-up reaches the maximum with its last step, a decay its
  minimum with its last one (OLMo-core counts steps from 1);
- Megatron-LM and transformers take the rate at a step's beginning, so that their first step has that of warm-up's
  start. Settings one step shorter make up for it.

What is written here is computed as they compute it and compared with the curve step by step: settings that would give
another curve are given with the difference, or not at all. Looked at: Megatron-LM core 0.20
(megatron/core/optimizer_param_scheduler.py), OLMo-core 2.5 (src/olmo_core/optim/scheduler.py); transformers' is called.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.recipes.trajectory import Phase

Rates = NDArray[np.float64]
Fall = Callable[[float], float]
"""From the share of a decay that is done to the share of its height that is left."""

LINEAR: Fall = lambda done: 1 - done  # noqa: E731
COSINE: Fall = lambda done: (1 + math.cos(math.pi * done)) / 2  # noqa: E731
SQRT: Fall = lambda done: 1 - math.sqrt(done)  # noqa: E731

SAME = 1e-12
"""Largest difference, as a share of the maximum, that is rounding."""


@dataclass(frozen=True)
class Cycle:
    """The maximum, and one decay from it."""

    start: int
    """Steps are counted from the initialization."""
    warmup: int
    high: float
    low: float
    held: int
    """The first step that decays."""
    end: int
    """Where it has reached the minimum; training may stop earlier."""
    decays: bool = True

    @property
    def decay(self) -> int:
        return self.end - self.held


@dataclass(frozen=True)
class Peer:
    """One of the others."""

    name: str
    settings: str | None
    """None: it has none for this curve."""
    note: str
    """How its curve relates to ours."""

    @property
    def line(self) -> str:
        return f"{self.name}: {self.settings or 'no settings of its own give this curve'}\n  {self.note}"


def cycles(phases: Sequence[Phase]) -> list[Cycle] | None:
    """A trajectory as warm-up and decays; None where it is something else (warmed up again, cut in between, ...)."""
    found: list[Cycle] = []
    position = start = warmup = 0
    high = None
    for phase in phases:
        curve, begins = phase.curve, position - phase.skip
        stop = position + phase.steps
        if curve.warmup > phase.skip:
            if position or curve.warm_from:
                return None
            warmup = curve.warmup
        if high not in (None, curve.high) or (found and found[-1].end > position):
            return None
        high = curve.high
        if curve.held is not None and begins + curve.held < stop:
            if begins + curve.held < position:
                return None
            end = begins + curve.cycle
            found.append(Cycle(start, 0 if found else warmup, high, curve.low, begins + curve.held, end))
            start, high = stop, None
            if end < stop:
                return None
        position = stop
    if start < position:
        if found:
            return None
        found.append(Cycle(0, warmup, high or 0.0, high or 0.0, position, position, decays=False))
    return found


def peers(phases: Sequence[Phase], rates: Rates) -> list[Peer]:
    """What each of the others needs for the same curve.

    Args:
        rates: (steps,) that the phases give.
    """
    parts = cycles(phases)
    if parts is None:
        why = "the curve is none of one warm-up, one maximum and decays from it; take the table."
        return [Peer(name, None, why) for name in ("Megatron-LM", "OLMo-core", "transformers")]
    if len(parts) > 1:
        why = f"it knows one decay, and here are {len(parts)}; take the table."
        several = Peer("OLMo-core", None, "its WSDS knows decays of one length from one maximum; take the table.")
        if _regular(parts):
            several = _wsds(parts, rates)
        return [Peer("Megatron-LM", None, why), several, Peer("transformers", None, why)]
    (cycle,) = parts
    every = {"Megatron-LM": megatron, "OLMo-core": olmo, "transformers": transformers}
    return [_closest(name, candidates(cycle, len(rates)), rates, cycle) for name, candidates in every.items()]


def _closest(name: str, candidates: Iterator[tuple[str, Rates]], ours: Rates, cycle: Cycle) -> Peer:
    # A warm-up that no setting gives must not hide which decay is the right one.
    decay, whole = slice(cycle.warmup, None), slice(None)
    settings, theirs = min(
        candidates,
        key=lambda each: [float(np.abs(each[1] - ours)[part].max(initial=0.0)) for part in (decay, whole)],
    )
    return _compared(name, settings, theirs, ours, cycle)


def _compared(name: str, settings: str, theirs: Rates, ours: Rates, cycle: Cycle) -> Peer:
    gaps = np.abs(theirs - ours)
    if gaps.max() <= SAME * cycle.high:
        return Peer(name, settings, "the same curve, to roundings.")
    worst = int(gaps.argmax())
    gap = f"{gaps[worst]:.3g} at step {worst} ({theirs[worst]:.6g} for {ours[worst]:.6g})"
    if gaps[cycle.warmup :].max(initial=0.0) <= SAME * cycle.high:
        return Peer(
            name, settings, f"another warm-up: the largest difference is {gap}; from step {cycle.warmup} on equal."
        )
    return Peer(name, None, f"its closest differs by up to {gap}; take the table.")


def megatron(cycle: Cycle, steps: int) -> Iterator[tuple[str, Rates]]:
    """Megatron-LM's settings for each of its decays, with the rates that they give."""
    high, low, warmup = cycle.high, cycle.low, max(cycle.warmup - 1, 0)
    first = high / max(cycle.warmup, 1)
    base = f"--lr {high!r} --lr-warmup-iters {warmup}" + (f" --lr-warmup-init {first!r}" if warmup else "")
    base += f" --train-iters {steps}"
    if not cycle.decays:
        yield (
            f"{base} --lr-decay-style constant",
            _by_step(steps, lambda step: first + (high - first) * step / warmup if step < warmup else high),
        )
        return
    # Its steps are counted at their beginning: the decay ends one step before the cycle does.
    begins, ends = cycle.held - 1, cycle.end - 1
    styles: dict[str, Fall] = {
        "linear": LINEAR,
        "cosine": COSINE,
        "minus_sqrt": SQRT,
        "exponential": lambda done: 2 * 0.5**done - 1,
    }
    for style, fall in styles.items():

        def rate(step: int, fall: Fall = fall) -> float:
            if step < warmup:
                return first + (high - first) * step / warmup
            if step <= begins:
                return high
            return low + (high - low) * fall((step - begins) / cycle.decay) if step <= ends else low

        yield (
            f"{base} --min-lr {low!r} --lr-decay-style WSD --lr-wsd-decay-style {style} "
            f"--lr-wsd-decay-iters {cycle.decay} --lr-decay-iters {ends}",
            _by_step(steps, rate),
        )


def olmo(cycle: Cycle, steps: int) -> Iterator[tuple[str, Rates]]:
    """OLMo-core's schedulers, with the rates that they give; the optimizer's lr is the maximum."""
    high, low, warmup = cycle.high, cycle.low, cycle.warmup
    start = f"lr={high!r}, scheduler="
    if not cycle.decays:
        yield f"{start}ConstantWithWarmup(warmup={warmup})", _by_step(steps, lambda step: _warm(cycle, step))
        return
    last = "" if cycle.end == steps else f", with max_steps={cycle.end} and a hard stop at {steps}"
    line = f"{start}WSD(warmup={warmup}, decay={cycle.decay}, decay_fraction=None, decay_min_lr={low!r}){last}"
    yield line, _by_step(steps, lambda step: _falling(cycle, step, LINEAR))
    cosine = f"CosWithWarmup(warmup={warmup}, alpha_f={low / high!r}, t_max={cycle.end})"
    if cycle.held > warmup:
        cosine = (
            f"SequentialScheduler(schedulers=[ConstantWithWarmup(warmup={warmup}), CosWithWarmup(warmup=0, "
            f"alpha_f={low / high!r}, t_max={cycle.decay})], schedulers_max=[{cycle.held}])"
        )
    yield f"{start}{cosine}", _by_step(steps, lambda step: _falling(cycle, step, COSINE))


def _wsds(parts: Sequence[Cycle], rates: Rates) -> Peer:
    """OLMo-core's WSD-S, for decays of one length from one maximum, all linear."""
    first = parts[0]
    lengths = [part.end - part.start for part in parts]
    settings = (
        f"lr={first.high!r}, scheduler=WSDS(period_lengths={lengths}, warmup={first.warmup}, decay={first.decay}, "
        f"decay_min_lr={first.low!r})"
    )
    theirs = np.concatenate([[_falling(part, step, LINEAR) for step in range(part.start, part.end)] for part in parts])[
        : len(rates)
    ]
    return _compared("OLMo-core", settings, theirs, rates, first)


def transformers(cycle: Cycle, steps: int) -> Iterator[tuple[str, Rates]]:
    """transformers' settings for each of its decays, with the rates that its own scheduler gives."""
    high, warmup = cycle.high, max(cycle.warmup - 1, 0)
    arguments: dict[str, Any] = {
        "num_stable_steps": cycle.held - 1 - warmup,
        "num_decay_steps": cycle.decay,
        "min_lr_ratio": cycle.low / high,
    }
    if not cycle.decays:
        # Its warm-up begins at the minimum; a minimum that is never reached otherwise makes it begin as ours does.
        arguments = {"num_stable_steps": steps, "num_decay_steps": 0, "min_lr_ratio": 1 / max(cycle.warmup, 1)}
    for decay_type in ("linear", "cosine", "1-sqrt"):
        given = arguments | {"decay_type": decay_type}
        line = (
            f"TrainingArguments(learning_rate={high!r}, max_steps={steps}, warmup_steps={warmup}, "
            f'lr_scheduler_type="warmup_stable_decay", lr_scheduler_kwargs={given})'
        )
        yield line, high * transformers_factors(warmup, given, steps)


def transformers_factors(warmup: int, arguments: dict[str, Any], steps: int) -> Rates:
    """(steps,): what transformers' `get_wsd_schedule` multiplies the maximum with."""
    import torch
    from transformers import get_wsd_schedule

    unused = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    (factor,) = get_wsd_schedule(unused, num_warmup_steps=warmup, **arguments).lr_lambdas
    return _by_step(steps, factor)


def _warm(cycle: Cycle, step: int) -> float:
    return cycle.high * (step + 1) / cycle.warmup if step < cycle.warmup else cycle.high


def _falling(cycle: Cycle, step: int, fall: Fall) -> float:
    if step < cycle.held:
        return _warm(cycle, step)
    return cycle.low + (cycle.high - cycle.low) * fall(min(1.0, (step + 1 - cycle.held) / cycle.decay))


def _regular(parts: Sequence[Cycle]) -> bool:
    """Whether all are as the first: its maximum, minimum and length of decay."""
    first = parts[0]
    return all((each.high, each.low, each.decay) == (first.high, first.low, first.decay) for each in parts)


def _by_step(steps: int, rate: Callable[[int], float]) -> Rates:
    return np.array([rate(step) for step in range(steps)], dtype=np.float64)
