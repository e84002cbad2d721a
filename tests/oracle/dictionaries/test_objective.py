"""Loss terms against plain formulas with loops, and every term's way to a gradient."""

from typing import Any

import pytest
import torch
from torch import Tensor

from mindscope.dictionaries import DictionaryConfig, Site
from mindscope.dictionaries.objective import Outcome, State, outcome
from mindscope.dictionaries.weights import Weights

D, LATENTS, TOKENS, K = 10, 32, 24, 4
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sae": (("a.0",), ("a.0",)),
    "transcoder": (("a.0",), ("b.0",)),
    "crosscoder": (("a.0", "a.1"), ("a.0", "a.1")),
    "clt": (("a.0", "a.1", "a.2"), ("b.0", "b.1", "b.2")),
}
METHODS = ("relu", "topk", "batchtopk", "matryoshka", "jumprelu")


def weights(kind: str, method: str, **options: Any) -> Weights:
    """Random weights, far from where training begins."""
    reads, writes = KINDS[kind]
    config = DictionaryConfig(
        name="x", kind=kind, reads=reads, writes=writes, n_latents=LATENTS, method=method, k=K, **options
    ).resolved(100)
    found = Weights(config, [Site(name, D) for name in reads], [Site(name, D) for name in writes])
    draw = torch.Generator().manual_seed(2)
    for parameter in found.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.5
    return found


def data(kind: str) -> tuple[Tensor, Tensor]:
    reads, writes = KINDS[kind]
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(TOKENS, D * len(reads), generator=draw)
    return x, x if reads == writes else torch.randn(TOKENS, D * len(writes), generator=draw)


def run(found: Weights, *, density: float = 1.0, dead: int = 0) -> Outcome:
    silent = torch.zeros(LATENTS, dtype=torch.bool)
    silent[:dead] = True
    coders = len(found.wiring)
    state = State(0.5, 2.0, [0.0] * coders, [silent] * coders, density, False)
    return outcome(found, *data(found.config.kind), state)


def parts(found: Weights, index: int) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in list(found.coders())[index][0].items()}


def activations(found: Weights, x: Tensor) -> list[Tensor]:
    """Per coder dense activations, by the definition of each method."""
    config, all_acts = found.config, []
    if config.top and config.kind == "sae":
        x = x - found.b_dec.detach()
    for index, wiring in enumerate(found.wiring):
        own = parts(found, index)
        read = torch.cat([x[:, i * D : (i + 1) * D] for i in wiring.reads], dim=1)
        pre = read @ own["W_enc"].T + own["b_enc"]
        score = pre
        if config.kind == "crosscoder":
            score = pre * sum(part.norm(dim=1) for part in own["W_dec"].split(D, dim=1))
        if config.method == "relu":
            acts = pre.relu()
        elif config.method == "jumprelu":
            acts = pre * (pre > own["log_threshold"].exp())
        elif config.method == "topk":
            acts = pre * (score >= score.topk(K).values[:, -1:]) * (pre > 0)
        else:
            acts = pre * (score >= score.flatten().topk(K * TOKENS).values[-1]) * (pre > 0)
        all_acts.append(acts)
    return all_acts


def written(found: Weights, acts: list[Tensor], x: Tensor, upto: int = LATENTS) -> Tensor:
    """What coders write together, site by site."""
    sites = []
    for at in range(len(found.writes)):
        total = found.b_dec.detach()[at * D : (at + 1) * D].expand(TOKENS, D).clone()
        for index, wiring in enumerate(found.wiring):
            if at in wiring.writes:
                place = wiring.writes.index(at)
                rows = parts(found, index)["W_dec"][:, place * D : (place + 1) * D]
                total += acts[index][:, :upto] @ rows[:upto]
        if found.config.skip:
            total += x @ parts(found, 0)["W_skip"]
        sites.append(total)
    return torch.cat(sites, dim=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_terms_equal_their_formulas(kind: str, method: str) -> None:
    found = weights(kind, method, **({"skip": True} if kind == "transcoder" else {}))
    (x, y), result = data(kind), run(found)
    acts = activations(found, x)
    ends = found.config.group_ends
    errors = [float((written(found, acts, x, end) - y).square().sum()) / TOKENS for end in ends]
    scale = 2.0 if found.config.top else 1.0  # the state's variance
    assert float(result.terms["reconstruction"]) == pytest.approx(sum(errors) / scale, rel=1e-4)
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
            weighed = torch.tanh(4 * weighed)
            read = torch.cat([x[:, i * D : (i + 1) * D] for i in found.wiring[index].reads], dim=1)
            gap = (own["log_threshold"].exp() - (read @ own["W_enc"].T + own["b_enc"])).relu()
            below += 3e-6 * float((gap * norms).sum()) / TOKENS
        penalty += float(weighed.sum()) / TOKENS
    coefficient = 0.5 * {"relu": 5.0, "jumprelu": 10.0}[method]  # half-way up the ramp
    assert float(result.terms["sparsity"]) == pytest.approx(coefficient * penalty, rel=1e-4)
    if method == "jumprelu":
        assert float(result.terms["preact"]) == pytest.approx(below, rel=1e-4)


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
    assert float(result.terms["auxk"].detach()) == pytest.approx(float(wanted), rel=1e-4)
    # Only the dead latents learn from it, and none of it changes the decoder's bias.
    gradient = torch.autograd.grad(result.terms["auxk"], found.parts[0]["W_dec"], retain_graph=True)[0]
    assert gradient[:dead].any()
    assert not gradient[dead:].any()
