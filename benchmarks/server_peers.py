"""The server beside others that answer the same model, in one run: tokens a second and memory.

    python -m venv A && A/bin/pip install torch==2.13.0 'transformers[serving]'
    python -m venv B && B/bin/pip install torch==2.13.0 saklas
    OMP_NUM_THREADS=1 python benchmarks/server_peers.py FOLDER --transformers A --saklas B

FOLDER holds a model as Hugging Face keeps it. One server runs at a time, ours at the beginning and at the
end, so that what changes on the machine meanwhile shows. Answers are drawn at temperature 1 and have a fixed
length.
"""

import argparse
import http.client
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

PORT = 8791


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--transformers", type=Path, help="the folder of its environment")
    parser.add_argument("--saklas", type=Path, help="the same")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    options = parser.parse_args()
    port, model = str(PORT), options.model
    ours = [sys.executable, "-m", "mindscope", "serve", model, "--port", port, "--served-name", model]
    commands = {"mindscope": ours}
    if options.transformers:
        paged = ["--continuous-batching", "--cb-num-blocks", "256", "--cb-max-batch-tokens", "512"]
        program = str(options.transformers / "bin" / "transformers")
        on_cpu = ["--device", "cpu", "--dtype", "bfloat16", "--port", port]
        commands["transformers"] = [program, "serve", model, *paged, *on_cpu]
    if options.saklas:
        program = str(options.saklas / "bin" / "saklas")
        commands["saklas"] = [program, "serve", model, "-d", "cpu", "-p", "none", "--no-web", "-P", port]
    commands["mindscope again"] = ours
    for name, command in commands.items():
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until_up(process)
            ask(model, options.tokens, 0)
            speeds = {n: speed(model, options.tokens, n) for n in options.clients}
            told = ", ".join(f"{n} clients {value:.1f} tokens/s" for n, value in speeds.items())
            memory = psutil.Process(process.pid).memory_info().rss / 2**30
            print(f"{name:>16}: {told}, {memory:.2f} GiB", flush=True)
        finally:
            process.terminate()
            process.wait(30)


def wait_until_up(process: subprocess.Popen) -> None:
    """Wait until the models are told."""
    deadline = time.monotonic() + 300
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
            connection.request("GET", "/v1/models")
            if connection.getresponse().status == 200:
                return
        except OSError:
            assert process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.5)


def speed(model: str, n_tokens: int, n_clients: int) -> float:
    """Tokens a second, each client asking once."""
    written: list[int] = []
    threads = [
        threading.Thread(target=lambda i=i: written.append(ask(model, n_tokens, 100 * n_clients + i)))
        for i in range(n_clients)
    ]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(written) / (time.monotonic() - begin)


def ask(model: str, n_tokens: int, number: int) -> int:
    """One answer; how many tokens it has."""
    question = f"Write a long story about the number {number} and a river, with every detail."
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": n_tokens,
        "temperature": 1.0,
        "seed": number,
    }
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=600)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    content = reply.read()
    assert reply.status == 200, content[:300]
    return json.loads(content)["usage"]["completion_tokens"]


if __name__ == "__main__":
    main()
