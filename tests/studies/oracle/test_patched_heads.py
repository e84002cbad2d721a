"""Activation patching of heads, against ten lines with a plain hook."""

import torch

from mindscope import organism
from mindscope.models import load
from mindscope.studies.known_circuits.measure import patch_heads
from mindscope.studies.known_circuits.prompts import NamedPrompt


def test_a_patched_head_does_what_a_plain_hook_does():
    model = load(organism.weights_folder(), dtype="float32")
    prompt = NamedPrompt("the flower of {0} and {1} of {2} is", ("Renton", "Tavton"), 0, "")
    n_heads = model.hf.config.num_attention_heads
    effects = patch_heads(model, prompt, n_heads)
    ours, theirs = (torch.tensor([model.text(text).ids]) for text in (prompt.text, prompt.opposite))
    more, less = (model.tokenizer.encode(f" {name}", add_special_tokens=False)[0] for name in prompt.names)
    first = int((ours != theirs).nonzero()[0, 1])
    assert effects.shape == (model.n_layers, n_heads)
    for layer, block in enumerate(model.hf.model.layers):
        into, kept = block.self_attn.o_proj, []
        handle = into.register_forward_pre_hook(lambda _, given, kept=kept: kept.append(given[0].clone()))
        with torch.no_grad():
            model.hf(theirs)
            plain = model.hf(ours).logits[0, -1]
        handle.remove()
        size = kept[0].shape[-1] // n_heads
        for head in range(n_heads):
            part = slice(head * size, (head + 1) * size)

            def patch(_, given, kept=kept, part=part):
                z = given[0].clone()
                z[:, first:, part] = kept[0][:, first:, part]
                return (z,)

            handle = into.register_forward_pre_hook(patch)
            with torch.no_grad():
                patched = model.hf(ours).logits[0, -1]
            handle.remove()
            expected = (plain[more] - plain[less]) - (patched[more] - patched[less])
            assert abs(float(expected - effects[layer, head])) < 1e-3
    assert effects.abs().max() > 0.05
