import pytest
import tiny_models
import torch

from mindscope.features import Direction, FeatureSet
from mindscope.models import Model
from mindscope.monitoring import Calibration, Signal

LLAMA = next(family for family in tiny_models.FAMILIES if family.name == "llama")


@pytest.fixture(scope="session")
def llama() -> Model:
    return tiny_models.build(LLAMA)


@pytest.fixture
def features(llama: Model) -> FeatureSet:
    """Two traits at two layers."""
    generator = torch.Generator().manual_seed(1)
    return FeatureSet(
        [
            Direction(name, f"resid_post.{layer}", torch.randn(32, generator=generator), llama.fingerprint)
            for name in ("evil", "kind")
            for layer in (2, 0)
        ]
    )


@pytest.fixture(scope="session")
def relapsing() -> Model:
    """A model whose every step is known: the residual stream is the last token's embedding.

    w1 lies 5 along e0 and calls for w1 again because of it; without that part it calls for w2. w2 has no part
    along e0 and calls for w2.
    """
    model = tiny_models.build(LLAMA)
    inner = model.hf.model
    with torch.no_grad():
        for block in inner.layers:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
        inner.norm.weight.fill_(1)
        inner.embed_tokens.weight.zero_()
        model.hf.lm_head.weight.zero_()
        inner.embed_tokens.weight[1, :2] = torch.tensor([5.0, 1.0])
        inner.embed_tokens.weight[2, 2] = 1.0
        model.hf.lm_head.weight[1, 0] = 10.0
        model.hf.lm_head.weight[2, 1:3] = 3.0
    return Model.wrap(model.hf, model.tokenizer, name="relapsing")


@pytest.fixture(scope="session")
def e0(relapsing: Model) -> Direction:
    return Direction("e0", "resid_post.1", 5 * torch.eye(32)[0], relapsing.fingerprint)


@pytest.fixture(scope="session")
def thresholds(e0: Direction) -> Calibration:
    """Above 2 is an alarm, below 20/19 it is over."""
    known = FeatureSet([e0])
    scores = torch.linspace(0, 2, 20, dtype=torch.float64)[:, None]
    return Calibration(known.keys, known.digest(), known.fingerprint, Signal(window=1), 0.05, "each", scores)
