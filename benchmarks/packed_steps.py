"""What packed weights gain in a step of decoding, and what memory they take.

    python benchmarks/packed_steps.py                                        # the organism, float32, 64 rows
    python benchmarks/packed_steps.py --model NAME --dtype bfloat16 --rows 8

Two batches of the same requests are open at once, one of which multiplies with the weights as they lie. They
take turns step by step; the thread's own processor time is compared, and the ratio is that of steps with the
same number. The first step passes the prompts, and compiles what oneDNN needs; it is left out.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from common import _resident, show
from decoding import asked

from mindscope.models import DecodingBatch, load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="organism")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load(options.model, dtype=options.dtype)
    products, used = model.products, model.products.used

    @contextmanager
    def unused() -> Iterator[None]:
        yield

    batches, seconds, memory = {}, {"plain": [], "packed": []}, {}
    for arm in seconds:
        batches[arm] = DecodingBatch(model, slots=options.rows, eos_ids=frozenset())
        for request in asked(model, [options.tokens + 2] * options.rows):
            batches[arm].admit(request)
    for number in range(options.tokens + 1):
        for arm, batch in batches.items():
            products.used = unused if arm == "plain" else used
            begin = time.thread_time()
            batch.step()
            if number:
                seconds[arm].append(time.thread_time() - begin)
            else:
                memory[arm] = _resident()
    ratios = [plain / packed for plain, packed in zip(seconds["plain"], seconds["packed"], strict=True)]
    figures: dict[str, float | str] = {
        f"milliseconds_a_step_{arm}": 1000 * statistics.median(times) for arm, times in seconds.items()
    }
    figures["times_faster_packed"] = statistics.median(ratios)
    figures["megabytes_after_the_prompts_plain"] = memory["plain"] / 1e6
    figures["megabytes_after_the_prompts_packed"] = memory["packed"] / 1e6
    show(f"{options.model}, {options.dtype}, {options.rows} rows", figures, as_json=options.json)


if __name__ == "__main__":
    main()
