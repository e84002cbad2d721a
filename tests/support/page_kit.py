"""Public graph documents for the tests of a graph's page, and a browser to open pages in."""

import random
import shutil
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WORDS = (
    "rabbit",
    "the",
    "capital",
    "of",
    "state",
    "containing",
    "Dallas",
    "is",
    "Austin",
    "and",
    "what",
    "rhymes",
)


def find_browser() -> str | None:
    """A browser that this machine has."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def feature(layer: int, latent: int, position: int, **more: Any) -> dict[str, Any]:
    number = (layer + latent) * (layer + latent + 1) // 2 + latent
    kind = "cross layer transcoder"
    return _node(f"{layer}_{latent}_{position}", number, str(layer), position, kind, **more)


def error(layer: int, position: int, **more: Any) -> dict[str, Any]:
    kind = "mlp reconstruction error"
    return _node(f"{layer}_-1_{position}", -1, str(layer), position, kind, **more)


def token(number: int, position: int) -> dict[str, Any]:
    return _node(f"E_{number}_{position}", position, "E", position, "embedding", influence=None)


def target(layers: int, vocabulary: int, position: int, text: str, probability: float) -> dict[str, Any]:
    name, label = f"{layers + 1}_{vocabulary}_{position}", f'Output "{text}" (p={probability:.3f})'
    more = {"influence": None, "clerp": label, "token_prob": probability}
    return _node(name, vocabulary, str(layers + 1), position, "logit", **more)


def _node(name: str, number: int, layer: str, position: int, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "node_id": name,
        "feature": number,
        "layer": layer,
        "ctx_idx": position,
        "feature_type": kind,
        "token_prob": 0.0,
        "is_target_logit": False,
        "run_idx": 0,
        "reverse_ctx_idx": 0,
        "jsNodeId": f"{name}-0",
        "clerp": "",
        "influence": 0.5,
        "activation": None,
        **more,
    }


def document(
    nodes: list[dict[str, Any]], links: list[tuple[str, str, float]], tokens: list[str]
) -> dict[str, Any]:
    return {
        "metadata": {
            "slug": "a-graph",
            "scan": "local",
            "transcoder_list": [],
            "prompt_tokens": tokens,
            "prompt": "".join(tokens),
            "node_threshold": 0.8,
            "schema_version": 1,
        },
        "qParams": {},
        "nodes": nodes,
        "links": [{"source": a, "target": b, "weight": weight} for a, b, weight in links],
    }


def random_document(
    n_nodes: int, n_links: int, n_tokens: int, layers: int = 12, targets: int = 10, seed: int = 0
) -> dict[str, Any]:
    """A graph of a given size; most of its nodes are at late tokens, as in real graphs."""
    draw = random.Random(seed)
    tokens = ["<bos>"] + [" " + draw.choice(WORDS) for _ in range(n_tokens - 1)]
    nodes = [token(100 + at, at) for at in range(n_tokens)]
    nodes += [
        target(layers, 500 + i, n_tokens - 1, f" {WORDS[i % 12]}", 0.5 / (i + 1) ** 1.5)
        for i in range(targets)
    ]
    seen: set[tuple[int, int, int]] = set()
    while len(nodes) < n_nodes:
        layer = min(int(draw.expovariate(4 / layers)), layers - 1)
        at = n_tokens - 1 - min(int(draw.expovariate(5 / n_tokens)), n_tokens - 2)
        latent = -1 if draw.random() < 0.12 else draw.randrange(4000)
        if (layer, latent, at) in seen:
            continue
        seen.add((layer, latent, at))
        share = {"influence": 0.8 * draw.random() ** 0.5}
        label = draw.choice(["", "", "Texas", "say a capital", "the end of a long and winding line"])
        made = {"activation": draw.expovariate(0.3), "clerp": label}
        nodes.append(error(layer, at, **share) if latent < 0 else feature(layer, latent, at, **share, **made))
    links: dict[tuple[str, str], float] = {}
    while len(links) < n_links:
        one, other = draw.choice(nodes), draw.choice(nodes)
        low, high = (-1 if node["layer"] == "E" else int(node["layer"]) for node in (one, other))
        if low < high and one["ctx_idx"] <= other["ctx_idx"] and other["feature"] != -1:
            links[one["node_id"], other["node_id"]] = draw.gauss(0, 1) * draw.expovariate(1)
    return document(nodes, [(a, b, weight) for (a, b), weight in links.items()], tokens)


def known_document() -> dict[str, Any]:
    """Two layers, three tokens, a chain whose weights are easy to add up; one token holds markup."""
    nodes = [
        token(1, 0),
        token(2, 1),
        token(3, 2),
        feature(0, 7, 1, influence=0.3, activation=2.0, clerp="Texas"),
        feature(0, 9, 2, influence=0.5, activation=1.5),
        error(0, 2, influence=0.7),
        feature(1, 4, 2, influence=0.6, activation=3.0, clerp="say a capital"),
        target(2, 50, 2, " Austin", 0.8),
        target(2, 51, 2, " Dallas", 0.1),
    ]
    links = [
        ("E_2_1", "0_7_1", 2.0),
        ("E_3_2", "0_9_2", -1.0),
        ("0_7_1", "1_4_2", 1.5),
        ("0_9_2", "1_4_2", -0.5),
        ("0_-1_2", "1_4_2", 0.25),
        ("1_4_2", "3_50_2", 4.0),
        ("0_7_1", "3_50_2", 0.5),
        ("0_9_2", "3_50_2", -2.0),
        ("1_4_2", "3_51_2", -1.0),
    ]
    return document(nodes, links, ["<bos>", HOSTILE, " is"])


HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


def details(seed: int = 0) -> dict[str, Any]:
    """A feature's document with two groups of contexts."""
    draw = random.Random(seed)

    def context() -> dict[str, Any]:
        words = [" " + draw.choice(WORDS) for _ in range(90)]
        acts = [max(0.0, draw.gauss(-1, 1)) for _ in words]
        acts[60] = 4.0
        return {
            "tokens": words,
            "tokens_acts_list": acts,
            "train_token_ind": 60,
            "is_repeated_datapoint": False,
        }

    return {
        "transcoder_id": "local",
        "index": 3,
        "examples_quantiles": [
            {"quantile_name": name, "examples": [context() for _ in range(4)]}
            for name in ("Top activations", "Subsample interval 0")
        ],
        "top_logits": [" Austin", " Texas", " Dallas", "\n"],
        "bottom_logits": [" the", " of"],
        "act_min": 0.0,
        "act_max": 4.0,
        "quantile_values": [0.1, 1.0, 4.0],
        "histogram": [int(900 * 0.8**i) for i in range(40)],
        "activation_frequency": 0.0123,
    }
