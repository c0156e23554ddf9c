"""A recipe: how versions come to be. A class with its own settings as fields; it adds itself to the registry.

T_k is the number of optimizer steps that use version k's new data once. A recipe says, for every version, what training
leads to it from a random initialization; what versions share is found by the plan, not stated here.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import Any, ClassVar, Literal

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from repro.common.errors import UserError
from repro.config.exact import fraction
from repro.config.registries import RECIPES
from repro.config.settings import ModelSettings, ParadigmSettings, Settings
from repro.recipes.orders import Arrival, Order, Replay
from repro.recipes.schedules import Schedule, schedule
from repro.recipes.trajectory import Derived, Phase, Product, Trajectory

SegmentKind = Literal["start", "trunk", "branch"]
"""From scratch; along the path that later versions go on from; off it, to one version."""
Segment = tuple[SegmentKind, int, int]
"""With the steps at which it begins and ends."""


@dataclass(frozen=True)
class Releases:
    """What a recipe has to work with: the settings, and each version's T_k."""

    settings: Settings
    steps: tuple[int, ...]
    """T_k, version 1 first."""
    identity: str = ""
    """See `Trajectory`."""
    numerics: str = ""
    """See `Trajectory`."""
    identity_of: Callable[[ModelSettings], str] = lambda model: ""
    """The identity of training another model under the same settings."""

    @property
    def schedule(self) -> Schedule:
        return schedule(self.settings)

    def until(self, version: int) -> int:
        """Steps of the data of versions 1 to `version`."""
        return sum(self.steps[:version])

    def order(self, order: type[Order] = Arrival, version: int = 1) -> Order:
        """An order of versions 1 to `version` under the run's seed."""
        s = self.settings
        return order.until(version, seed=s.order_seed, batch_size=s.stream.global_batch_size)

    def trajectory(
        self,
        phases: Sequence[Phase],
        order: Order | None = None,
        start: Derived | None = None,
        model: ModelSettings | None = None,
    ) -> Trajectory:
        """Training under the run's settings.

        Args:
            order: of its data; None: in order of arrival.
            start: weights that it starts from; None: a random initialization.
            model: what is trained; None: the run's own model.
        """
        order = order or self.order()
        return Trajectory(
            identity=self.identity if model is None else self.identity_of(model),
            numerics=self.numerics,
            order=order,
            phases=tuple(phases),
            model=model,
            start=start,
        )


@dataclass(frozen=True, kw_only=True)
class Recipe(ParadigmSettings):
    """What every recipe has to say."""

    label: ClassVar[str]
    """What readers call it."""
    mechanism: ClassVar[str] = ""
    """What it does, in a sentence."""
    sources: ClassVar[tuple[str, ...]] = ()
    """arXiv numbers and the like."""
    colour: ClassVar[str] = "#666666"
    """Its colour in figures."""
    decays: ClassVar[bool] = True
    """Whether its versions end at the minimum: undecayed ones are never compared with decayed ones."""
    lawful: ClassVar[bool] = True
    """Whether laws of the learning rate speak of its versions: single checkpoints of the settings' model, from a random
    start, by the settings' optimizer."""
    asked: ClassVar[bool] = True
    """Whether it is a way to update that advice compares with others unasked."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Modules of other packages that it needs and that this one does not bring; without them it is not compared."""
    told_apart_by: ClassVar[tuple[str, ...]] = ()
    """Those of its settings in which two runs of one study may differ on purpose."""
    controls: ClassVar[tuple[str, ...]] = ()
    """Those of them that, off their default, make it a control: tables show it, pictures of ways to update do not."""

    @property
    def mixes(self) -> bool:
        """Whether training reads old and new data together, shuffled: laws of the learning rate have to know."""
        return False

    @property
    def retrains(self) -> bool:
        """Whether it is retraining, which all ways to update are compared with."""
        return False

    @property
    def carries(self) -> bool:
        """Whether `carry_optimizer` makes a difference: not where no phase ever begins with the optimizer reset."""
        return True

    @property
    def fixed(self) -> int | None:
        """How many versions it releases, however many there are data for; None: as many as those."""
        return None

    def versions(self, releases: Releases) -> int:
        """How many versions it releases."""
        return self.fixed or len(releases.steps)

    def data_order(self, releases: Releases, version: int) -> Order:
        """The data that lead to a version.

        Raises:
            UserError: `replay` of a batch is no whole number of blocks.
        """
        batch = releases.settings.stream.global_batch_size
        old = fraction("paradigm.replay", self.replay) * batch
        if old.denominator != 1:
            below = old.numerator // old.denominator
            near = [str(Fraction(each, batch)) for each in (below, below + 1) if each < batch]
            raise UserError(
                f"paradigm.replay={self.replay} of stream.global_batch_size={batch} is {float(old):g} blocks, which is "
                f"not whole. The nearest values that work: {' or '.join(near)}.",
                works={"paradigm.replay": near[0]},
            )
        arrival = releases.order()
        return Replay(seed=arrival.seed, batch_size=batch, old=int(old)) if old else arrival

    def phases(self, releases: Releases, version: int) -> Sequence[Phase]:
        """The training that leads to a version (1-based), from a random initialization.

        Raises:
            UserError: a setting would give a number of steps that is not whole, or does not fit.
        """
        raise NotImplementedError

    def product(self, releases: Releases, version: int) -> Product:
        """What a version is: the end of the training that `phases` says, unless a recipe derives it from such ends."""
        return releases.trajectory(self.phases(releases, version), self.data_order(releases, version))

    def step_multiple(self, settings: Settings) -> int:
        """T_k of which every share that the recipe and its schedule take is whole: the multiples of this.

        Shares are the settings declared as such; a recipe that takes others says so here.
        """
        cycles = schedule(settings).step_multiple()
        return math.lcm(cycles, *(each.denominator for each in _shares(self, cycles)))

    def segments(self, phases: Sequence[Sequence[Phase]], version: int) -> list[Segment]:
        """What a version adds to its run's path, for figures. Steps count from where its training starts.

        Args:
            phases: of all versions up to this one; of a derived one, its last parent's.
        """
        ends = list(accumulate(phase.steps for phase in phases[version - 1]))
        return [("trunk", ends[-1] - phases[version - 1][-1].steps, ends[-1])]

    def name_parts(self) -> list[str]:
        """What tells it from other recipes in a run's name."""
        return [self.kind]

    @property
    def run_name(self) -> str:
        """In a run's name: its kind, what tells its runs apart, and whether the optimizer is reset."""
        replay = [f"replay{self.replay}"] if fraction("paradigm.replay", self.replay) else []
        return "_".join([*self.name_parts(), *replay, *([] if self.carry_optimizer else ["reset"])])

    @property
    def own_settings(self) -> dict[str, str]:
        """The settings that tell its runs apart, as written."""
        replay = {"replay": self.replay} if fraction("paradigm.replay", self.replay) else {}
        return {name: str(getattr(self, name)) for name in self.told_apart_by} | replay


def _shares(group: ParadigmSettings, cycles: int) -> Iterator[Fraction]:
    """A recipe's shares of T, in units of the steps that its cycles come in."""
    for one in fields(group):
        value = getattr(group, one.name)
        if "share" in one.metadata and one.name != "replay" and value != (one.metadata["word"] or None):
            yield fraction(f"paradigm.{one.name}", value) / cycles


def recipe(settings: Settings) -> Recipe:
    """The recipe that settings choose."""
    assert isinstance(settings.paradigm, Recipe)
    return settings.paradigm


def told(kind: str, own: Mapping[str, str]) -> Recipe | None:
    """The recipe that a row of a ledger tells of, with its settings as written there; the rest have their defaults.

    None: nothing registered it, or its settings are others by now.
    """
    cls: Any = RECIPES.get(kind)
    if cls is None or not issubclass(cls, Recipe):
        return None
    known = {each.name for each in fields(cls)}
    values = [(name, value) for name, value in own.items() if name in known and value != "None"]
    return _typed(cls, (("kind", kind), *sorted(values)))


@lru_cache(maxsize=1024)
def _typed(cls: type[Recipe], values: tuple[tuple[str, str], ...]) -> Recipe | None:
    """With values as its fields have them; None where they do not fit, as of another version of it."""
    schema = OmegaConf.structured(cls)
    OmegaConf.set_readonly(schema, False)
    try:
        schema.merge_with(dict(values))
        return cls(**{str(name): schema[name] for name in schema})
    except (OmegaConfBaseException, UserError, TypeError, ValueError):
        return None
