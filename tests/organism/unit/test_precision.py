"""Training an organism in float32 where a processor does not multiply in bfloat16."""

import pytest
import torch
from torch.optim import Muon

from mindscope.organism.training.precision import FullMuon, is_fast_in_half

SETTINGS = {"lr": 4e-3, "weight_decay": 0.3, "adjust_lr_fn": "match_rms_adamw"}


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (16, 16)])
def test_steps_are_torchs_but_for_rounding(shape: tuple[int, int]):
    draw = torch.Generator().manual_seed(5)
    start = torch.randn(shape, generator=draw)
    pair = [torch.nn.Parameter(start.clone()) for _ in range(2)]
    theirs, ours = Muon([pair[0]], **SETTINGS), FullMuon([pair[1]], **SETTINGS)
    for _ in range(6):
        gradient = torch.randn(shape, generator=draw)
        for weight, optimizer in zip(pair, (theirs, ours), strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    moved, other = (weight.detach() - start for weight in pair)
    assert (moved - other).norm() < 0.02 * moved.norm()
    assert set(theirs.state[pair[0]]) == set(ours.state[pair[1]])  # a checkpoint serves both
    torch.testing.assert_close(
        theirs.state[pair[0]]["momentum_buffer"], ours.state[pair[1]]["momentum_buffer"]
    )


def test_what_has_no_gradient_stays():
    weight = torch.nn.Parameter(torch.ones(3, 4))
    FullMuon([weight], **SETTINGS).step()
    assert torch.equal(weight.detach(), torch.ones(3, 4))


@pytest.mark.parametrize("able", [{}, {"avx512_bf16": True}, {"amx_bf16": True}])
def test_the_kind_of_processor_decides(monkeypatch: pytest.MonkeyPatch, able: dict[str, bool]):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert is_fast_in_half(torch.device("cpu"), 256) is bool(able)
    assert is_fast_in_half(torch.device("cuda"), 256)
