"""The server under load, as ratios within one run: clients, steering, monitoring, time to a first token.

    python benchmarks/server.py                      # the organism
    python benchmarks/server.py --model NAME --tokens 64 --rounds 3

A server runs in this process and its clients in another, over loopback. Arms take turns within each round, so
that what else runs on the machine falls on all of them alike; ratios are of the same round, and the table has
their median and range. Beside the speed by the clock stands that by the server's own processor time, which
others on the machine change less, and where both arms take as many steps that by steps, of which answers that
end early by another draw take nothing. Every client asks several times, one request after the other, so that
slots are full but for the beginning and the end; without streaming, but for the time to the first token.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

import server_kit

from mindscope.features import Direction
from mindscope.models import load
from mindscope.server import ServerLimits, SteeringService

CLIENTS = 16
ASKED = 12
"""Requests of each client and arm: of four, a quarter of the steps are those of the beginning and the end."""
TRAITS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="organism")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--asked", type=int, default=ASKED, help="requests of each client and arm")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load(options.model)
    service = SteeringService(model, ServerLimits(slots=max(16, options.clients), queue=256, max_vectors=64))
    generator = torch.Generator().manual_seed(0)
    layer, norm = model.n_layers // 2, 1e-4  # which changes no answer: all arms write the same tokens
    for i in range(CLIENTS):
        vector = torch.randn(model.d_model, generator=generator)
        service.registry.add_directions(f"v{i}", {f"resid_post.{layer}": (norm * vector).tolist()})
    watched = [
        Direction(
            f"trait{i}",
            f"resid_post.{layer}",
            torch.randn(model.d_model, generator=generator),
            model.fingerprint,
        )
        for i in range(TRAITS)
    ]
    for direction in watched:
        service.registry.add_directions(direction.name, {direction.address: direction.vector.tolist()})
    names = [direction.name for direction in watched]
    n_asked = options.asked * options.clients
    plain: list[dict] = [{}] * n_asked
    arms = {
        "one at a time": (1, plain[: options.asked]),
        "side by side": (options.clients, plain),
        "monitored": (options.clients, [{"mindscope": {"monitor": names}}] * n_asked),
        "steered": (
            options.clients,
            [{"mindscope": {"steer": f"1 v{i % CLIENTS}[all]"}} for i in range(n_asked)],
        ),
    }
    speeds: dict[str, list[float]] = {name: [] for name in arms}
    by_processor: dict[str, list[float]] = {name: [] for name in arms}
    by_steps: dict[str, list[float]] = {name: [] for name in arms}
    sizes: dict[str, list[tuple[int, int]]] = {name: [] for name in arms}
    firsts: list[float] = []
    with server_kit.serving(service) as live, multiprocessing.get_context("spawn").Pool(1) as pool:

        def run(n_at_once: int, extras: list[dict], stream: bool = False) -> list[tuple[float, float, int]]:
            return pool.apply(ask_all, (live.port, service.name, n_at_once, extras, options.tokens, stream))

        for n_at_once, extras in arms.values():
            run(n_at_once, extras)  # once for nothing
        for _ in range(options.rounds):
            for name, (n_at_once, extras) in arms.items():
                begin, begin_cpu = time.perf_counter(), time.process_time()
                n_steps = service.scheduler.n_steps
                n_tokens = sum(tokens for _, _, tokens in run(n_at_once, extras))
                sizes[name].append((n_tokens, service.scheduler.n_steps - n_steps))
                speeds[name].append(n_tokens / (time.perf_counter() - begin))
                by_steps[name].append(sizes[name][-1][1] / (time.perf_counter() - begin))
                by_processor[name].append(n_tokens / (time.process_time() - begin_cpu))
            firsts += [first for first, _, _ in run(options.clients, plain[: options.clients], stream=True)]
    print(f"{options.model}, {model.dtype}, {options.clients} clients, {options.tokens} tokens an answer")
    for name, values in speeds.items():
        processor = statistics.median(by_processor[name])
        n_tokens, n_steps = (statistics.median(column) for column in zip(*sizes[name], strict=True))
        print(
            f"{name:>15}: {statistics.median(values):8.1f} tokens/s, {processor:8.1f} a processor second; "
            f"{n_tokens:.0f} tokens in {n_steps:.0f} steps"
        )
    ratios = {
        "16 clients against one": ("side by side", "one at a time"),
        f"monitoring {TRAITS} traits": ("monitored", "side by side"),
        f"{CLIENTS} distinct vectors": ("steered", "side by side"),
    }
    for says, (above, below) in ratios.items():
        ways = [("by the clock", speeds), ("by processor time", by_processor)]
        if {steps for _, steps in sizes[above]} == {steps for _, steps in sizes[below]}:
            ways.append(("by steps", by_steps))
        for how, table in ways:
            own = [a / b for a, b in zip(table[above], table[below], strict=True)]
            print(f"{says:>25}, {how:>17}: {statistics.median(own):.3f} ({min(own):.3f} to {max(own):.3f})")
    firsts.sort()
    p95 = firsts[int(0.95 * (len(firsts) - 1))]
    print(
        f"first token, {options.clients} at once: median {statistics.median(firsts):.3f} s, p95 {p95:.3f} s"
    )


def ask_all(
    port: int, model: str, n_at_once: int, extras: list[dict], n_tokens: int, stream: bool
) -> list[tuple[float, float, int]]:
    """In another process: seconds to the first byte of an answer, to its end, and how many tokens it had."""
    results: list[tuple[float, float, int]] = []
    waiting = list(enumerate(extras))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                i, extra = waiting.pop()
            body = {
                "model": model,
                "messages": [{"role": "user", "content": f"Tell me all about number {i}, and why."}],
                "temperature": 1.0,
                "seed": i,
                "max_tokens": n_tokens,
                "stream": stream,
                **({"stream_options": {"include_usage": True}} if stream else {}),
                **extra,
            }
            connection = HTTPConnection("127.0.0.1", port, timeout=300)
            begin = time.perf_counter()
            connection.request(
                "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
            )
            reply = connection.getresponse()
            first = time.perf_counter() - begin
            content = reply.read()
            whole = time.perf_counter() - begin
            connection.close()
            assert reply.status == 200, content
            usage = json.loads(content.split(b"\n\n")[-3][6:] if stream else content)["usage"]
            results.append((first, whole, usage["completion_tokens"]))

    threads = [threading.Thread(target=work) for _ in range(n_at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


if __name__ == "__main__":
    main()
