"""How many first tokens of a prompt have no nodes: the special one in front, and what soaks up attention.

Models put activations many times the usual size on the first token of a row, and some on the few behind it
(Sun et al. 2024, "Massive Activations in Large Language Models"). What the MLPs do there is the same for
every prompt, and no dictionary is exact about it: as nodes these errors would outweigh the rest. So:

1. A special token in front counts, whatever its activations are.
2. The tokens from the first on count for as long as what some layer reads of them is `SINK` times as long as
   at the median token. A norm's scale is the inverse of that length, and the pass has kept it.
3. Gemma 3's chats begin with four tokens that are the same for every user; dictionaries of its
   instruction-tuned models are made without them, and circuit-tracer leaves them out.
"""

import torch

from mindscope.models import FrozenPass, Model

SINK = 10.0
"""Sinks are 100 to 1,000 times as long as other tokens, and other tokens differ by a factor of 2 or 3."""
CHAT_PREFIXES = {"Gemma3": "<bos><start_of_turn>user\n"}
"""By how the name of an architecture begins, what its chats begin with and no dictionary was made for."""


def count_first_tokens(model: Model, frozen_pass: FrozenPass) -> int:
    """How many first tokens of a pass features and errors are to leave out; see the head of this file."""
    ids = frozen_pass.row.ids
    count = max(int(ids[0] in model.tokenizer.all_special_ids), _count_sinks(frozen_pass))
    for architecture, prefix in CHAT_PREFIXES.items():
        if model.architecture.startswith(architecture):
            begins = tuple(model.tokenizer(prefix, add_special_tokens=False)["input_ids"])
            if ids[: len(begins)] == begins:
                count = max(count, len(begins))
    return count


def _count_sinks(frozen_pass: FrozenPass) -> int:
    """How many tokens, from the first on without a gap, are a sink at the input of some attention or MLP."""
    inputs = [
        scale for address, scale in frozen_pass.scales.items() if address.startswith(("attn_in.", "mlp_in."))
    ]
    if not inputs:  # without norms before its layers a model has no scales to tell by
        return 0
    scales = torch.stack(inputs)  # layers x tokens; a large activation has a small scale
    sink = (scales * SINK < scales.median(1, keepdim=True).values).any(0)
    return int(sink.int().cumprod(0).sum())
