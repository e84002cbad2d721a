"""What the benchmarks share: a model that runs anywhere, a clock, a memory meter, a table."""

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

from mindscope.models import Model, Row, load

# 8 layers of 256 with 4,096 words: the head's share of the work and the logits' share of the memory are
# those of Qwen2.5-7B, which a small model with that vocabulary of 152,000 would overstate tenfold.
VOCABULARY = 4096


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--model", help="a Hugging Face folder or name; default: a random 8-layer Qwen2, 256 wide"
    )
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--answers", type=int, default=400)
    parser.add_argument("--tokens", type=int, default=100, help="tokens of every answer")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds; medians are printed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser


def open_model(options: argparse.Namespace, *, layers: int = 8, width: int = 256) -> Model:
    """The model to measure, with every end-of-text token taken away so that all paths do the same work."""
    torch.set_num_threads(options.threads)
    if options.model:
        model = load(options.model, dtype=options.dtype)
        hf, tokenizer = model.hf, model.tokenizer
        tokenizer.eos_token = tokenizer.chat_template = None
    else:
        torch.manual_seed(0)
        config = Qwen2Config(
            vocab_size=VOCABULARY,
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            bos_token_id=None,
            eos_token_id=None,
        )
        hf = AutoModelForCausalLM.from_config(config).to(getattr(torch, options.dtype)).eval()
        words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(VOCABULARY)}, unk_token="w0"))
        words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=words)
    hf.generation_config.eos_token_id = None
    return Model.wrap(hf, tokenizer, name=options.model or f"random Qwen2, {layers} x {width}")


def prompts(model: Model, count: int) -> list[Row]:
    """Prompts of 30 to 70 tokens."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(30, 71, (count,), generator=generator).tolist()
    size = model.engine.vocab_size
    return [
        Row(tuple(torch.randint(0, size, (length,), generator=generator).tolist()), length)
        for length in lengths
    ]


class Meter:
    """CPU seconds of this process, so that other work on the machine does not count, and growth of memory."""

    def __init__(self, work: Callable[[], object]):
        self._peak, self._done = 0, False
        watcher = threading.Thread(target=self._watch, daemon=True)
        before = _resident()
        watcher.start()
        start = time.process_time()
        work()
        self.seconds = time.process_time() - start
        self._done = True
        watcher.join()
        self.megabytes = max(0, self._peak - before) / 1e6

    def _watch(self) -> None:
        while not self._done:
            self._peak = max(self._peak, _resident())
            time.sleep(0.01)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def median(values: list[float]) -> float:
    return statistics.median(values)


def show(title: str, result: dict[str, float | str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    print(title)
    for name, value in result.items():
        print(f"  {name.replace('_', ' '):38} {value if isinstance(value, str) else format(value, '10.3f')}")
