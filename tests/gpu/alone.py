"""What tests/gpu/test_gpu.py has one process do under torchrun: DEVICE OVERRIDES...

A model that is sharded over one process has the loss and the gradients of one that is not.
"""

import sys
from functools import lru_cache

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from repro.config.settings import NumericsSettings
from repro.models.architectures.architecture import architecture
from repro.models.loss import cross_entropy
from repro.planning.sweeps import compose
from repro.training import parallel


def gradients(numerics: NumericsSettings, overrides: list[str]) -> tuple[float, dict[str, torch.Tensor]]:
    (settings,) = compose(overrides)
    model = architecture(settings.model).build(300, 32, seed=0)
    forward = parallel.distribute(model, numerics)
    tokens = torch.randint(300, (4, 33), generator=torch.Generator().manual_seed(0)).to(numerics.device)
    loss = cross_entropy(forward(input_ids=tokens[:, :-1]).logits, tokens[:, 1:])
    loss.backward()
    found = {}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert hasattr(parameter, "full_tensor") == (numerics.world_size > 1), "sharded, or not"
        found[name] = parameter.grad.full_tensor() if numerics.world_size > 1 else parameter.grad
    return loss.item(), found


def main() -> None:
    device, *overrides = sys.argv[1:]
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    # `world_size` is that of a run of several; here there is one.
    parallel._mesh = lru_cache(lambda kind, size: init_device_mesh(kind, (1,)))
    plain = gradients(NumericsSettings(device=device), overrides)
    sharded = gradients(NumericsSettings(device=device, parallel="fsdp", world_size=2), overrides)
    assert plain[0] == sharded[0], (plain[0], sharded[0])
    for name, gradient in plain[1].items():
        assert torch.equal(gradient, sharded[1][name]), name
    print("the same")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
