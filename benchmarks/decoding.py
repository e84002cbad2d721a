"""What refilling free slots gains over closed batches, and what the host does in each decode step.

1. The same requests, whose answers have lognormal lengths, are answered by the bundled organism with free
   slots refilled, and in closed batches: there the next rows are admitted only when the batch is empty. Steps
   are compared with those of an ideal refill, which fills a slot in the step after it became free.
2. Host time in a decode step of a deep, narrow model, where arithmetic is next to nothing: outside its
   forward pass, and what the reads of extraction and an edit at every layer add.
3. The time that it takes to compile those edits.

    python benchmarks/decoding.py [--requests 500] [--slots 64] [--rounds 5] [--json]

`generation.py` prints these figures too.
"""

import argparse
import heapq
import time
from collections.abc import Mapping

import torch
from common import Meter, median, open_model, show

from mindscope.models import (
    DecodingBatch,
    Edit,
    GenerationRequest,
    Last,
    Mean,
    Model,
    Read,
    Row,
    Sampling,
    load,
)

LAYERS, WIDTH = 32, 32
MEAN, SPREAD, CAP = 60.0, 1.0, 250
"""Tokens of an answer: lognormal with this mean, this standard deviation of the logarithm, and cut here."""


def answer_lengths(count: int, mean: float = MEAN, cap: int = CAP) -> list[int]:
    draw = torch.Generator().manual_seed(1)
    logarithms = torch.log(torch.tensor(mean)) - SPREAD**2 / 2 + SPREAD * torch.randn(count, generator=draw)
    return logarithms.exp().round().clamp(1, cap).long().tolist()


def asked(model: Model, lengths: list[int]) -> list[GenerationRequest]:
    """Requests with prompts of 20 to 60 tokens, longest first, whose answers have these lengths."""
    draw = torch.Generator().manual_seed(2)
    rows = []
    for _ in lengths:
        length = int(torch.randint(20, 61, (1,), generator=draw))
        rows.append(
            Row(tuple(torch.randint(0, model.engine.vocab_size, (length,), generator=draw).tolist()), length)
        )
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    return [GenerationRequest(rows[i], Sampling(max_new_tokens=lengths[i]), index=i) for i in order]


def answer(model: Model, requests: list[GenerationRequest], slots: int, *, refill: bool) -> tuple[int, dict]:
    """The steps it took, and the answers."""
    batch = DecodingBatch(model, slots=slots, eos_ids=frozenset())
    waiting, answers = list(requests), {}
    while waiting or batch.busy:
        if waiting and (refill or not batch.busy):
            joining, waiting = (waiting, []) if refill else (waiting[:slots], waiting[slots:])
            for request in joining:
                batch.admit(request)
        batch.step()
        answers |= {handle.request.index: handle.result().row for handle in batch.retire()}
    return batch.n_steps, answers


def ideal_steps(lengths: list[int], slots: int) -> int:
    """The steps of a refill without delay, in the order of the requests."""
    ends = [0] * slots
    for length in lengths:
        heapq.heappush(ends, heapq.heappop(ends) + length)
    return max(ends)


def window_steps(slots: int) -> dict[str, float | str]:
    """Steps of 2,000 answers like those of an extraction, whose pieces are written in windows of batches."""
    lengths = answer_lengths(2000, mean=248.0, cap=1000)
    starts = {n: range(0, len(lengths), n * slots) for n in (1, 8, len(lengths))}
    return {
        f"steps_in_windows_of_{n}_batches": sum(
            ideal_steps(lengths[start : start + n * slots], slots) for start in starts[n]
        )
        for n in starts
    }


def refilling(options: argparse.Namespace) -> dict[str, float | str]:
    model = load("organism", dtype="float32")
    lengths = answer_lengths(options.requests)
    requests = asked(model, lengths)
    in_order = [request.sampling.max_new_tokens for request in requests]
    seconds: dict[bool, list[float]] = {True: [], False: []}
    steps: dict[bool, int] = {}
    answers: dict[bool, dict] = {}
    for _ in range(options.rounds):
        for refill in (True, False):

            def work(refill: bool = refill) -> None:
                steps[refill], answers[refill] = answer(model, requests, options.slots, refill=refill)

            seconds[refill].append(Meter(work).seconds)
    differ = sum(answers[True][i] != answers[False][i] for i in answers[True])
    # A draw that lands among tokens of a millionth each is decided by rounding, and some processors round
    # products of unlike sizes unlike: two answers of twelve were seen to differ so. Rows that depended on
    # their slots would differ far more often.
    if differ > len(answers[True]) / 3:
        raise SystemExit(f"{differ} answers depend on how slots are filled, more than rounding explains")
    gains = [closed / refill for refill, closed in zip(seconds[True], seconds[False], strict=True)]
    ideal = ideal_steps(in_order, options.slots)
    return {
        "steps_refilled": steps[True],
        "steps_in_closed_batches": steps[False],
        "steps_of_an_ideal_refill": ideal,
        "times_fewer_steps": steps[False] / steps[True],
        "times_the_steps_of_an_ideal_refill": steps[True] / ideal,
        "answers_that_rounding_changed": differ,
        "tokens_per_second_refilled": sum(lengths) / median(seconds[True]),
        "times_the_throughput_of_closed_batches": median(gains),
    }


class StepClock:
    """Milliseconds of CPU time of each decode step, and of the model's forward within."""

    def __init__(self, model: Model, slots: int, reads: Mapping[str, Read], edits: list[tuple[Edit, ...]]):
        self._hf = model.hf
        self._batch = DecodingBatch(model, slots=slots, eos_ids=frozenset())
        draw = torch.Generator().manual_seed(3)
        for i in range(slots):
            ids = torch.randint(0, model.engine.vocab_size, (40,), generator=draw).tolist()
            request = GenerationRequest(
                Row(tuple(ids), 40),
                Sampling(max_new_tokens=10_000),
                index=i,
                reads=reads,
                edits=edits[i] if edits else (),
            )
            self._batch.admit(request)
        self._batch.step()

    def step(self) -> tuple[float, float]:
        forward, inside = self._hf.forward, [0.0]

        def timed(*args: object, **options: object) -> object:
            start = time.process_time()
            output = forward(*args, **options)
            inside[0] += time.process_time() - start
            return output

        self._hf.forward = timed
        try:
            start = time.process_time()
            self._batch.step()
            whole = time.process_time() - start
        finally:
            self._hf.forward = forward
        return 1000 * whole, 1000 * inside[0]


def host_time(options: argparse.Namespace) -> dict[str, float | str]:
    model = open_model(options, layers=LAYERS, width=WIDTH)
    draw = torch.Generator().manual_seed(4)
    places = [f"resid_post.{layer}" for layer in range(LAYERS)] + ["embeddings", "final_norm"]
    kinds = {"answer_mean": Mean("answer"), "prompt_mean": Mean("prompt"), "last_prompt": Last("prompt")}
    reads = {f"{place} {kind}": Read(place, how) for place in places for kind, how in kinds.items()}
    edits = [
        tuple(
            Edit(f"resid_post.{layer}", "add", torch.randn(WIDTH, generator=draw) * 0.01, 1.0, "response")
            for layer in range(LAYERS)
        )
        for _ in range(options.slots)
    ]
    model.program(edits)
    compiled = []
    for _ in range(options.rounds * 4):
        start = time.process_time()
        model.program(edits)
        compiled.append(1000 * (time.process_time() - start))
    clocks = {
        "plain": StepClock(model, options.slots, {}, []),
        "reads": StepClock(model, options.slots, reads, []),
        "edits": StepClock(model, options.slots, {}, edits),
    }
    steps = {name: [] for name in clocks}
    for _ in range(options.rounds * 20):
        for name, clock in clocks.items():
            steps[name].append(clock.step())
    plain = [whole for whole, _ in steps["plain"]]

    def added(name: str) -> float:
        return median([whole - base for (whole, _), base in zip(steps[name], plain, strict=True)])

    return {
        "milliseconds_outside_the_forward": median([whole - inside for whole, inside in steps["plain"]]),
        f"milliseconds_that_{len(reads)}_reads_add": added("reads"),
        f"milliseconds_that_{LAYERS}_edits_a_row_add": added("edits"),
        "milliseconds_to_compile_the_edits": median(compiled),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds; medians are printed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    options.model, options.dtype = None, "float32"
    torch.set_num_threads(options.threads)
    title = f"{options.requests} requests, {options.slots} slots; host time of {LAYERS} layers"
    figures = {**refilling(options), **window_steps(options.slots), **host_time(options)}
    show(title, figures, as_json=options.json)


if __name__ == "__main__":
    main()
