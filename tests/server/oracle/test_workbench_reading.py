"""What the workbench tells of a token, against plain hooks and the model's own logits."""

import json

import pytest
import server_kit
import torch

from mindscope.models import Model
from mindscope.personas import PersonaVectors
from mindscope.server.workbench.routes import WorkbenchPlace

ASKED = [{"role": "user", "content": "Should I trust my neighbour?"}]
ANSWER = "Yes, the neighbour is kind."


@pytest.fixture(scope="module")
def live(make_service):
    with server_kit.serving(make_service(), workbench=WorkbenchPlace()) as live:
        yield live


def read(live: server_kit.LiveServer, **body):
    return live.ask("POST", "/v1/workbench/read", body)


def activations(model: Model, ids: tuple[int, ...], layer: int) -> torch.Tensor:
    """`[tokens, width]` behind a block, by the library's own output."""
    with torch.no_grad():
        states = model.hf(torch.tensor([ids]), output_hidden_states=True).hidden_states
    assert layer < model.n_layers - 1  # the last one is behind the final norm
    return states[layer + 1][0].float()


def test_readings_are_projections_at_every_token(
    live: server_kit.LiveServer, organism: Model, vectors: dict[str, PersonaVectors]
):
    row = organism.chat(ASKED, ANSWER)
    messages = [*ASKED, {"role": "assistant", "content": ANSWER}]
    told = read(live, messages=messages, features=["evil"]).json
    assert told["answer"] == row.final_start
    assert "".join(one["text"] for one in told["tokens"][told["answer"] :]).strip() == ANSWER
    vector = vectors["evil"].answer_mean[2]
    expected = activations(organism, row.ids, 2) @ (vector / vector.norm())
    assert told["readings"]["evil"] == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-2)


def test_a_token_has_a_reading_at_every_layer_and_the_likeliest_tokens(
    live: server_kit.LiveServer, organism: Model, vectors: dict[str, PersonaVectors]
):
    row = organism.chat(ASKED, ANSWER)
    place = row.final_start + 2
    messages = [*ASKED, {"role": "assistant", "content": ANSWER}]
    told = read(live, messages=messages, token=2).json["token"]
    by_name = {one["feature"]: one for one in told["layers"]}
    assert by_name.keys() == {"evil", "kind"}
    for layer in range(organism.n_layers - 1):
        vector = vectors["kind"].answer_mean[layer]
        expected = (activations(organism, row.ids, layer)[place] @ (vector / vector.norm())).item()
        assert by_name["kind"]["values"][layer] == pytest.approx(expected, rel=1e-3, abs=1e-2)
    with torch.no_grad():
        logits = organism.hf(torch.tensor([row.ids[:place]])).logits[0, -1].float()
    shares = logits.softmax(-1)
    best = shares.topk(3)
    first = told["likeliest"][:3]
    assert [one["probability"] for one in first] == pytest.approx(best.values.tolist(), rel=1e-3)
    assert [one["text"] for one in first] == [organism.decode([token]) for token in best.indices.tolist()]
    assert told["probability"] == pytest.approx(shares[row.ids[place]].item(), rel=1e-3)


def test_it_reads_under_the_edits_that_the_answer_was_written_with(live: server_kit.LiveServer):
    steer = [{"vector": "evil", "coefficient": 1.5}]
    body = {
        "model": live.service.name,
        "messages": ASKED,
        "temperature": 0,
        "max_tokens": 12,
        "mindscope": {"steer": steer, "monitor": ["evil"]},
    }
    choice = live.ask("POST", "/v1/chat/completions", body).json["choices"][0]
    messages = [*ASKED, {"role": "assistant", "content": choice["message"]["content"]}]
    told = read(live, messages=messages, features=["evil"], steer=steer).json
    written = choice["mindscope"]["readings"]["evil"]["tokens"]
    again = told["readings"]["evil"][told["answer"] :]
    assert again[: len(written)] == pytest.approx(written, rel=0.01, abs=0.05)
    plain = read(live, messages=messages, features=["evil"]).json
    assert plain["readings"]["evil"][told["answer"]] != pytest.approx(written[0], rel=0.05)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"messages": [*ASKED, {"role": "assistant", "content": "Yes."}], "token": 400}, "count from 0"),
        ({"messages": ASKED, "features": ["nobody"]}, "nobody"),
        ({"messages": ASKED, "steer": "1 nobody"}, "nobody"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "so " * 3000}]}, "tokens"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(live: server_kit.LiveServer, body, says):
    reply = read(live, **body)
    assert reply.status == 400
    message = json.loads(reply.body)["error"]["message"]
    assert says in message
    assert "\n" not in message
