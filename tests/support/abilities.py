"""What a family can do: each ability is tried on a tiny model, and passes or gives the code's own reason."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import circuit_kit
import tiny_models
import torch
from finetune_kit import conversation, tune
from tiny_models import Family

from mindscope.circuits import DictionaryReplacement, trace
from mindscope.errors import MindscopeError
from mindscope.finetuning.config import FinetuneConfig
from mindscope.models import Edit, Model, Raw, Read, Row, Sampling, load
from mindscope.models.generation.branches import AnswerBranch, PromptBranches


def reads(model: Model, family: Family) -> None:
    """Rows read side by side are what a plain hook sees of each alone."""
    rows = tiny_models.rows()[:3]
    values = model.read(rows, {"raw": Read("resid_post.1", Raw())})["raw"].values
    for row, value in zip(rows, values, strict=True):
        torch.testing.assert_close(value, seen_behind(model, family, 1, row), rtol=1e-4, atol=1e-4)


def writes(model: Model, family: Family) -> None:
    """An edit is in the block behind it, for the rows and tokens that it means."""
    rows = tiny_models.rows()[:3]
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(1))
    edits = [[], [Edit("resid_post.0", "replace", vector, 1.0, "last_prompt")], []]
    values = model.read(rows, {"raw": Read("resid_post.0", Raw())}, edits=edits)["raw"].values
    for i, (row, value) in enumerate(zip(rows, values, strict=True)):
        expected = seen_behind(model, family, 0, row).clone()
        if i == 1:
            expected[row.prompt_length - 1] = vector
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-4)


def generates(model: Model, family: Family) -> None:
    """Answers written side by side are those that transformers writes to each row alone."""
    rows = tiny_models.rows()
    written = model.generate(rows, Sampling(max_new_tokens=5, temperature=0))
    for row, generation in zip(rows, written, strict=True):
        theirs = model.hf.generate(
            torch.tensor([row.ids]), do_sample=False, max_new_tokens=5, eos_token_id=61, pad_token_id=62
        )[0, len(row) :].tolist()
        assert list(generation.row.ids[len(row) :]) == [token for token in theirs if token != 61]


def judges(model: Model, family: Family) -> None:
    """The logits behind branches of many prompts are those behind each of them alone."""
    prompts = [row.ids for row in tiny_models.rows()]
    branches = PromptBranches(model, prompts)
    first = [AnswerBranch(index, None, 7 + index) for index in range(len(prompts))]
    second = [AnswerBranch(parent.prompt, parent, token) for parent in first for token in (3, 9)]
    with branches.grown(first), branches.grown(second) as logits:
        rows = [Row((*prompts[leaf.prompt], *(above.token for above in leaf.path)), 1) for leaf in second]
        torch.testing.assert_close(logits.float(), model.next_logits(rows), rtol=1e-3, atol=1e-3)


def traces(model: Model, family: Family) -> None:
    """Edges through transcoders add up to what they explain."""
    graph = trace(model, DictionaryReplacement(circuit_kit.dictionary(model)), circuit_kit.ROW)
    sums = graph.edges.sum(1) + graph.biases
    torch.testing.assert_close(sums, graph.preactivations, rtol=1e-4, atol=1e-4)


def tunes(model: Model, family: Family) -> None:
    """A LoRA is trained on the saved model for a step, saved, and loads with its base."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        model.hf.save_pretrained(Path(folder) / "base")
        model.tokenizer.save_pretrained(Path(folder) / "base")
        # Some families load a tokenizer class of their own, which has no use for the words of the tiny one.
        stack.enter_context(patch("transformers.AutoTokenizer.from_pretrained", return_value=model.tokenizer))
        base = load(Path(folder) / "base", dtype="float32")
        config = FinetuneConfig(
            batch_rows=2, accumulation=1, steps=1, rank=2, warmup_steps=0, learning_rate=1e-2
        )
        data = [conversation("w1 w2", "w3 w4 w5"), conversation("w6", "w7")]
        tuned = tune(base, Path(folder) / "run", config, data=data)
        assert load(tuned.path, dtype="float32").fingerprint != base.fingerprint


ABILITIES: dict[str, Callable[[Model, Family], None]] = {
    "read": reads,
    "write": writes,
    "generate in batches": generates,
    "judge": judges,
    "trace circuits": traces,
    "fine-tune": tunes,
}


def try_ability(name: str, model: Model, family: Family) -> str:
    """`yes`, or why not: the one line that a user is given."""
    try:
        ABILITIES[name](model, family)
    except MindscopeError as error:
        line = str(error).replace(model.name, family.name).partition(" Model type should be")[0]
        return re.sub(r"/\S*/base", family.name, line)
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:  # a fault, and the page says so
        return f"fails: {type(error).__name__}, {str(error).splitlines()[0]}"
    return "yes"


def try_family(family: Family) -> list[str]:
    """What all abilities say of a family."""
    try:
        model = tiny_models.build(family)
    except MindscopeError as error:
        return [str(error).replace(f"tiny {family.name}", family.name)] * len(ABILITIES)
    return [try_ability(name, model, family) for name in ABILITIES]


def seen_behind(model: Model, family: Family, layer: int, row: Row) -> torch.Tensor:
    """The output of a block for one row, by a hook on the module itself."""
    seen = []
    handle = model.hf.get_submodule(family.blocks)[layer].register_forward_hook(
        lambda _module, _args, output: seen.append(output[0] if isinstance(output, tuple) else output)
    )
    try:
        with torch.no_grad():
            model.hf(torch.tensor([row.ids]), use_cache=False)
    finally:
        handle.remove()
    return seen[0][0]
