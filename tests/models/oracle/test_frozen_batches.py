"""Many prompts held in one batch, against each one held by itself; and generating from held prompts."""

import pytest
import torch
from tiny_models import FAMILIES, build, hooks_on, rows

from mindscope.models import Edit, Model, Raw, Read, Row, Sampling
from mindscope.models.linear.frozen import FrozenPasses, freeze, frozen

NAMED = {family.name: family for family in FAMILIES}
GIVEN = [*rows()[:4], rows()[1]]
READS = {"x": Read("resid_post.2", Raw("all")), "final": Read("final_norm", Raw("all"))}


@pytest.fixture(scope="module", params=["llama", "gemma2", "gpt2", "gpt_neox", "olmo2", "mistral"])
def model(request: pytest.FixtureRequest) -> Model:
    return build(NAMED[request.param])


def held(model: Model, given: list[Row]) -> FrozenPasses:
    distinct = list(dict.fromkeys(row.ids for row in given))
    passes = [freeze(model, Row(ids, len(ids))) for ids in distinct]
    return FrozenPasses(passes, [distinct.index(row.ids) for row in given])


def edits(model: Model) -> list[list[Edit]]:
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(2))
    return [[Edit("resid_post.0", "add", vector, 0.5 * number + 0.5, (1,))] for number in range(len(GIVEN))]


@pytest.mark.parametrize("norms", [True, False])
def test_each_row_is_held_as_by_itself(model: Model, norms: bool):
    given, pushed = [row for row in GIVEN if len(row) > 1], edits(model)
    with frozen(model, held(model, given), norms=norms):
        together = model.read(given, READS, edits=pushed[: len(given)])
        logits = model.next_logits(given, edits=pushed[: len(given)])
    for number, row in enumerate(given):
        with frozen(model, freeze(model, row), norms=norms):
            alone = model.read([row], READS, edits=pushed[number])
            torch.testing.assert_close(logits[number], model.next_logits([row], edits=pushed[number])[0])
        for name in READS:
            torch.testing.assert_close(
                together[name].values[number], alone[name].values[0], rtol=1e-4, atol=1e-4
            )
    free = model.next_logits(given, edits=pushed[: len(given)])
    assert (free - logits).abs().max() > 1e-3  # held and free are not the same
    assert hooks_on(model) == 0


def test_what_is_generated_from_held_prompts(model: Model, monkeypatch):
    """The cached way, prompt in blocks of columns, against a pass over each finished row."""
    pushed, sampling = edits(model), Sampling(temperature=0, max_new_tokens=5)
    reads = {"x": Read("resid_post.2", Raw("all")), "logits": Read("lm_head", Raw("all"))}
    kept = held(model, GIVEN)
    monkeypatch.setattr(type(model), "pass_tokens", 4 * len(GIVEN))
    with frozen(model, kept):
        found = model.generate(GIVEN, sampling, edits=pushed, reads=reads)
    monkeypatch.undo()
    with frozen(model, kept):
        again = model.read([one.row for one in found], reads, edits=pushed)
    for number, one in enumerate(found):
        for name in reads:
            torch.testing.assert_close(one.reads[name], again[name].values[number], rtol=1e-4, atol=1e-4)
        said = again["logits"].values[number].argmax(-1).tolist()
        new = range(len(GIVEN[number]), len(one.row))
        assert len(new)
        assert all(one.row.ids[at] == said[at - 1] for at in new)
    assert hooks_on(model) == 0


def test_padding_that_is_not_finite_stays_with_itself():
    """The values of the shorter row's padding are infinite; both rows are as they are without."""
    model = build(NAMED["llama"])
    given = [Row((4, 9, 2, 7, 5), 5), Row((4, 9), 2)]

    def spoil(_module, _args, output):
        output = output.clone()
        output[1, :3] = torch.inf  # padding is on the left
        return output

    with frozen(model, held(model, given)):
        expected = model.next_logits(given)
        handle = model.hf.model.layers[1].self_attn.v_proj.register_forward_hook(spoil)
        try:
            logits = model.next_logits(given)
        finally:
            handle.remove()
    torch.testing.assert_close(logits, expected)
