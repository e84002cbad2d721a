"""Small published models: their answers, and steering that shows in words."""

import pytest
import torch

from mindscope.models import Edit, Last, Mean, Model, Read, Sampling, load

HAPPY = [
    "i am so happy today",
    "i love this wonderful day",
    "what a great and joyful time",
    "i feel cheerful",
]
SAD = ["i am so sad today", "i hate this terrible day", "what an awful and gloomy time", "i feel miserable"]
ASKED = ["how is the weather?", "do you like music?", "what did you do today?", "tell me about your friend"]


@pytest.fixture(scope="module")
def craft(published) -> Model:
    return load(published / "models" / "craftgpt-5m-chat", dtype="float32")


@pytest.fixture(scope="module")
def stories(published) -> Model:
    return load(published / "models" / "stories260K", dtype="float32")


def test_stories_go_on_as_transformers_writes_them(stories):
    row = stories.text("Once upon a time")
    assert row.ids[0] == stories.tokenizer.bos_token_id
    assert row.roles[0] == "special"
    (ours,) = stories.generate([row], Sampling(temperature=0, max_new_tokens=40))
    theirs = stories.hf.generate(torch.tensor([row.ids]), do_sample=False, max_new_tokens=40)[0]
    assert list(ours.row.ids) == theirs.tolist()
    assert "there was a little" in ours.text


def test_a_chat_model_without_system_role_answers_and_ends(craft):
    rows = [
        craft.chat([{"role": "system", "content": "be kind"}, {"role": "user", "content": q}]) for q in ASKED
    ]
    assert all(row.roles.count("system") == 2 for row in rows)
    generations = craft.generate(rows, Sampling(max_new_tokens=64))
    assert any(g.finish == "stop" for g in generations)
    for generation in generations:
        assert generation.text
        assert len(generation.row) <= craft.context_length == 64


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_contrast_of_moods_steers_the_words(published, dtype):
    model = load(published / "models" / "craftgpt-5m-chat", dtype=dtype)
    last = {"last": Read("resid_post.3", Last("prompt"))}

    def mood(texts):
        return model.read([model.chat([{"role": "user", "content": t}]) for t in texts], last)[
            "last"
        ].values.mean(0)

    vector = mood(HAPPY) - mood(SAD)
    rows = [model.chat([{"role": "user", "content": q}]) for q in ASKED * 12]
    reads = {"answer": Read("resid_post.4", Mean("answer"))}
    happy_words = {
        "happy",
        "great",
        "love",
        "wonderful",
        "joy",
        "good",
        "fun",
        "glad",
        "nice",
        "cheerful",
        "excited",
    }
    sad_words = {
        "sad",
        "bad",
        "hate",
        "gloomy",
        "awful",
        "terrible",
        "lonely",
        "cry",
        "tears",
        "sorrow",
        "heavy",
    }
    balance, projection = {}, {}
    for value in (-2.0, 0.0, 2.0):
        edit = Edit("resid_post.3", "add", vector, value, "response")
        generations = model.generate(rows, Sampling(max_new_tokens=24, seed=3), edits=[edit], reads=reads)
        spoken = [word.strip(".,!?") for g in generations for word in g.text.split()]
        balance[value] = sum(w in happy_words for w in spoken) - sum(w in sad_words for w in spoken)
        projection[value] = float(
            torch.stack([g.reads["answer"] for g in generations]).mean(0) @ vector / vector.norm()
        )
    assert balance[-2.0] < balance[0.0] < balance[2.0]
    assert projection[-2.0] < projection[0.0] < projection[2.0]


def test_fingerprints_agree_across_dtypes_and_differ_across_models(published, craft, stories):
    folder = published / "models" / "craftgpt-5m-chat"
    assert load(folder, dtype="bfloat16").fingerprint == craft.fingerprint
    assert craft.fingerprint != stories.fingerprint
