"""Operations that make weights out of other weights, without training: sums and means of checkpoints.

An operation is hashed by its effect (`Operation.identity`), and so may not depend on anything else: not on threads,
devices or the order in which a dictionary was filled. Written with tensors' own methods, so that torch is not imported.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from repro.common.errors import UserError
from repro.common.registry import Registry

if TYPE_CHECKING:
    import torch

Files: TypeAlias = "dict[str, dict[str, torch.Tensor]]"
"""What a checkpoint holds: by file (`model`, `optimizer`), by name."""

OPERATIONS: "Registry[type[Operation]]" = Registry("operation")
"""By kind, so that no two operations share an identity."""


@dataclass(frozen=True)
class Operation:
    """Makes weights out of other weights."""

    kind: ClassVar[str]
    """Its name in `OPERATIONS`."""
    files: ClassVar[tuple[str, ...]] = ("model",)
    """What it reads of each parent, and gives. With `optimizer` it also says what becomes of the optimizer's state;
    without, training that starts from its result starts with a fresh optimizer."""

    @property
    def identity(self) -> dict[str, Any]:
        """What fixes its effect, in JSON's own types; with its kind."""
        raise NotImplementedError

    def apply(self, parents: Iterable[Files]) -> Files:
        """
        Args:
            parents: their files, one parent after the other, on the CPU; not to be changed. An iterable, so that only
                one of them has to be in memory.

        Returns:
            New tensors, of the parents' dtypes.
        """
        raise NotImplementedError


@OPERATIONS.register("sum")
@dataclass(frozen=True)
class Sum(Operation):
    """c_1 A + c_2 B + ...: of weights, parameter by parameter.

    In float64, parent after parent in the order given, and rounded once in the end: elementwise products and sums are
    exact to IEEE 754 everywhere, so that the bits depend on nothing but the parents.
    """

    kind = "sum"

    coefficients: tuple[float, ...]
    """One a parent."""

    @property
    def identity(self) -> dict[str, Any]:
        """Coefficients by their exact bits: 1/4 and 0.25 are one."""
        return {"kind": self.kind, "coefficients": [float(c).hex() for c in self.coefficients]}

    def apply(self, parents: Iterable[Files]) -> Files:
        """See `Operation`."""
        total: dict[str, torch.Tensor] = {}
        dtypes: dict[str, torch.dtype] = {}
        for coefficient, parent in zip(self.coefficients, parents, strict=True):
            weights = parent["model"]
            assert not total or total.keys() == weights.keys(), "parents of one shape"
            for name, weight in weights.items():
                term = weight.double() * coefficient
                dtypes.setdefault(name, weight.dtype)
                total[name] = total[name] + term if name in total else term
        return {"model": {name: value.to(dtypes[name]) for name, value in total.items()}}


def mean(weights: Sequence[float | Fraction]) -> Sum:
    """A weighted mean, which is a sum whose coefficients add up to one.

    Raises:
        UserError: they do not.
    """
    total = math.fsum(weights)
    if not math.isclose(total, 1.0, rel_tol=0, abs_tol=1e-9):
        raise UserError(
            f"the weights of a mean, {', '.join(f'{float(w):g}' for w in weights)}, sum to {total:g} and not to 1; "
            "divide them by their sum, or use operations.Sum."
        )
    return Sum(tuple(float(weight) for weight in weights))
