"""Everything that may change the bits of a computation without changing what is computed.

Bits depend on the library versions, the processor's instruction set, dtype, thread count, compilation and how a
batch is split. All of it keys the store, and nothing is promised across it.
"""

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from repro.common.errors import UserError
from repro.common.packages import installed
from repro.config.settings import AUTO, NumericsSettings, Settings
from repro.models.optimizers.optimizer import optimizer

ENGINE = 1
"""Raised by hand whenever the training loop itself computes other bits."""


Machine: TypeAlias = dict[str, dict[str, str]]
"""What a machine adds to numerics, by part: a device, its C++ compiler, or what oneDNN takes into account."""

COMPILER = "c++"
COMPILED = "compiled for a GPU"
ONEDNN = "onednn"


VARIABLES = {
    "cpu": (
        *("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE", "MKL_DYNAMIC", "OPENBLAS_CORETYPE"),
        *("ONEDNN_MAX_CPU_ISA", "ONEDNN_CPU_ISA_HINTS", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_MAX_CPU_ISA"),
        *("DNNL_CPU_ISA_HINTS", "DNNL_DEFAULT_FPMATH_MODE", "BLIS_ARCH_TYPE", "GLIBC_TUNABLES"),
        *("OMP_DYNAMIC", "OMP_SCHEDULE", "OMP_THREAD_LIMIT", "KMP_DETERMINISTIC_REDUCTION", "KMP_DYNAMIC_MODE"),
    ),
    "cuda": (
        *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCH_BLAS_PREFER_CUBLASLT"),
        *("CUBLAS_WORKSPACE_CONFIG", "CUBLASLT_WORKSPACE_SIZE", "DISABLE_ADDMM_CUDA_LT", "NCCL_ALGO", "NCCL_PROTO"),
    ),
}
"""Variables of the environment that choose kernels, or how sums are split, by what they act on. Those that set the
number of threads are not among them: `numerics.threads` sets it whatever they say."""

INDUCTOR = "TORCHINDUCTOR_"
"""What the compiler's variables begin with. Most of its more than a hundred change the code it makes."""
ELSEWHERE = ("CACHE", "CACHE_DIR", "COMPILE_THREADS", "TIMEOUT", "TIMEOUT_SECONDS", "WORKER_START", "IN_SUBPROC")
"""How those end that say where and by how many it compiles, and nothing of the code."""


NONE_HERE = "none here: planning only"
"""In place of a processor: plans can be made for a device that is elsewhere."""


def describe(settings: Settings, machine: Machine | None = None) -> dict[str, Any]:
    """The run's numerics: flat, of JSON's own types.

    Args:
        machine: where it runs; None: here.

    Raises:
        UserError: the device does not exist here, or nothing would be compiled that is to be.
    """
    numerics = settings.numerics
    if numerics.compile and machine is None:
        _check_compiles()
    assert AUTO not in (numerics.matmul, numerics.compile), "a plan resolves them: repro.planning.choices"
    # What is off is left out, so that a new setting leaves the keys of runs without it as they were.
    more: dict[str, Any] = {"parallel": numerics.parallel} if numerics.world_size > 1 else {}
    if numerics.activation_checkpointing:
        more["activation_checkpointing"] = True
    more |= {package: installed(package) for package in optimizer(settings).packages}
    return more | {
        "engine": ENGINE,
        "torch": installed("torch"),
        "transformers": installed("transformers"),
        **_where(settings, machine),
        "device": numerics.device,
        "dtype": numerics.dtype,
        "threads": numerics.threads,
        "compile": numerics.compile,
        "micro_batch_blocks": numerics.micro_batch_size or settings.stream.global_batch_size // numerics.world_size,
        "world_size": numerics.world_size,
    }


def here(every: Iterable[Settings]) -> Machine:
    """This machine, as far as these settings go."""
    return {part: _part(part) for settings in every for part in _parts(settings)}


def _where(settings: Settings, machine: Machine | None) -> dict[str, str]:
    return {
        name: value
        for part in _parts(settings)
        for name, value in (_part(part) if machine is None else machine[part]).items()
    }


def _parts(settings: Settings) -> list[str]:
    asked, parts = settings.numerics, [settings.numerics.device]
    if asked.compile:
        parts.append(COMPILER if asked.device == "cpu" else COMPILED)
    if _asks_onednn(asked):
        parts.append(ONEDNN)
    return parts


def _part(part: str) -> dict[str, str]:
    if part == COMPILER:
        return {"compiler": _compiler()} | _variables(_inductors(), "compiler variables")
    if part == ONEDNN:
        # It cuts its products to the caches' sizes, which go with the processor's model.
        return {"matmul": f"onednn {_cpu('cpu family')}/{_cpu('model')}"} if _has_onednn() else {}
    if part == COMPILED:
        return _variables(_inductors(), "compiler variables")
    return dict(_processor(part)) | _variables(VARIABLES.get(part.partition(":")[0], ()), "variables")


def _inductors() -> list[str]:
    return sorted(each for each in os.environ if each.startswith(INDUCTOR) and not each.endswith(ELSEWHERE))


def _variables(names: Iterable[str], label: str) -> dict[str, str]:
    """What the environment says of kernels; nothing where it says nothing, as keys were before this was looked at."""
    found = [f"{each}={os.environ[each]}" for each in names if os.environ.get(each)]
    return {label: " ".join(found)} if found else {}


def choosable(settings: NumericsSettings) -> bool:
    """Whether there are two that could make the products of linear layers here."""
    return _asks_onednn(replace(settings, matmul="onednn")) and _has_onednn()


def processor_model() -> str:
    """What the speed of products goes with, in words."""
    return f"{_cpu('vendor_id')} family {_cpu('cpu family')} model {_cpu('model')} {_capability()}"


def onednn(settings: NumericsSettings) -> bool:
    """Whether oneDNN makes the products of linear layers here (repro.models.matmul)."""
    return _asks_onednn(settings) and _has_onednn()


def _asks_onednn(settings: NumericsSettings) -> bool:
    return settings.matmul == "onednn" and settings.device == "cpu" and settings.dtype == "float32"


@lru_cache
def _has_onednn() -> bool:
    import torch

    # Elsewhere than on x86, PyTorch's own products are oneDNN's where it has it.
    return platform.machine().lower() in ("x86_64", "amd64") and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def has_compiler() -> bool:
    """Whether torch.compile would find a C++ compiler here."""
    try:
        _check_compiles()
        return bool(_compiler())
    except UserError:
        return False


def _check_compiles() -> None:
    """
    Raises:
        UserError: torch.compile is turned off here, and would leave everything as it is.
    """
    for name in ("TORCH_COMPILE_DISABLE", "TORCHDYNAMO_DISABLE"):
        if os.environ.get(name) == "1":
            raise UserError(
                f"numerics.compile=true compiles nothing while {name}=1; unset it, or set numerics.compile=false."
            )


@lru_cache
def _compiler() -> str:
    """The C++ compiler that torch.compile would call for a CPU, with its version."""
    command = os.environ.get("CXX", "g++")
    try:
        said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise UserError(
            f"numerics.compile=true needs a C++ compiler on a CPU, and {command!r} does not run; install one "
            "(Debian: g++), name another in the variable CXX, or set numerics.compile=false."
        ) from None
    return said.splitlines()[0]


def check_here(device: str) -> None:
    """Refuse a device that this machine has not.

    Raises:
        UserError
    """
    if _processor(device).get("processor") == NONE_HERE:
        import torch

        raise UserError(
            f"numerics.device={device}: this machine's torch ({torch.__version__}) sees no such GPU. numerics=cpu "
            "works here; repro.plan works anywhere."
        )


@lru_cache
def _processor(device: str) -> Mapping[str, str]:
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise UserError(f"numerics.device={device!r} is no device; cpu and cuda work.") from None
    if kind == "cuda":
        if not torch.cuda.is_available() or (torch.device(device).index or 0) >= torch.cuda.device_count():
            return MappingProxyType({"processor": NONE_HERE})
        major, minor = torch.cuda.get_device_capability(device)
        name = f"{torch.cuda.get_device_name(device)} sm_{major}{minor}"
        return MappingProxyType({"processor": name, "cuda": str(torch.version.cuda)})
    if device != "cpu":
        raise UserError(f"numerics.device={device!r} is not supported; cpu, cuda and cuda:NUMBER are.")
    # MKL chooses its kernels by vendor as well as by instruction set.
    return MappingProxyType({"processor": f"{platform.machine()} {_cpu('vendor_id')} {_capability()}"})


def _capability() -> str:
    import torch

    return torch.backends.cpu.get_cpu_capability()


def _cpu(what: str) -> str:
    """What Linux says of the processor under this name; elsewhere, the processor's name."""
    try:
        with Path("/proc/cpuinfo").open() as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == what:
                    return value.strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def called(name: str) -> str:
    """What a part of numerics is called as a setting; keys began with another name for one of them."""
    return {"micro_batch_blocks": "micro_batch_size"}.get(name, name)


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Each setting in which two numerics differ: `threads (theirs 2, ours 1)`."""
    return ", ".join(
        f"{called(name)} (theirs {theirs.get(name)}, ours {ours.get(name)})" for name in differing(ours, theirs)
    )


def differing(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Names of the settings in which two numerics differ."""
    return sorted(name for name in ours | theirs if ours.get(name) != theirs.get(name))
