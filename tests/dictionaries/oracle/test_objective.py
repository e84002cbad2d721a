"""Loss terms against plain formulas with loops, and every term's way to a gradient."""

import pytest
import torch
from dictionary_kit import KINDS, LATENTS, METHODS, TOKENS, D, activations, data, parts, weights, written

from mindscope.dictionaries.training.objective import LossOutput, LossState, compute_loss
from mindscope.dictionaries.training.weights import TrainableWeights


def run(found: TrainableWeights, *, density: float = 1.0, dead: int = 0) -> LossOutput:
    silent = torch.zeros(LATENTS, dtype=torch.bool)
    silent[:dead] = True
    coders = len(found.wiring)
    state = LossState(0.5, 2.0, [0.0] * coders, [silent] * coders, density, False)
    return compute_loss(found, *data(found.config.kind), state)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_terms_equal_their_formulas(kind: str, method: str) -> None:
    found = weights(kind, method, **({"skip": True} if kind == "transcoder" else {}))
    (x, y), result = data(kind), run(found)
    acts = activations(found, x)
    ends = found.config.group_ends
    errors = [float((written(found, acts, x, end) - y).square().sum()) / TOKENS for end in ends]
    scale = 2.0 if found.config.top else 1.0  # the state's variance
    assert result.terms["reconstruction"].item() == pytest.approx(sum(errors) / scale, rel=1e-4)
    torch.testing.assert_close(result.residual, y - written(found, acts, x), rtol=1e-4, atol=1e-4)
    assert [active.tolist() for active in result.active] == [(one > 0).sum(0).tolist() for one in acts]
    if found.config.top:
        assert set(result.terms) == {"reconstruction"}
        return
    penalty, below = 0.0, 0.0
    for index, one in enumerate(acts):
        own = parts(found, index)
        split = own["W_dec"].split(D, dim=1) if kind == "crosscoder" else (own["W_dec"],)
        norms = sum((part.norm(dim=1) for part in split), torch.zeros(LATENTS))
        weighed = one * norms
        if method == "jumprelu":
            weighed = torch.tanh((1 if kind == "clt" else 4) * weighed)
            read = torch.cat([x[:, i * D : (i + 1) * D] for i in found.wiring[index].reads], dim=1)
            gap = (own["log_threshold"].exp() - (read @ own["W_enc"].T + own["b_enc"])).relu()
            below += 3e-6 * float((gap * norms).sum()) / TOKENS
        penalty += float(weighed.sum()) / TOKENS
    coefficient = 0.5 * {"relu": 5.0, "jumprelu": 10.0}[method]  # half-way up the ramp
    assert result.terms["sparsity"].item() == pytest.approx(coefficient * penalty, rel=1e-4)
    if method == "jumprelu":
        assert result.terms["preact"].item() == pytest.approx(below, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_every_term_reaches_a_gradient(kind: str, method: str) -> None:
    found = weights(kind, method)
    dead = LATENTS // 4 if found.config.top else 0
    terms = run(found, dead=dead).terms
    expected = {"reconstruction", "auxk"} if found.config.top else {"reconstruction", "sparsity"}
    assert set(terms) == expected | ({"preact"} if method == "jumprelu" else set())
    for name, term in terms.items():
        gradients = torch.autograd.grad(term, list(found.parameters()), retain_graph=True, allow_unused=True)
        assert any(gradient is not None and gradient.any() for gradient in gradients), name


def test_the_sparse_way_of_relu_equals_the_dense_one() -> None:
    for kind in KINDS:
        results = []
        for density in (1.0, 0.01):
            found = weights(kind, "relu")
            result = run(found, density=density)
            torch.stack([*result.terms.values()]).sum().backward()
            results.append([*result.terms.values(), *(one.grad for one in found.parameters())])
        for dense, sparse in zip(*results, strict=True):
            torch.testing.assert_close(sparse, dense, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dead", [3, 20])
def test_auxk_reconstructs_the_residual_without_the_bias(dead: int) -> None:
    """Fewer dead latents than d / 2, and more, of which only the d / 2 most active take part."""
    found = weights("sae", "topk")
    result = run(found, dead=dead)
    own, (x, _) = parts(found, 0), data("sae")
    pre = (x - found.b_dec.detach()) @ own["W_enc"][:dead].T + own["b_enc"][:dead]
    k_aux = min(D // 2, dead)
    acts = pre.relu() * (pre >= pre.topk(k_aux).values[:, -1:])
    guess = acts @ own["W_dec"][:dead]
    spread = (result.residual - result.residual.mean(0)).square().sum()
    wanted = (result.residual - guess).square().sum() / spread / 32
    assert result.terms["auxk"].item() == pytest.approx(float(wanted), rel=1e-4)
    # Only the dead latents learn from it, and none of it changes the decoder's bias.
    gradient = torch.autograd.grad(result.terms["auxk"], next(found.coders()).W_dec, retain_graph=True)[0]
    assert gradient[:dead].any()
    assert not gradient[dead:].any()
