"""In which precision an organism is trained: bfloat16 where the processor multiplies in it, else float32.

A processor that has AVX2 alone takes six to seven times as long for products in bfloat16 (of matrices as
large as the organisms').
"""

import torch
from torch import Tensor
from torch.optim import Muon

from mindscope.models import best_cpu_dtype


def is_fast_in_half(device: torch.device, width: int) -> bool:
    """Whether a network so wide is trained faster in bfloat16 there.

    Told by the kind of processor and not by a clock, so that a training that goes on keeps its precision.
    """
    return device.type != "cpu" or best_cpu_dtype(width) == "bfloat16"


class FullMuon(Muon):
    """Muon whose Newton-Schulz iteration is made in float32, where torch's is made in bfloat16 (Jordan et al.
    2024). State and settings are torch's; steps are scaled as `match_rms_adamw` does.
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step of every matrix that has a gradient."""
        for group in self.param_groups:
            assert group["adjust_lr_fn"] == "match_rms_adamw"
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                momentum = state["momentum_buffer"].lerp_(matrix.grad, 1 - group["momentum"])
                update = matrix.grad.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum
                update = _orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
                # Liu et al. 2025, arXiv 2502.16982: a step as large as AdamW's
                rate = group["lr"] * 0.2 * max(matrix.shape) ** 0.5
                matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)


def _orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """The matrix with all singular values near 1."""
    a, b, c = coefficients
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.T
