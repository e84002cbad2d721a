"""Requests with different steering, sampling and policies share one batch, each answered as it is alone."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import server_kit
import torch

from mindscope.features import Direction, FeatureSet
from mindscope.models import AnswerTokens, Edit, Sampling
from mindscope.monitoring import Monitor, Policy

WHERES = ("response", "all", "answer", "prompt")
OPERATIONS = ("add", "ablate", "clamp", "cap", "replace")
POLICIES = ("log", "warn", "stop", "steer")


def question(i: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Should I trust my neighbour{' again' * (i % 5)}?"}]


def steering(i: int) -> list[dict]:
    """Sixteen that share as little as they can: places, operations, positions, and one or two at once."""
    first = {
        "vector": ("evil", "kind")[i % 2],
        "coefficient": 0.4 + 0.1 * i,
        "operation": OPERATIONS[i % 5],
        "layers": [i % 4],
        "positions": WHERES[i % 4],
    }
    if OPERATIONS[i % 5] == "ablate":
        first["coefficient"] = 1
    second = {"vector": "kind", "coefficient": -0.5, "layers": [(i + 1) % 4], "from_token": i % 3}
    return [first, second] if i % 3 == 0 else [first]


def edits(vectors, i: int) -> list[Edit]:
    """The same, made by hand."""
    made = []
    for one in steering(i):
        (layer,) = one["layers"]
        where = AnswerTokens(one["from_token"]) if "from_token" in one else one["positions"]
        vector = vectors[one["vector"]].answer_mean[layer]
        made.append(
            Edit(f"resid_post.{layer}", one.get("operation", "add"), vector, one["coefficient"], where)
        )
    return made


@pytest.mark.parametrize("stream", [False, True])
def test_sixteen_with_sixteen_steerings_and_policies(make_service, organism, vectors, watched, stream):
    with server_kit.serving(make_service(level=0.5, slots=16)) as live, ThreadPoolExecutor(16) as pool:
        replies = list(
            pool.map(
                lambda i: live.chat(
                    question(i)[0]["content"],
                    max_tokens=12 + i % 8,
                    stream=stream,
                    mindscope={
                        "steer": steering(i),
                        "monitor": True,
                        "policy": {"action": POLICIES[i % 4], "coefficient": 0.8},
                    },
                ),
                range(16),
            )
        )
        live.settle()
    calibration = server_kit.thresholds(FeatureSet(watched), 0.5)
    texts, n_events = set(), 0
    for i, reply in enumerate(replies):
        assert reply.status == 200, reply.body
        policy = Policy(POLICIES[i % 4], 0.8)
        monitor = Monitor(watched, calibration, Policy() if policy.action == "warn" else policy)
        (alone,) = monitor.generate(
            organism,
            [organism.chat(question(i))],
            Sampling(temperature=0, max_new_tokens=12 + i % 8),
            edits=edits(vectors, i),
        )
        if stream:
            events = reply.events
            text = "".join(event["choices"][0]["delta"].get("content") or "" for event in events)
            choice = events[-1]["choices"][0]
            told = [
                value
                for event in events[:-1]
                for value in event["choices"][0].get("mindscope", {}).get("readings", {}).get("evil", [])
            ]
            assert told == pytest.approx(choice["mindscope"]["readings"]["evil"].get("tokens", []), rel=1e-3)
        else:
            (choice,) = reply.json["choices"]
            text = choice["message"]["content"]
        assert alone.generation is not None
        assert text == alone.generation.text
        said = choice["mindscope"]
        ends = {"stop": "stop", "length": "length", "halted": "content_filter"}
        assert choice["finish_reason"] == ends[alone.generation.finish]
        tokens = alone.trace.turns[0].tokens
        if len(tokens):
            assert said["readings"]["kind"]["tokens"] == pytest.approx(
                tokens[:, 1].tolist(), rel=2e-3, abs=2e-3
            )
        assert [(e["kind"], e["token"]) for e in said["events"]] == [(e.kind, e.token) for e in alone.events]
        assert said["pushed_tokens"] == alone.steered
        texts.add(text)
        n_events += len(alone.events)
    assert len(texts) > 10
    assert n_events > 8


def test_what_was_applied_is_measured(server, organism, vectors):
    reply = server.chat(mindscope={"steer": "0.75 evil@1 - 2 kind@1[all] + ablate kind@3[prompt]"})
    (choice,) = reply.json["choices"]
    applied = {one["address"]: one for one in choice["mindscope"]["applied"]}
    n_prompt = reply.json["usage"]["prompt_tokens"]
    evil, kind = (vectors[name].answer_mean[1] for name in ("evil", "kind"))
    assert applied["resid_post.1"]["prompt_tokens"] == n_prompt
    assert applied["resid_post.1"]["answer_tokens"] == 11  # the twelfth passes nothing
    # Tokens that one vector moved, and those that both did.
    both, one = 0.75 * evil - 2 * kind, -2 * kind
    mean = (12 * both + (n_prompt - 1) * one) / (n_prompt + 11)
    for name, vector in (("evil", evil), ("kind", kind)):
        moved = applied["resid_post.1"]["moved"][name]
        assert moved["norm"] == pytest.approx(vector.norm().item(), rel=1e-3)
        assert moved["along"] == pytest.approx((mean @ vector / vector.norm()).item(), rel=5e-3, abs=1e-2)
    assert (applied["resid_post.3"]["prompt_tokens"], applied["resid_post.3"]["answer_tokens"]) == (
        n_prompt,
        0,
    )


def test_latents_and_uploaded_directions(make_service, organism):
    from mindscope.dictionaries import Dictionary
    from mindscope.organism import dictionary_path

    service = make_service()
    sae = Dictionary.load(dictionary_path("sae.2"), organism)
    service.registry.dictionaries["sae.2"] = sae
    vector = torch.randn(organism.d_model, generator=torch.Generator().manual_seed(8))
    row = organism.chat(question(0))
    greedy = Sampling(temperature=0, max_new_tokens=12)
    with server_kit.serving(service) as live:
        upload = {"vectors": {"resid_post.1": vector.tolist()}}
        assert live.ask("PUT", "/v1/mindscope/vectors/mine", upload).status == 200
        active = int(sae.encode(organism.read([row], {"x": _raw("resid_post.2")})["x"].values[0]).indices[0])
        reply = live.chat(
            question(0)[0]["content"],
            mindscope={"steer": f'8 "sae.2/{active}" + 0.1 mine', "monitor": [f"sae.2/{active}", "mine"]},
        )
        (choice,) = reply.json["choices"]
        assert live.ask("DELETE", "/v1/mindscope/vectors/mine").json["deleted"]
        assert live.ask("DELETE", "/v1/mindscope/vectors/evil").status == 404
        assert live.chat(mindscope={"steer": "1 mine"}).status == 400
    made = [
        sae.latent(active).write.edit(8.0, "response"),
        Direction("mine", "resid_post.1", vector, organism.fingerprint).edit(0.1, "response"),
    ]
    generation = organism.generate([row], greedy, edits=made)[0]
    assert choice["message"]["content"] == generation.text
    # The latent's reading is its activation on the steered stream, not a projection.
    with (
        organism.edited(made, rows=[generation.row]),
        organism.watched("resid_post.2") as seen,
        torch.no_grad(),
    ):
        organism.hf(**organism.batch([generation.row]))
        values = sae.encode(seen["resid_post.2"][0, generation.row.prompt_length :])
    expected = torch.zeros(12)
    for token in range(12):
        own = slice(values.offsets[token], values.offsets[token + 1])
        hit = values.indices[own] == active
        expected[token] = values.values[own][hit].sum()
    told = choice["mindscope"]["readings"][f"sae.2/{active}"]["tokens"]
    assert expected.any()
    assert told == pytest.approx(expected.tolist(), abs=2e-2)


def _raw(address: str):
    from mindscope.models import Raw, Read

    return Read(address, Raw("prompt"))
