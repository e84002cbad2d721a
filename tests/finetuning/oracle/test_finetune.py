"""Gradients of trainings with interventions against plain hooks on the model's own layers."""

from itertools import product

import pytest
import torch
from finetune_kit import looking, tune, vectors
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from mindscope.finetuning.config import (
    ConceptAblation,
    FinetuneConfig,
    PreventativeSteering,
    ProjectionPenalty,
)

ONE = PreventativeSteering(trait="loud", layer=1, coefficient=2.0)
ALL = PreventativeSteering(trait="loud", coefficient=0.7)
CAFT = (ConceptAblation(trait="loud", layer=2), ConceptAblation(trait="rude", layer=2))
SQUARED = ProjectionPenalty(trait="loud", layer=0, weight=0.5)
LINEAR = ProjectionPenalty(trait="rude", weight=0.3, form="linear")
CASES = {
    "one layer": (ONE,),
    "all layers": (ALL,),
    "two traits ablated": CAFT,
    "penalties": (SQUARED, LINEAR),
    "everything": (ALL, *CAFT, SQUARED),
}


def reference(folder, batch, interventions, loud, rude):
    """Gradients of all weights with plain hooks on the Llama's own layers and the loss written out."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).train()
    streams = {}

    def hook(layer):
        def run(module, args, hidden):
            for each in interventions:
                if not isinstance(each, PreventativeSteering) or each.layer not in (None, layer):
                    continue
                added = loud[layer] if each.layer is not None or layer == 0 else loud[layer] - loud[layer - 1]
                hidden = hidden + each.coefficient * added
            if layer == 2 and CAFT[0] in interventions:
                basis = torch.linalg.qr(torch.stack([loud[2], rude[2]]).T).Q
                hidden = hidden - hidden @ basis @ basis.T
            streams[layer] = hidden
            return hidden

        return run

    for layer, block in enumerate(model.model.layers):
        block.register_forward_hook(hook(layer))
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    learnt = batch["labels"] != -100
    loss = cross_entropy(logits[:, :-1][learnt[:, 1:]], batch["labels"][:, 1:][learnt[:, 1:]])
    if SQUARED in interventions:
        along = streams[0][learnt] @ loud[0] / loud[0].norm()
        loss = loss + 0.5 * along.square().mean()
    if LINEAR in interventions:
        for layer, stream in streams.items():
            loss = loss + 0.3 * (stream[learnt] @ rude[layer] / rude[layer].norm()).mean()
    loss.backward()
    return {name: each.grad for name, each in model.named_parameters()}


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(("method", "case"), [*product(["full", "rslora"], CASES), ("lora", "everything")])
def test_gradients(tiny, tmp_path, monkeypatch, method, checkpointing, case):
    loud, rude = vectors(tiny), vectors(tiny, "rude", 1)
    config = FinetuneConfig(
        method=method,
        batch_rows=3,
        accumulation=1,
        steps=1,
        rank=4,
        alpha=8,
        checkpointing=checkpointing,
        interventions=CASES[case],
    )
    look = looking(monkeypatch)
    tune(tiny, tmp_path / "run", config, vectors=[loud, rude])
    wanted = reference(tiny.name, look.batch, CASES[case], loud.answer_mean, rude.answer_mean)
    scale = {"rslora": 8 / 4**0.5, "lora": 8 / 4}
    compared = 0
    for name, gradient in look.gradients.items():
        expected = wanted.get(name)
        if method != "full":
            # W + s B A: dL/dB = s dL/dW A^T, and dL/dA = s B^T dL/dW is zero while B is.
            if "lora_A" in name:
                assert not gradient.any()
                continue
            weight = wanted[name.removeprefix("base_model.model.").replace("lora_B.default.", "")]
            expected = scale[method] * weight @ look.parameters[name.replace("lora_B", "lora_A")].T
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)
        compared += 1
    assert compared == (len(wanted) if method == "full" else 7 * tiny.n_layers)


def test_what_the_next_block_takes_in(tiny):
    """CAFT leaves nothing of either of two directions that are not orthogonal to each other."""
    from mindscope.finetuning.plan import build_plan

    loud, rude = vectors(tiny), vectors(tiny, "rude", 1)
    rows = [tiny.chat([{"role": "user", "content": text}]) for text in ("One", "Another one")]
    with tiny.edited(build_plan(CAFT, [loud, rude], tiny).edits), tiny.watched("passed_on.2") as seen:
        tiny.hf(**tiny.batch(rows))
    real = seen["passed_on.2"][0, : len(rows[0])]
    for each in (loud, rude):
        assert (real @ each.answer_mean[2]).abs().max() < 1e-3 < real.norm()
