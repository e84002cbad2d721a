"""What sixteen latents of one SAE cost a monitor beside one: all of them are one encode.

Conversations of two answers are read, through the model and the latents, warm and in turns; the ratio is the
median over rounds of CPU seconds with `--latents` against CPU seconds with one.

    python benchmarks/monitor_latents.py [--latents 16] [--sae 8192] [--conversations 64] [--rounds 3]
"""

import json
import statistics

import torch
from clock import interleaved, ratio
from common import arguments, open_model

from mindscope.dictionaries import Coder, Dictionary, DictionaryBank, Site
from mindscope.features import FeatureSet
from mindscope.models import Model, Row
from mindscope.monitoring import project_turns

LAYER = 4


def random_sae(model: Model, latents: int, activation: str) -> DictionaryBank:
    """Latents of random unit directions, some hundredth of which is active on a token."""
    draw = torch.Generator().manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(latents, model.d_model, generator=draw), dim=1)
    threshold = torch.full((latents,), 2.3) if activation == "jumprelu" else None
    sites = [Site(f"resid_post.{min(LAYER, model.n_layers - 1)}", model.d_model)]
    bias = torch.full((latents,), -2.3 if activation == "relu" else 0.0)
    dictionary = Dictionary.single(
        Coder(rows, bias, rows, threshold),
        torch.zeros(model.d_model),
        reads=sites,
        writes=sites,
        activation=activation,
        k=32 if activation == "topk" else None,
    )
    return DictionaryBank(dictionary.bind(model))


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--latents", type=int, default=16)
    parser.add_argument("--sae", type=int, default=8192, help="latents of the SAE")
    parser.add_argument("--conversations", type=int, default=64)
    given = parser.parse_args()
    model = open_model(given)
    draw = torch.Generator().manual_seed(1)
    talks: list[list[Row]] = []
    for _ in range(given.conversations):
        ids = tuple(torch.randint(0, model.engine.vocab_size, (160,), generator=draw).tolist())
        talks.append([Row(ids[:80], 40), Row(ids, 120)])
    result: dict[str, dict[str, float]] = {}
    for activation in ("relu", "jumprelu", "topk"):
        bank = random_sae(model, given.sae, activation)
        few, many = (
            FeatureSet([bank.feature(latent) for latent in range(count)]) for count in (1, given.latents)
        )
        ways = {
            "one": lambda few=few: project_turns(model, few, talks),
            "many": lambda many=many: project_turns(model, many, talks),
        }
        seconds = interleaved(ways, given.rounds)
        result[activation] = {
            "one": statistics.median(seconds["one"]),
            "many": statistics.median(seconds["many"]),
            "ratio": ratio(seconds, "many", "one"),
        }
    if given.json:
        print(json.dumps({"latents": given.latents, "sae": given.sae} | result))
        return
    for activation, row in result.items():
        print(
            f"{activation:9s} one latent {row['one']:.3f} s, {given.latents} latents {row['many']:.3f} s: "
            f"{row['ratio']:.2f} times"
        )


if __name__ == "__main__":
    main()
