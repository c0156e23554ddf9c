"""The schema of a resolved configuration: each field with its type, range and meaning.

Three kinds of settings, kept apart (docs/design.md):
identity (what a run computes), numerics (how its bits come out) and placement (where and how it is run).
Identity and numerics key the store; placement never does.

Five groups are open: what they choose by name brings fields of its own (`repro.config.registries`), and what stands
here is what all their choices share.
"""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from omegaconf import MISSING

from repro.config.checks import Complaint, choice, divisors, flag, name, path, positive, share, within

MOST_STEPS = 10**7
"""Of a version."""
AUTO = "auto"
"""Of `stream.steps_per_version`: each version's data once; of `stream.versions`: as many as the corpus has releases; of
`numerics.matmul` and `numerics.compile`: what is faster here (repro.planning.choices)."""

GRAPHS = "graphs"
"""Of `numerics.compile`: as CUDA graphs."""

GROWING = ("releases", "dated", "dealt")
"""Values of `stream.order` under which versions are units of their own, and appending one changes none before."""


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """A causal language model. Identity."""

    architecture: str = MISSING
    """One of `repro.config.registries.ARCHITECTURES`."""
    name: str = name("custom")
    """What tables call this size. A label: it keys nothing."""
    init: str | None = path(None)
    """A folder with weights to begin with (an exported or downloaded model, safetensors alone), in place of random
    ones. Identity by the weights' content; the stream has to be cut by that model's tokenizer."""


@dataclass(frozen=True, kw_only=True)
class CorpusSettings:
    """Where the documents come from. Identity (through the text itself)."""

    kind: str = MISSING
    """One of `repro.config.registries.CORPORA`."""
    near_duplicates: str = choice(("minhash", "exact"), "minhash")
    """Which copies of documents a stream that grows leaves out: near ones as well, or exact ones alone. (A pile that is
    cut at once loses exact ones alone.)"""


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """How documents become N versions of packed blocks. Identity."""

    order: str = choice(("shuffled", "chronological", *GROWING), "shuffled")
    """How text is cut into versions. At once: `shuffled` (every version alike), `chronological` (a real shift between
    versions). Version after version, so that others can be appended: `releases` (of the corpus), `dealt` (alike, block
    by block), `dated` (stretches of time)."""
    versions: Any = within(1, 1000, 4, word=AUTO)  # noqa: RUF009
    """N; or `auto`, with order=releases: as many as the corpus has releases. A plan resolves that."""
    steps_per_version: Any = within(1, MOST_STEPS, word=AUTO, several=True)  # noqa: RUF009
    """T: optimizer steps that consume one version's new data once. One number, a number for each version, or `auto`:
    as many as each version's data give, rounded down to what makes every share of T whole. A plan resolves that."""
    global_batch_size: int = within(1, 10**6)
    """Sequences (blocks) in one optimizer step."""
    sequence_length: int = within(2, 10**6)
    """Tokens predicted in one block."""
    vocab_size: int = within(257, 2**24)
    """Entries of the byte-level BPE trained on version 1's text. One that is given has its own."""
    tokenizer: str | None = path(None)
    """A tokenizer to use rather than train one: a folder with `tokenizer.json`, or such a file."""
    heldout_share: float = within(1e-6, 1 - 1e-6, 0.05)
    """Share of each version's text (whole documents) kept for evaluation."""
    heldout_blocks: int = within(1, 10**7)
    """Blocks of each version's held-out slice that are evaluated, at most."""
    split_seed: int = within(0, 2**63 - 1, 0)
    """Decides which document belongs to which version and slice. Not the run's seed: slices are shared by all seeds."""

    def __post_init__(self) -> None:
        if isinstance(self.steps_per_version, list):  # so that settings can be hashed
            object.__setattr__(self, "steps_per_version", tuple(self.steps_per_version))

    @property
    def steps(self) -> tuple[int, ...]:
        """T_k, version 1 first; of none but a resolved stream."""
        assert self.steps_per_version != AUTO
        each = self.steps_per_version
        return each if isinstance(each, tuple) else (int(each),) * self.versions

    @property
    def steps_label(self) -> str:
        """T for people: a number, or one for each version where they differ."""
        each = self.steps_per_version
        if not isinstance(each, tuple):
            return str(each)
        return str(each[0]) if len(set(each)) == 1 else " ".join(map(str, each))

    def complaints(self, settings: "Settings") -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        each = self.steps_per_version
        if self.versions == AUTO:
            if self.order != "releases":
                yield f"stream.versions={AUTO} counts releases, and stream.order={self.order} has none; a number works."
            if isinstance(each, tuple):
                yield Complaint.of(
                    f"stream.steps_per_version has {len(each)} numbers; stream.versions={len(each)} says how many.",
                    stream__versions=len(each),
                )
        elif isinstance(each, tuple) and len(each) != self.versions:
            yield Complaint.of(
                f"stream.steps_per_version has {len(each)} numbers, and stream.versions={self.versions}; one for each "
                "version works, or one number for all.",
                stream__versions=len(each),
            )


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """Learning rate within one cycle. Identity (through the learning rates themselves)."""

    kind: str = MISSING
    """One of `repro.config.registries.SCHEDULES`."""
    max_lr: float = positive()
    min_lr: float | None = within(0.0, 1e6, None)
    """None: a tenth of the maximum (assumed about the paper)."""
    warmup_steps: int = within(0, 10**7)
    """Linear warm-up, once, at a random initialization."""

    @property
    def floor_lr(self) -> float:
        return self.max_lr / 10 if self.min_lr is None else self.min_lr

    def complaints(self, settings: "Settings") -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        if self.floor_lr > self.max_lr:
            yield Complaint.of(
                f"schedule.min_lr={self.floor_lr:g} is above schedule.max_lr={self.max_lr:g}; "
                "lower it, or leave it out for a tenth of the maximum.",
                schedule__min_lr="null",
            )
        each = settings.stream.steps_per_version
        first = each[0] if isinstance(each, tuple) else each
        if first != AUTO and self.warmup_steps > first:
            yield Complaint.of(
                f"schedule.warmup_steps={self.warmup_steps} is longer than version 1, which has "
                f"stream.steps_per_version={first} steps.",
                schedule__warmup_steps=first,
            )


@dataclass(frozen=True, kw_only=True)
class ParadigmSettings:
    """A recipe: how versions come to be. Identity (through the trajectories)."""

    kind: str = MISSING
    """One of `repro.config.registries.RECIPES`."""
    carry_optimizer: bool = True
    """Whether the optimizer's moments travel along updates and into branches (assumed about the paper)."""
    replay: str = share(0, 1, "0", open_high=True)
    """Share of every batch that is drawn from earlier versions, from version 2 on. The number of steps stays T_k, so
    that all compare at equal compute: as large a share of the new data is left over, and a plan says so."""

    lacks: ClassVar[Mapping[str, str]] = {}
    """Those of the settings above that mean nothing here, and why: a sweep passes over them, as over others' own."""

    def adapted(self, settings: "Settings") -> "Settings":
        """The settings of a run under this recipe, where it brings some of its own: an optimizer, say."""
        return settings

    def shared(self, settings: "Settings") -> "Settings":
        """The settings that runs under other recipes have beside this one's: `adapted`, taken back."""
        return settings


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """The update rule. Identity."""

    kind: str = MISSING
    """One of `repro.config.registries.OPTIMIZERS`."""
    clip_norm: float = positive(1.0)
    """Of the gradient, over all parameters."""


@dataclass(frozen=True, kw_only=True)
class NumericsSettings:
    """Everything that may change bits without changing what is computed. Keys the store."""

    device: str = "cpu"
    dtype: str = choice(("float32", "bfloat16"), "float32")
    """`float32`, or `bfloat16` for autocast over float32 master weights."""
    threads: int = within(1, 4096, 1)
    """Intra-op threads on a CPU."""
    matmul: str = choice(("torch", "onednn", AUTO), "torch")
    """What makes a CPU's float32 products in linear layers: `torch` (its own choice, MKL on x86) or `onednn` (where
    this torch has it); or `auto`, the faster one: a plan measures that once and resolves it."""
    compile: Any = flag(False, words=(AUTO, GRAPHS))  # noqa: RUF009
    """Whether torch.compile is used; `graphs`: on a GPU, replayed as CUDA graphs as well, which small models gain by;
    or `auto`: on a CPU where there is a C++ compiler. A plan resolves that."""
    micro_batch_size: int | None = within(1, 10**6, None)
    """Blocks in one forward pass of one process; None: its whole share of the batch."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass rather than keep them."""
    parallel: str = choice(("none", "ddp", "fsdp"), "none")
    """How several processes train one run: `ddp` (each has the whole model) or `fsdp` (each has a shard of it)."""
    world_size: int = within(1, 10**6, 1)
    """How many do: as many as torchrun starts. Planning and evaluating a run takes one, and is told this number."""

    def complaints(self, settings: "Settings") -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        batch, processes, micro = settings.stream.global_batch_size, self.world_size, self.micro_batch_size
        if self.compile == GRAPHS and (self.device == "cpu" or processes > 1 or (micro or batch) < batch):
            yield (
                f"numerics.compile={GRAPHS} replays a step of one process on a GPU, whose batch is one part; "
                f"numerics.device={self.device}, numerics.world_size={processes} and numerics.micro_batch_size={micro} "
                "are not all of that. numerics.compile=true works."
            )
        if processes > 1 and self.parallel == "none":
            yield Complaint.of(
                f"numerics.parallel=none trains in one process, but there are numerics.world_size={processes}; "
                "numerics.parallel=ddp or fsdp would work.",
                numerics__parallel="ddp",
            )
        if batch % processes:
            yield Complaint.of(
                f"numerics.world_size={processes} does not divide stream.global_batch_size={batch}; "
                f"{divisors(batch)} processes would work.",
                numerics__world_size=math.gcd(processes, batch),
            )
        elif micro is not None and (micro > batch or batch // processes % micro):
            yield Complaint.of(
                f"numerics.micro_batch_size={micro} does not divide stream.global_batch_size={batch} over "
                f"numerics.world_size={processes}; {divisors(batch // processes)} would work.",
                numerics__micro_batch_size=math.gcd(micro, batch // processes),
            )


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """Pinned, since batch size can change the last bits of a score."""

    batch_size: int = within(1, 10**6, 16)
    """Held-out blocks in one forward pass."""
    task_batch_size: int = within(1, 10**6, 16)
    """lm-eval's batch size."""
    task_limit: int | None = within(1, 10**9, None)
    """Items of each task's test split, at most (the first ones); None: all."""


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """Supervised fine-tuning of a released version. Identity of the fine-tuned model."""

    seeds: list[int] = field(default_factory=lambda: [0], metadata={"low": 0, "high": 2**63 - 1, "empty": True})
    """Its own seeds: the order of the examples. An empty list: versions are evaluated as they were pre-trained."""
    versions: list[int] | None = None
    """Which versions of a run to fine-tune; None: the last one. 0 is the model before any training: a control."""
    update: str = choice(("anew", "continue", "transfer"), "anew")
    """From the second version on: `anew`, each version is fine-tuned by itself; `transfer`, what fine-tuning changed in
    the version before is added to the new weights, and that is all; `continue`, fine-tuning goes on from there."""
    epochs: int = within(1, 1000, 1)
    max_examples: int | None = within(1, 10**9, None)
    """Training examples over all tasks, at most; None: all."""
    batch_size: int = within(1, 10**6, 16)
    max_tokens: int = within(8, 10**6, 128)
    """Longest example (prompt and answer); longer prompts lose their beginning. A model with learned positions has as
    many, at most."""
    max_lr: float = positive()
    warmup_share: float = within(0.0, 1.0, 0.05)

    def complaints(self, settings: "Settings") -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        for version in self.versions or []:
            if settings.stream.versions != AUTO and not 0 <= version <= settings.stream.versions:
                yield f"finetune.versions={version} must lie between 0 (untrained) and {settings.stream.versions}."


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """Which lm-eval tasks. Identity of a downstream score."""

    group: str = MISSING
    """Name of the group, as lm-eval knows it."""
    names: list[str] = MISSING
    """The group's tasks."""
    include_path: str = path()
    """Folder with the task files."""
    offline: bool = True
    """False: the tasks' data come from a hub."""


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """Where checkpoints and results are kept. Placement."""

    path: str = path("store")
    save_seconds: float = positive(300.0)
    """How often an edge under way saves a checkpoint to resume from."""
    stale_seconds: float = positive(600.0)
    """A lease without a heartbeat for this long is taken over, and what a dead process was writing is removed."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Where fetched packages, streams and tasks are cached. Placement."""

    path: str = path("data")

    def complaints(self, settings: "Settings") -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        text = getattr(settings.corpus, "path", None)
        if text and os.path.realpath(text) == os.path.realpath(self.path):
            yield Complaint.of(
                f"corpus.path={text} is data.path, where this suite keeps what it prepares and looks for no text; "
                "data.path=prepared works.",
                data__path="prepared",
            )


@dataclass(frozen=True, kw_only=True)
class LedgerSettings:
    """Where results are written as plain tables. Placement."""

    path: str = path()


@dataclass(frozen=True, kw_only=True)
class TrackerSettings:
    """Where finished versions are shown besides the ledger. Placement."""

    kind: str = choice(("none", "tensorboard", "wandb", "mlflow"), "none")
    path: str = path("tracker")
    """Folder of what is written here."""
    project: str = "lr-path-switching"
    """wandb's project, mlflow's experiment."""
    mode: str = choice(("offline", "online"), "offline")
    """wandb: `offline` or `online`."""
    uri: str | None = None
    """mlflow: a tracking server; None: SQLite in `path`."""

    def complaints(self, settings: "Settings") -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        text = getattr(settings.corpus, "path", None)
        if self.kind != "none" and text and os.path.realpath(text) == os.path.realpath(self.path):
            yield Complaint.of(
                f"corpus.path={text} is tracker.path, and what a tracker writes is no text of a corpus; "
                "tracker.path=tracker works.",
                tracker__path="tracker",
            )


@dataclass(frozen=True, kw_only=True)
class EstimateSettings:
    """What a plan assumes in order to estimate time. Placement."""

    flops_per_second: float = positive(1e11)
    """Of one device (a GPU, or one worker's threads), as sustained in training."""
    basis: str = ""
    """Where that comes from, in words."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One run: one paradigm, one schedule, one seed, over all versions."""

    study: str | None = name(None)
    scale: str = name()
    seed: int = within(0, 2**63 - 1, 0)
    """Initialization, and data order where `data_seed` says nothing else. Identity."""
    data_seed: int | None = within(0, 2**63 - 1, None)
    """Data order alone, as in transformers' TrainingArguments; None: `seed`. Identity."""
    model: ModelSettings = field(default_factory=ModelSettings)
    corpus: CorpusSettings = field(default_factory=CorpusSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    paradigm: ParadigmSettings = field(default_factory=ParadigmSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    numerics: NumericsSettings = field(default_factory=NumericsSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    finetune: FinetuneSettings = field(default_factory=FinetuneSettings)
    tasks: TaskSettings = field(default_factory=TaskSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    data: DataSettings = field(default_factory=DataSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    estimate: EstimateSettings = field(default_factory=EstimateSettings)
    sweep: dict[str, str] = field(default_factory=dict)
    """What a scale's studies sweep over: study files refer to these."""
    extensions: list[str] = field(default_factory=list)
    """Modules that add schedules, recipes, ... of one's own: imported before anything is composed. Placement: what they
    add is hashed by its effects."""
    frozen_plan: str | None = None
    """The checked plan of the whole sweep this job belongs to. Set by the command line itself."""

    @property
    def order_seed(self) -> int:
        """What draws the order of the data."""
        return self.seed if self.data_seed is None else self.data_seed

    def complaints(self, settings: "Settings") -> Iterator[str]:
        """See `repro.config.checks.Complaining`."""
        if self.model.init is not None and self.order_seed != self.seed:
            yield Complaint.of(
                f"data_seed={self.data_seed}: with model.init, seed={self.seed} draws the order of the data and "
                f"nothing else; seed={self.data_seed} alone says the same.",
                data_seed="null",
            )
