"""The straight-through gradient against the formula of the circuits update of January 2025."""

import math

import torch

from mindscope.dictionaries.training.kernels import jumprelu

BANDWIDTH = 2.0


def test_values_and_gradients() -> None:
    draw = torch.Generator().manual_seed(0)
    z = (3 * torch.randn(40, 6, generator=draw)).requires_grad_()
    t = (0.5 * torch.randn(6, generator=draw)).requires_grad_()
    gradient = torch.randn(40, 6, generator=draw)
    out = jumprelu(z, t, BANDWIDTH)
    out.backward(gradient)

    to_z, to_t = torch.zeros(40, 6), torch.zeros(6)
    for token in range(40):
        for latent in range(6):
            value, threshold = z[token, latent].item(), math.exp(t[latent].item())
            active = value > threshold
            assert out[token, latent].item() == (value if active else 0.0)
            to_z[token, latent] = gradient[token, latent].item() if active else 0.0
            if abs(value - threshold) < BANDWIDTH / 2:
                to_t[latent] -= threshold / BANDWIDTH * gradient[token, latent].item()
    assert z.grad is not None
    assert t.grad is not None
    torch.testing.assert_close(z.grad, to_z)
    torch.testing.assert_close(t.grad, to_t)
    assert to_t.abs().min() > 0
