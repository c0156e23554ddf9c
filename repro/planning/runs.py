"""A run: one paradigm, one schedule, one seed, over all versions. What one Hydra job asks for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.common.canonical import canonical
from repro.common.errors import UserError
from repro.config.registries import OPEN, chooser
from repro.config.settings import CorpusSettings, ModelSettings, Settings, StreamSettings
from repro.data.corpora.corpus import corpus as chosen
from repro.data.opening import describe, is_prepared, open_stream
from repro.data.stream import VersionStream
from repro.models import numerics
from repro.models.architectures import remembered, shapes
from repro.models.architectures.architecture import Architecture, Shape, architecture
from repro.models.numerics import Machine
from repro.models.optimizers.optimizer import optimizer
from repro.recipes.recipe import Releases, recipe
from repro.recipes.trajectory import Product, Trajectory

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Run:
    """Settings, the data they name, and the versions they lead to."""

    settings: Settings
    stream: VersionStream
    machine: Machine | None = None
    """Where it is trained, if not here."""

    @cached_property
    def numerics(self) -> dict[str, Any]:
        return numerics.describe(self.settings, self.machine)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What fixes the initialization and the update rule."""
        return self._identity()

    def _identity(self) -> dict[str, Any]:
        s = self.settings
        weights = remembered.weights_sha256(architecture(s.model), Path(s.data.path))
        initialization = self.architecture.initialization(*self.model_shape, s.seed, weights)
        return initialization | {"optimizer": optimizer(s).identity}

    @property
    def architecture(self) -> Architecture:
        """The model's, also where its configuration is gone. `initialize` begins with its weights."""
        return remembered.known(architecture(self.settings.model), Path(self.settings.data.path))

    def initialize(self) -> "PreTrainedModel":
        """The model as training begins with it.

        Raises:
            UserError: weights of one's own are gone, or do not fit.
        """
        architecture(self.settings.model).check_weights()
        model = self.architecture.initialize(*self.model_shape, self.settings.seed)
        self.check_unchanged()
        return model

    def check_unchanged(self) -> None:
        """Refuse to train another model than the one that keys were worked out of.

        Raises:
            UserError: somebody rewrote the folder of its weights or its configuration since then.
        """
        if self._identity() != self.identity:
            raise self.changed("while this ran")

    def changed(self, since: str) -> UserError:
        """A complaint about a model of a user's own."""
        places = remembered.places(architecture(self.settings.model))
        named = " and ".join(f"model.{name}={place}" for name, place in places.items()) or "the model"
        return UserError(
            f"{named} has changed {since}. Nothing more is trained: it would be kept as what it was made from before. "
            "Put it back, and the same command goes on; or start the sweep again."
        )

    @cached_property
    def products(self) -> list[Product]:
        """What each version is, version 1 first."""
        releases, chosen = self.releases, recipe(self.settings)
        return [chosen.product(releases, version) for version in range(1, chosen.versions(releases) + 1)]

    @cached_property
    def trajectories(self) -> list[Trajectory]:
        """The training that ends in each version; of a derived one, in its last parent."""
        return [product.training for product in self.products]

    @cached_property
    def releases(self) -> Releases:
        batch = self.settings.stream.global_batch_size
        steps = tuple(blocks // batch for blocks in self.stream.version_blocks)
        return Releases(
            self.settings,
            steps,
            canonical(self.identity),
            canonical(self.numerics),
            lambda model: canonical(self.training(model).identity),
        )

    def training(self, model: ModelSettings) -> "Run":
        """The same run as far as it trains another model."""
        return self if model == self.settings.model else replace(self, settings=replace(self.settings, model=model))

    @property
    def versions(self) -> int:
        return len(self.products)

    @property
    def name(self) -> str:
        """A label for people: what a study may sweep over, and the seed."""
        return "-".join(self.name_parts)

    @property
    def name_parts(self) -> list[str]:
        s = self.settings
        return [
            s.schedule.kind,
            recipe(s).run_name,
            s.model.architecture,
            architecture(s.model).size,
            f"T{s.stream.steps_label.replace(' ', '-')}",
            f"lr{s.schedule.max_lr:g}",
            f"s{s.seed}" + (f"d{s.order_seed}" if s.order_seed != s.seed else ""),
        ]

    @cached_property
    def scratch_steps(self) -> list[int]:
        """Steps of pre-training each version from scratch: what costs are relative to."""
        return [self.releases.until(version) for version in range(1, self.versions + 1)]

    @property
    def model_shape(self) -> tuple[int, int]:
        """What the data decide of the model: vocabulary, and sequence length."""
        return self.stream.vocab_size, self.settings.stream.sequence_length

    @cached_property
    def shape(self) -> Shape:
        """
        Raises:
            UserError: transformers cannot build such a model.
        """
        s = self.settings
        return shapes.known(self.architecture, *self.model_shape, Path(s.data.path))

    @property
    def parameters(self) -> int:
        return self.shape.parameters

    @property
    def step_tokens(self) -> int:
        return self.settings.stream.global_batch_size * self.settings.stream.sequence_length

    @property
    def step_flops(self) -> int:
        return self.step_tokens * self.shape.flops_per_token(self.settings.stream.sequence_length)

    @property
    def checkpoint_bytes(self) -> int:
        """Weights and the optimizer's state in float32, at most."""
        return (1 + optimizer(self.settings).kept) * self.weight_bytes

    @property
    def weight_bytes(self) -> int:
        """Weights alone, as of derived versions."""
        return 4 * self.parameters


def run(settings: Settings, *, data_optional: bool = False, prepare: bool = True) -> Run:
    """The run that `settings` ask for.

    Args:
        data_optional: plan with a stand-in for a hub's corpus that is not prepared here (repro.prepare).
        prepare: False: plan with a stand-in for any corpus that is not.
    """
    return Run(settings, _stream(settings.corpus, settings.stream, settings.data.path, data_optional, prepare))


def labels(runs: Sequence[Run]) -> list[str]:
    """Short names that tell the runs of one sweep apart: without what they all share, but for the paradigm.

    Where that leaves two of one name, with the settings in which these differ.
    """
    parts = [run.name_parts for run in runs]
    kept = [place for place, values in enumerate(zip(*parts, strict=True)) if place == 1 or len(set(values)) > 1]
    names = [" ".join(each[place] for place in kept) for each in parts]
    for name in {name for name in names if names.count(name) > 1}:
        places = [place for place, each in enumerate(names) if each == name]
        flat = [dict(flattened(asdict(runs[place].settings))) for place in places]
        telling = [key for key in dict.fromkeys(chain(*flat)) if _tells(key, flat)]
        for place, each in zip(places, flat, strict=True):
            told = (f"{_told(key)}={each[key]}" for key in telling if key in each)
            names[place] = " ".join([name, *told])
    return names


def _tells(key: str, every: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a setting tells runs apart that chose the same in its group: what was chosen says the rest."""
    group = key.partition(".")[0]
    choice = f"{group}.{chooser(group)}" if group in OPEN else key
    values: dict[str, set[str]] = {}
    for each in every:
        values.setdefault("" if key == choice else str(each.get(choice)), set()).add(str(each.get(key)))
    return any(len(told) > 1 for told in values.values())


def _told(key: str) -> str:
    """`max_lr`; `optimizer` of optimizer.kind."""
    group, _, name = key.rpartition(".")
    return group if group in OPEN and name == chooser(group) else name


def flattened(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings with their full names: `schedule.max_lr`."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@lru_cache(maxsize=64)
def _stream(
    corpus: CorpusSettings, stream: StreamSettings, data_path: str, optional: bool, prepare: bool
) -> VersionStream:
    """Opened once a process: runs of one sweep share it, and what is derived from it."""
    stands_in = not prepare or (optional and chosen(corpus).remote)
    if stands_in and not is_prepared(corpus, stream, Path(data_path)):
        chosen(corpus).look()
        return describe(corpus, stream)
    return open_stream(corpus, stream, Path(data_path))
