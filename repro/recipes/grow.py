"""Growing between versions: a smaller model's main path, which goes on as the larger one's from a release on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from repro.common.errors import UserError
from repro.config.checks import Complaint, within
from repro.config.registries import RECIPES
from repro.config.settings import Settings
from repro.models.architectures.llama import Llama
from repro.recipes.growing import Growth, Shape
from repro.recipes.path_switching import PathSwitching, trunk_and_branch
from repro.recipes.recipe import Releases, Segment
from repro.recipes.trajectory import Derived, Phase, Product


@RECIPES.register("grow")
@dataclass(frozen=True, kw_only=True)
class Grow(PathSwitching):
    """Path switching whose main path is that of a smaller model before version `grow_at`, and grows there.

    The run's model is the larger one. The function is preserved at the step; the optimizer starts afresh, and is warmed
    up once more. The paper's authors name this as future work.
    """

    label = "growing"
    mechanism = "Path switching whose model grows at a release, with its function preserved at the step."
    sources: ClassVar[tuple[str, ...]] = ("1511.05641", "2203.06211")
    lawful = False
    asked = False
    colour = "#332288"
    told_apart_by: ClassVar[tuple[str, ...]] = (
        *("alpha", "branch", "branch_share", "grow_at", "layers_before", "intermediate_before"),
    )

    grow_at: int = within(2, 1000, 3)
    """The first version of the larger model; one beyond the last: it never grows."""
    layers_before: int | None = within(1, 10**6, 1)
    """Of the smaller model; null: as many as the larger one's."""
    intermediate_before: int | None = within(1, 10**6, None)
    """Inner width of the smaller model; null: as wide."""

    def complaints(self, settings: Settings) -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        model = settings.model
        if not isinstance(model, Llama):
            yield f"paradigm=grow knows the shapes of llama and qwen2, not of model.architecture={model.architecture}."
            return
        for name, own in (("layers", model.layers), ("intermediate", model.intermediate_size)):
            before = getattr(self, f"{name}_before")
            if before is not None and before > own:
                yield f"paradigm.{name}_before={before} is more than the model grows to, which has {own}."
        if self._smaller(model) == model:
            name, own = ("layers", model.layers) if model.layers > 1 else ("intermediate", model.intermediate_size)
            yield Complaint.of(
                "paradigm=grow needs a smaller model: paradigm.layers_before or paradigm.intermediate_before below its "
                f"own; paradigm.{name}_before={own // 2} works.",
                **{f"paradigm__{name}_before": own // 2},
            )

    def product(self, releases: Releases, version: int) -> Product:
        model = releases.settings.model
        assert isinstance(model, Llama)
        small, order = self._smaller(model), self.data_order(releases, version)
        if version < self.grow_at:
            return releases.trajectory(self.phases(releases, version), order, model=small)
        schedule, grown = releases.schedule, releases.until(self.grow_at - 1)
        start = Derived(
            Growth(_shape(small), _shape(model)),
            (releases.trajectory([Phase(steps=grown, curve=schedule.constant(warm=True))], order, model=small),),
        )
        branch = self.branch_steps(releases, version)
        trunk = releases.until(version) - grown - branch
        if trunk < schedule.warmup_steps:
            raise UserError(
                f"{self._length}: version {version}'s branch leaves {trunk} steps after the model grew, and "
                f"schedule.warmup_steps={schedule.warmup_steps} are needed; a smaller one works."
            )
        decay = schedule.decay(branch) if self.branch == "decay" else schedule.cycle(branch, warm=False)
        return releases.trajectory(
            [
                Phase(steps=trunk, curve=schedule.constant(warm=True)),
                Phase(steps=branch, curve=decay, reset_optimizer=not self.carry_optimizer),
            ],
            order,
            start=start,
        )

    def segments(self, phases: Sequence[Sequence[Phase]], version: int) -> list[Segment]:
        if version == self.grow_at:  # steps are counted anew, and no version before has a part of them
            return trunk_and_branch([phases[version - 1]], 1)
        return super().segments(phases, version)

    def name_parts(self) -> list[str]:
        before = {"l": self.layers_before, "i": self.intermediate_before}
        return [*super().name_parts(), f"v{self.grow_at}", *(f"{part}{size}" for part, size in before.items() if size)]

    @property
    def own_settings(self) -> dict[str, str]:
        return {name: value for name, value in super().own_settings.items() if getattr(self, name) is not None}

    def _smaller(self, model: Llama) -> Llama:
        return replace(
            model,
            layers=self.layers_before or model.layers,
            intermediate_size=self.intermediate_before or model.intermediate_size,
        )


def _shape(model: Llama) -> Shape:
    return model.layers, model.hidden_size, model.heads, model.kv_heads, model.intermediate_size
