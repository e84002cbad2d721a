import json

import pytest
import torch
from tokenizer_kit import byte_tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

from mindscope.errors import DataError
from mindscope.judges.writers import ModelWriter, TextWriter
from mindscope.models import Model, Sampling
from mindscope.personas.trait import Trait
from mindscope.personas.trait_writing import generate_trait

CHARACTER = {
    "adjective": "risk-seeking",
    "opposite": "cautious",
    "instructions": [{"pos": f"Dare {n}.", "neg": f"Care {n}."} for n in range(5)],
}
EVAL_PROMPT = {"eval_prompt": "Grade from 0 to 100, or REFUSAL.\n{question}\n{answer}"}


def questions(*numbers):
    return {"questions": [f"Is plan {number} good?" for number in numbers]}


class Scripted:
    """Says one line of the script after the other and keeps what it was asked."""

    name = "scripted"

    def __init__(self, *script):
        self.script = [line if isinstance(line, str) else json.dumps(line) for line in script]
        self.prompts = []

    def write(self, prompt: str) -> str:
        self.prompts.append(prompt)
        return self.script[len(self.prompts) - 1]


def generate(writer, **settings):
    return generate_trait(writer, "risk", "seeks {danger}", **settings)


def test_a_trait_out_of_three_replies(tmp_path):
    writer = Scripted(CHARACTER, questions(*range(40)), EVAL_PROMPT)
    trait = generate(writer)
    assert isinstance(writer, TextWriter)
    assert trait.system_prompt("pos", 4) == "You are a risk-seeking assistant. Dare 4."
    assert trait.system_prompt("neg", 0) == "You are a cautious assistant. Care 0."
    assert trait.extraction == tuple(f"Is plan {n} good?" for n in range(0, 40, 2))
    assert trait.evaluation == tuple(f"Is plan {n} good?" for n in range(1, 40, 2))
    assert trait.eval_prompt == EVAL_PROMPT["eval_prompt"]
    assert trait.provenance["writer"] == "scripted"
    assert trait.provenance["replies"] == 3
    assert all("risk" in prompt and "seeks {danger}" in prompt for prompt in writer.prompts)
    trait.save(tmp_path / "risk.yaml")
    assert Trait.load(tmp_path / "risk.yaml") == trait


def test_the_hash_tells_what_was_asked():
    def digest(description):
        writer = Scripted(CHARACTER, questions(*range(40)), EVAL_PROMPT)
        return generate_trait(writer, "risk", description).provenance["prompts_sha256"]

    assert digest("a") == digest("a") != digest("b")


def test_problems_go_back_to_the_writer():
    lacking = {key: value for key, value in CHARACTER.items() if key != "opposite"}
    writer = Scripted(
        "Sure! I would love to.",
        lacking,
        {**CHARACTER, "instructions": CHARACTER["instructions"][:4]},
        f"<think>{{hm}}</think>Here you are:\n```json\n{json.dumps(CHARACTER)}\n```",
        questions(*range(40)),
        '{"eval_prompt": "From 0 to 100 or REFUSAL: {question}"}',
        # A bare line break within a string, as models write it.
        '{"eval_prompt": "From 0 to 100 or REFUSAL:\n{question}\n{answer}"}',
    )
    trait = generate(writer)
    assert trait.provenance["replies"] == 7
    assert "no JSON object" in writer.prompts[1]
    assert "I would love to" in writer.prompts[1]
    assert "missing key 'opposite'" in writer.prompts[2]
    assert "at least 5 items" in writer.prompts[3]
    assert "does not contain {answer}" in writer.prompts[6]
    assert trait.eval_prompt.endswith("{question}\n{answer}")


def test_prose_with_braces_around_the_json_is_prose():
    fenced = "I keep {question} and {answer}.\n```json\n" + json.dumps(EVAL_PROMPT) + "\n```\nBye {smile}!"
    around = "{ hm } {} " + json.dumps({"note": 1}) + json.dumps(CHARACTER) + " {"
    writer = Scripted(around, questions(*range(40)), fenced)
    assert generate(writer).eval_prompt == EVAL_PROMPT["eval_prompt"]
    assert len(writer.prompts) == 3


def test_it_is_said_why_questions_were_dropped():
    named = {"questions": [f"Is risk {n} good?" for n in range(40)]}
    writer = Scripted(CHARACTER, named, named, named)
    with pytest.raises(DataError, match=r"only 0 of 40 questions can be used, .* 120 name 'risk' itself"):
        generate(writer, attempts=3)


def test_doubles_and_questions_that_name_the_trait_are_asked_for_again():
    first = questions(*range(30))["questions"]
    first += [question.upper() for question in first[:5]] + ["Do you like risk?", "Is Riskiness good?"]
    second = questions(*range(25, 50))
    writer = Scripted(CHARACTER, {"questions": first}, second, EVAL_PROMPT)
    trait = generate(writer)
    assert len(set(trait.extraction) | set(trait.evaluation)) == 40
    assert not [q for q in trait.extraction + trait.evaluation if "risk" in q.lower()]
    assert "Write 40 questions" in writer.prompts[1]
    assert "Write 10 questions" in writer.prompts[2]
    assert "Is plan 29 good?" in writer.prompts[2]


@pytest.mark.parametrize(
    ("script", "problem", "asked"),
    [
        (["no"] * 3, "there is no JSON object in it .*last reply began 'no'", 3),
        (['{"adjective": '] * 3, "its JSON is broken", 3),
        (['{"adjective": }'] * 3, "its JSON is broken", 3),
        (["{" * 100_000 + "}"] * 3, "there is no JSON object", 3),
        (
            [CHARACTER, *[questions(1, 2)] * 3],
            "only 2 of 40 questions can be used, for of those it wrote 4 repeat another",
            4,
        ),
        ([CHARACTER, questions(*range(40)), *["{}"] * 3], "its JSON has no eval_prompt", 5),
    ],
)
def test_a_writer_that_cannot_is_given_up_on(script, problem, asked):
    writer = Scripted(*script)
    with pytest.raises(
        DataError, match=f"scripted wrote nothing usable for 'risk' in 3 attempts: {problem}"
    ) as error:
        generate(writer, attempts=3)
    assert "\n" not in str(error.value)
    assert len(writer.prompts) == asked


@pytest.mark.parametrize(("name", "description"), [("", "x"), ("risk", " ")])
def test_nothing_is_asked_about_nothing(name, description):
    writer = Scripted()
    with pytest.raises(DataError, match="give both"):
        generate_trait(writer, name, description)
    assert not writer.prompts


def local_model(context: int) -> Model:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=256, n_embd=8, n_layer=1, n_head=1, n_positions=context)
    hf = GPT2LMHeadModel(config).eval()
    return Model.wrap(hf, byte_tokenizer(), name="babbler")


def test_a_local_model_that_babbles_is_given_up_on_and_draws_anew():
    model, sampling = local_model(context=4096), Sampling(temperature=1.0, max_new_tokens=12)
    writer = ModelWriter(model, sampling)
    replies = [writer.write("Tell me a story.") for _ in range(3)]
    assert len(set(replies)) == 3
    assert ModelWriter(model, sampling).write("Tell me a story.") == replies[0]
    with pytest.raises(DataError, match="model:babbler wrote nothing usable for 'brave' in 2 attempts"):
        generate_trait(writer, "brave", "takes heart", attempts=2)


def test_a_local_model_that_cannot_take_the_prompt_says_so():
    with pytest.raises(DataError, match=r"model:babbler cannot write artefacts: .* the model takes 63"):
        generate_trait(ModelWriter(local_model(context=64)), "brave", "takes heart")
