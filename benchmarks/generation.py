"""What steering and reading cost a generation, and how it compares with transformers' own.

Steering adds a vector of its own to every row at one layer; reading takes the answer mean at every layer.
Overheads are medians over interleaved rounds of the ratio to a plain generation of the same answers. The last
lines compare with `hf.generate` in its batches, and with the second pass that reading would otherwise cost.
What follows is `decoding.py`: refilled slots against closed batches, and host time in a step.

    python benchmarks/generation.py [--dtype bfloat16] [--model PATH] [--requests 500] [--json]
"""

from capture import our_reads, published_generation, published_reading
from common import Meter, arguments, median, open_model, prompts, show
from decoding import host_time, refilling

from mindscope.models import Edit, Mean, Read, Sampling


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.set_defaults(answers=64, rounds=9)
    parser.add_argument("--requests", type=int, default=500, help="requests of unlike lengths")
    parser.add_argument("--slots", type=int, default=64)
    options = parser.parse_args()
    import torch

    model = open_model(options)
    rows, sampling = prompts(model, options.answers), Sampling(max_new_tokens=options.tokens)
    layer = model.n_layers // 2
    generator = torch.Generator().manual_seed(2)
    edits = [
        [
            Edit(
                f"resid_post.{layer}",
                "add",
                torch.randn(model.d_model, generator=generator) * 0.01,
                1.0,
                "response",
            )
        ]
        for _ in rows
    ]
    means = {str(i): Read(f"resid_post.{i}", Mean("answer")) for i in range(model.n_layers)}
    ways = {
        "plain": lambda: model.generate(rows, sampling),
        "steered": lambda: model.generate(rows, sampling, edits=edits),
        "read": lambda: model.generate(rows, sampling, reads=means),
        "transformers": lambda: published_generation(model, rows, options.tokens),
        "second_pass": lambda: published_reading(model, answered),
    }
    answered = [generation.row for generation in ways["plain"]()]
    model.generate(rows, Sampling(max_new_tokens=2), edits=edits, reads=our_reads(model))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            seconds[name].append(Meter(way).seconds)
    result: dict[str, float | str] = {"model": model.name, "dtype": options.dtype}
    result |= {f"{name}_seconds": median(values) for name, values in seconds.items()}
    result["tokens_per_second"] = options.answers * options.tokens / median(seconds["plain"])
    for name in ("steered", "read"):
        ratios = [way / plain for way, plain in zip(seconds[name], seconds["plain"], strict=True)]
        result[f"{name}_overhead_percent"] = 100 * (median(ratios) - 1)
    speed = [theirs / ours for theirs, ours in zip(seconds["transformers"], seconds["plain"], strict=True)]
    result["times_faster_than_transformers"] = median(speed)
    share = [second / plain for second, plain in zip(seconds["second_pass"], seconds["plain"], strict=True)]
    result["second_pass_percent_of_generation"] = 100 * median(share)
    options.model = None
    result |= {**refilling(options), **host_time(options)}
    show(f"{options.answers} answers of {options.tokens} tokens, side by side", result, as_json=options.json)


if __name__ == "__main__":
    main()
