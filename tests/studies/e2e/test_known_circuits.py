"""The study of known circuits as a command, on a tiny random model that knows its names as single tokens."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mindscope.cli import main
from mindscope.studies.known_circuits import KnownCircuits
from mindscope.studies.known_circuits.prompts import CHOSEN_FRAMES, HELD_FRAMES, KNOWN, NAMES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    words = pre_tokenizers.Metaspace(prepend_scheme="never")
    texts = [frame.format("x", "y", "z") for frame in (*CHOSEN_FRAMES, *HELD_FRAMES)]
    # a name may begin a sentence, stand behind a blank, or be the word in front of a full stop
    texts += [f"{name} {name}" for name in NAMES] + [f"{p.text} {p.answer.strip()}" for p in KNOWN]
    known = dict.fromkeys(word for text in texts for word, _ in words.pre_tokenize_str(text))
    vocabulary = {word: index for index, word in enumerate(["<unk>", "</s>", *known])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = words, decoders.Metaspace(prepend_scheme="never")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")
    fast.save_pretrained(path)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, eos_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(path)
    return path


def run_command(command: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 0


def test_the_study_runs_goes_on_and_says_what_fails(folder, tmp_path, capsys):
    run = tmp_path / "run"
    command = ["circuit", "known", str(folder), "--run", str(run), "--nodes", "20", "--patched", "1"]
    command += ["--held", "10", "--json"]
    run_command(command)
    printed = json.loads(capsys.readouterr().out)
    saved = KnownCircuits.load(run / "known-circuits.json")
    assert KnownCircuits.model_validate(printed["result"]) == saved
    assert [traced.name for traced in saved.traced] == [prompt.name for prompt in KNOWN]
    assert saved.swap.right.n == 30
    assert (
        saved.swap.swapped.n == saved.swap.random.n <= saved.swap.right.hits
    )  # what it cannot do is not moved
    assert not any(claim.holds for claim in saved.claims() if "exchanging" in claim.statement)
    page = (run / "report.html").read_text()
    assert "Names exchanged" in page
    assert "NO" in page
    (run / "heads.json").unlink()  # as if it had been killed there
    run_command(command)
    assert KnownCircuits.load(run / "known-circuits.json") == saved
