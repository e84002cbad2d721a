"""Numbers that are none are refused where they are read, whatever makes of them what looks like numbers."""

import pytest
import tiny_models
import torch

from mindscope.errors import ModelError
from mindscope.models import Apply, Edit, Last, Mean, Model, Project, Raw, Read, Row, Sampling
from mindscope.models.generation.batch import DecodingBatch
from mindscope.models.generation.request import GenerationRequest

REDUCTIONS = {
    "mean": Mean("all"),
    "last": Last("all"),
    "raw": Raw(),
    "project": Project(torch.ones(2, 32), "all"),
    "threshold": Apply(lambda tokens: (tokens > 1).float(), 32, "all"),  # NaN is not above it: a plain 0
}


@pytest.fixture(scope="module")
def narrow() -> Model:
    """A Gemma 3 whose activations leave float16's range, 65504, from the first block on."""
    family = next(family for family in tiny_models.FAMILIES if family.name == "gemma3_text")
    model = tiny_models.build(family)
    with torch.no_grad():
        model.hf.model.embed_tokens.weight.mul_(60000)
    return Model.wrap(model.hf.half(), model.tokenizer, name="narrow")


@pytest.mark.parametrize("reduction", REDUCTIONS.values(), ids=REDUCTIONS)
def test_what_overflows_is_refused_wherever_it_is_read(narrow, rows, reduction):
    with pytest.raises(ModelError, match=r"at resid_post\.2, in float16: load it in float32"):
        narrow.read(rows, {"read": Read("resid_post.2", reduction)})


@pytest.mark.parametrize("reduction", REDUCTIONS.values(), ids=REDUCTIONS)
def test_a_row_that_overflows_while_it_is_written_ends_alone(llama, reduction):
    wild = Edit("resid_post.1", "replace", torch.full((32,), 1e38), 10.0, "response")
    reads = {"read": Read("resid_post.1", reduction)}
    batch = DecodingBatch(llama, eos_ids=frozenset())
    requests = [
        GenerationRequest(
            Row((4, 9, 2), 3), Sampling(max_new_tokens=3), index=index, edits=edits, reads=reads
        )
        for index, edits in enumerate([(), (wild,), ()])
    ]
    handles = [batch.admit(request) for request in requests]
    while batch.busy:
        batch.step()
        batch.retire()
    with pytest.raises(ModelError, match=r"not finite|NaN or infinity"):
        handles[1].result()
    (alone,) = llama.generate([Row((4, 9, 2), 3)], Sampling(max_new_tokens=3), reads=reads, seeds=[0])
    for handle in (handles[0], handles[2]):
        values = handle.result().reads["read"]
        assert values.isfinite().all()
        assert values.shape == alone.reads["read"].shape


def test_a_row_without_such_a_token_is_not_refused(llama, rows):
    reading = llama.read(rows, {"mean": Read("resid_post.1", Mean("answer"))})["mean"]
    assert reading.values.isnan().any(1).tolist() == [not row.answer for row in rows]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma3_text"])
def test_padding_in_half_precision_leaves_numbers_numbers(name, dtype):
    """Rows of 1 and of 33, 64 and 65 tokens, left-padded: kernels count in blocks of 32 and 64."""
    family = next(family for family in tiny_models.FAMILIES if family.name == name)
    built = tiny_models.build(family, max_position_embeddings=128)
    model = Model.wrap(built.hf.to(dtype), built.tokenizer, name=name)
    generator = torch.Generator().manual_seed(0)
    rows = [Row(tuple(torch.randint(0, 60, (n,), generator=generator).tolist()), n) for n in (1, 33, 64, 65)]
    together = model.next_logits(rows)
    assert together.isfinite().all()
    for row, logits in zip(rows, together, strict=True):
        alone = model.next_logits([row])[0]
        assert (logits - alone).abs().max() < 0.05 * alone.abs().max()
    written = model.generate(
        rows, Sampling(max_new_tokens=3, temperature=0), reads={"r": Read("resid_post.2", Raw())}
    )
    assert all(generation.reads["r"].isfinite().all() for generation in written)
