"""The recipes that are asked about: planned over stand-ins for data, priced, and with the curves that laws need."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib.util import find_spec

import numpy as np

from repro.advice.laws import RateCurve, since
from repro.advice.question import Question
from repro.common import progress
from repro.common.errors import UserError
from repro.config.exact import fraction
from repro.config.registries import RECIPES
from repro.config.settings import GROWING, Settings
from repro.data.corpora.corpus import corpus
from repro.data.stream import VirtualStream
from repro.models.architectures.architecture import architecture
from repro.planning import choices, prices, sweeps
from repro.planning.arguments import CommandLine
from repro.planning.runs import Run
from repro.planning.tree import merge
from repro.recipes.orders import Mixed
from repro.recipes.recipe import recipe
from repro.recipes.schedules import schedule
from repro.recipes.trajectory import Derived
from repro.results.columns import settings_of, settings_text
from repro.results.rows import shared_optimizer
from repro.store.store import Store

CHOOSES = ("paradigm", "study", "-m", "--multirun")
"""What says which recipes are asked about; without, all are, under every schedule that the ledger has."""

APART = {"max_lr": "rate", "min_lr": "floor", "warmup_steps": "warm-up", "carry_optimizer": "carried optimizer"}
"""In which of the ledger's columns candidates of one recipe and schedule may differ, and what they are called."""


@dataclass(frozen=True)
class Candidate:
    """A recipe under one schedule, planned for the releases that are asked about."""

    run: Run
    parameters: int | None = None
    """Of the model that is asked about; None: of the run's own."""
    apart: str = ""
    """What tells it from others that are asked about, besides its recipe and its schedule."""

    @property
    def weight(self) -> float:
        """What a step of the model that is asked about takes, in steps of the run's own: as their parameters are."""
        return 1.0 if self.parameters is None else self.parameters / self.run.parameters

    @property
    def about(self) -> dict[str, str]:
        """As the ledger's columns say it; see `evidence.CELL`."""
        r, s = self.run, self.run.settings
        own = recipe(s).own_settings | schedule(s).own_settings
        values = {
            "paradigm": s.paradigm.kind,
            "schedule": s.schedule.kind,
            "settings": settings_text(own),
            "carry_optimizer": s.paradigm.carry_optimizer or not recipe(s).carries,
            "max_lr": s.schedule.max_lr,
            "min_lr": s.schedule.floor_lr,
            "warmup_steps": s.schedule.warmup_steps,
            "size": architecture(s.model).size,
            "parameters": r.parameters if self.parameters is None else self.parameters,
            "steps_per_version": s.stream.steps_label,
            "versions": r.versions,
            "corpus": corpus(s.corpus).name,
            "stream": s.stream.order,
            "tokens_per_step": r.step_tokens,
            "architecture": s.model.architecture,
            "optimizer": shared_optimizer(s).described,
        }
        return {name: str(value) for name, value in values.items()}

    @property
    def name(self) -> str:
        """For people: the recipe with its settings, its schedule, and what else tells it apart."""
        s = self.run.settings
        own = [f"{name.removeprefix('schedule.')} {value}" for name, value in schedule(s).own_settings.items()]
        return f"{', '.join([self.recipe, s.schedule.kind, *own])}{self.apart}"

    @property
    def recipe(self) -> str:
        """For people: the recipe with its settings."""
        return recipe(self.run.settings).run_name

    @property
    def label(self) -> str:
        return recipe(self.run.settings).label

    @property
    def decays(self) -> bool:
        return recipe(self.run.settings).decays

    @property
    def retrains(self) -> bool:
        """Whether it is what others are compared with."""
        return recipe(self.run.settings).retrains

    @property
    def own_optimizer(self) -> bool:
        """Whether its recipe brings one."""
        return recipe(self.run.settings).shared(self.run.settings) != self.run.settings

    @cached_property
    def unpredicted(self) -> str:
        """Why laws of the learning rate say nothing of it; empty: they do."""
        if any(isinstance(product, Derived) for product in self.run.products):
            return "its versions are means of checkpoints, and the laws speak of single ones"
        if self.own_optimizer:
            return "it has an optimizer of its own, and the laws were fitted to another"
        if any(product.training.start is not None for product in self.run.products):
            return "it starts from derived weights"
        if not recipe(self.run.settings).lawful:
            return "the laws speak of one model trained from a random start, and its recipe is more than that"
        if isinstance(self.run.trajectories[-1].order, Mixed) and not recipe(self.run.settings).mixes:
            return "it reads old and new data together, and its recipe does not say so (mixes)"
        return ""

    def curves(self, parameters: int) -> list[RateCurve]:
        """Of every version."""
        s = self.run.settings
        replay = float(fraction("paradigm.replay", s.paradigm.replay))
        return [
            RateCurve(
                np.asarray(trajectory.learning_rates),
                parameters,
                since(trajectory.learning_rates, self.run.releases.steps, number, recipe(s).mixes),
                replay,
            )
            for number, trajectory in enumerate(self.run.trajectories, start=1)
        ]

    @cached_property
    def steps(self) -> int:
        """What all releases together take."""
        return merge([self.run]).run_steps(0)

    @cached_property
    def cost(self) -> float:
        """The same, over pre-training every version from scratch."""
        return self.steps / sum(self.run.scratch_steps)

    @cached_property
    def next(self) -> prices.Price | None:
        """One more release; None where the settings do not allow one."""
        try:
            return prices.next_release(self.run)
        except UserError:
            return None

    @cached_property
    def kept_gb(self) -> float:
        """Checkpoints to keep for the next release."""
        try:
            needed = prices.needed_next(self.run)
        except UserError:
            return float("nan")
        return sum(node.bytes for node in needed) * self.weight / 1e9


def asked(line: CommandLine, question: Question, known: Sequence[str]) -> tuple[list[Candidate], dict[str, str]]:
    """The recipes of a command line, or all; and for those that do not fit the question, why not.

    Args:
        known: schedules that the ledger has, for a command line that names neither recipes nor a schedule.

    Raises:
        UserError: as `sweeps.compose`; or they are of several models, corpora or scales.
    """
    words = line.words()
    settings = line.settings()
    refused: dict[str, str] = {}
    if not any(word.partition("=")[0].partition(".")[0] in CHOOSES for word in words):
        own = settings[0].schedule.kind  # first: what others are compared with is under it
        if not any(word.partition("=")[0] == "schedule" for word in words):
            words = [*words, f"schedule={','.join(dict.fromkeys([own, *known]))}"]
        others = [name for name, each in RECIPES.items() if not getattr(each, "asked", True)]
        needs = {name: getattr(each, "packages", ()) for name, each in RECIPES.items()}
        lacking = {name: needed for name, needed in needs.items() if not all(map(find_spec, needed))}
        refused |= {name: f"it needs packages: pip install {' '.join(needed)}" for name, needed in lacking.items()}
        every = [(f"paradigm={name}",) for name in sorted(RECIPES) if name not in (*others, *lacking)]
        settings = []
        for chosen in (*every, ("paradigm=ptfs", "paradigm.order=arrival"), ("study=alpha",)):
            try:
                settings += sweeps.compose([*words, *chosen], multirun=True)
            except UserError as error:  # of another optimizer's, for one
                refused[chosen[0].partition("=")[2]] = str(error)
        if not settings:
            raise UserError("\n".join(dict.fromkeys(refused.values())))
    first = settings[0]
    # Chance is no part of a question: the seed, and the cut of the text that may follow it.
    cut = first.stream.split_seed
    settings = [
        replace(s, seed=first.seed, data_seed=None, study=None, stream=replace(s.stream, split_seed=cut))
        for s in settings
    ]
    # A recipe that brings an optimizer of its own says nothing of what the others have.
    plain = [each for each in settings if recipe(each).shared(each) == each]
    for group in ("model", "corpus", "stream", "scale", "optimizer"):
        values = [getattr(each, group) for each in (plain if group == "optimizer" else settings)]
        if any(value != values[0] for value in values):
            raise UserError(f"advice is on one {group} at a time, and the sweep has several; give {group} once.")
    unlike: list[Settings] = []
    for each in settings:
        if each not in unlike:
            unlike.append(each)
    found: list[Candidate] = []
    with progress.steps("Planning recipes", len(unlike)) as done:
        for one in unlike:
            try:
                candidate = Candidate(planned(one, question), question.parameters)
                if candidate.run.versions != candidate.run.settings.stream.versions:
                    raise UserError(f"{one.paradigm.kind} releases {candidate.run.versions} versions, whatever N is.")
                if all(candidate.about != other.about for other in found):
                    _ = candidate.steps
                    found.append(candidate)
            except UserError as error:
                refused[recipe(one).run_name] = str(error)
            done()
    if not found:
        # One value is mostly what all of them refuse.
        raise UserError(
            "\n".join(f"no recipe that is asked about fits: {why}" for why in dict.fromkeys(refused.values()))
        )
    return _told_apart(found), refused


def _told_apart(found: Sequence[Candidate]) -> list[Candidate]:
    """With names that differ."""
    for column, word in APART.items():
        values: dict[str, set[str]] = {}
        for each in found:
            values.setdefault(each.name, set()).add(each.about[column])
        found = [
            replace(each, apart=f"{each.apart}, {word} {each.about[column]}") if len(values[each.name]) > 1 else each
            for each in found
        ]
    return list(found)


def planned(settings: Settings, question: Question) -> Run:
    """A run over stand-ins for the data that are asked about."""
    batch = settings.stream
    versions, steps = question.stream(batch, batch.global_batch_size * batch.sequence_length)
    each = steps[0] if len(set(steps)) == 1 else steps
    stream = replace(batch, versions=versions, steps_per_version=each)
    changed = replace(settings, stream=stream)
    return _plannable(Run(changed, VirtualStream(changed.corpus, stream)))


def _plannable(run: Run) -> Run:
    """With what is a fact of the machine decided, which no advice depends on: nothing is measured for it."""
    return choices.resolved([run], Store.of(run.settings.store), keep=False, measure=False)[0][0]


def same(about: dict[str, str], other: dict[str, str]) -> bool:
    """Whether two runs are one recipe in one setting, as far as both have versions.

    Of a stream that grows, fewer versions are the beginning of more.
    """
    columns = set(about) - {"versions", "parameters", "steps_per_version", "settings"}
    if any(about[column] != other[column] for column in columns) or _settings(about) != _settings(other):
        return False
    ours, theirs = _lengths(about), _lengths(other)
    if about["stream"] in GROWING:
        shorter = min(len(ours), len(theirs))
        return ours[:shorter] == theirs[:shorter]
    return ours == theirs


def _settings(about: dict[str, str]) -> dict[str, str]:
    """A recipe's own settings; those that an older ledger does not tell are the defaults."""
    told = settings_of(about["settings"])
    cls = RECIPES.get(about["paradigm"])
    names = getattr(cls, "told_apart_by", ())
    usual = {each.name: str(each.default) for each in fields(cls) if each.name in names} if cls else {}
    return {name: value for name, value in (usual | told).items() if value != "None"}


def _lengths(about: dict[str, str]) -> list[str]:
    words = about["steps_per_version"].split()
    return words * int(about["versions"]) if len(words) == 1 else words


@dataclass(frozen=True)
class Pilot:
    """`study=pilot_for_advice` at a scale."""

    runs: tuple[Candidate, ...]
    steps: int
    device_hours: float


def pilot(words: Sequence[str]) -> Pilot | None:
    """The pilot at a scale; None: it does not fit the settings.

    Args:
        words: of the command line; what they say of recipes does not count.
    """
    recipes = ("schedule", "schedule.max_lr", "seed", "data_seed", *CHOOSES)
    names = [(word, word.partition("=")[0]) for word in words]
    kept = [word for word, name in names if name not in recipes and not name.startswith("paradigm.")]
    try:
        settings = sweeps.compose(["study=pilot_for_advice", *kept], multirun=True)
        runs = [_plannable(Run(each, VirtualStream(each.corpus, each.stream))) for each in settings]
        nodes = merge(runs).nodes.values()
    except UserError:
        return None
    flops = sum(node.steps * node.run.step_flops for node in nodes)
    hours = flops / settings[0].estimate.flops_per_second / 3600
    return Pilot(tuple(map(Candidate, runs)), sum(node.steps for node in nodes), hours)
