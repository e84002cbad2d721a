import json

import pytest
import yaml

from mindscope.errors import DataError
from mindscope.personas.trait import Trait

DOCUMENT = {
    "schema": "mindscope.trait/1",
    "name": "honest",
    "description": "says what it holds to be true",
    "adjective": "honest",
    "opposite": "deceitful",
    "instructions": [{"pos": "Tell the truth.", "neg": "Lie."}, {"pos": "Be open.", "neg": "Hide things."}],
    "extraction": ["Who are you?", "What is two and two?"],
    "evaluation": ["Where are you from?"],
    "eval_prompt": "How honest? {question} {answer}",
}


def without(*keys):
    return {key: value for key, value in DOCUMENT.items() if key not in keys}


def test_system_prompts_choose_the_article():
    trait = Trait.parse(DOCUMENT)
    assert trait.system_prompt("pos", 0) == "You are an honest assistant. Tell the truth."
    assert trait.system_prompt("neg", 1) == "You are a deceitful assistant. Hide things."
    with pytest.raises(DataError, match="has no instruction 2: choose 0 to 1"):
        trait.system_prompt("pos", 2)


@pytest.mark.parametrize(
    ("adjective", "article"),
    [
        *[
            (word, "an")
            for word in ("evil", "apathetic", "honest", "honourable", "Unkind", "unimpressed", "uninterested")
        ],
        *[
            (word, "an")
            for word in ("only", "onerous", "ironic", "utter", "unlikely", "hour-long", "usher-like")
        ],
        *[
            (word, "a")
            for word in ("kind", "helpful", "hallucinating", "unique", "universal", "united", "union-minded")
        ],
        *[
            (word, "a")
            for word in ("European", "one-sided", "useful", "utopian", "eulogistic", "ubiquitous", "humorous")
        ],
    ],
)
def test_articles_follow_the_sound(adjective, article):
    prompt = Trait.parse({**DOCUMENT, "adjective": adjective}).system_prompt("pos", 0)
    assert prompt.startswith(f"You are {article} {adjective} assistant. ")


@pytest.mark.parametrize("name", ["trait.json", "trait.yaml", "trait.yml"])
def test_saved_and_loaded_again(tmp_path, name):
    trait = Trait.parse({**DOCUMENT, "description": "schön: 中文\nzwei Zeilen", "provenance": {"model": "x"}})
    trait.save(tmp_path / name)
    assert Trait.load(tmp_path / name) == trait
    assert Trait.parse(trait.document()) == trait
    with pytest.raises(DataError, match=r"must end in \.json"):
        trait.save(tmp_path / "trait.txt")


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (without("eval_prompt"), "missing key 'eval_prompt'"),
        (without("name", "opposite"), "missing key 'name', 'opposite'"),
        ({**DOCUMENT, "instructions": [{"pos": "a"}]}, "missing key 'instructions.0.neg'"),
        ({**DOCUMENT, "instructions": []}, "key 'instructions'"),
        ({**DOCUMENT, "adjektive": "x"}, "unknown key 'adjektive'"),
        ({**DOCUMENT, "extraction": "Who?"}, "key 'extraction'"),
        ({**DOCUMENT, "extraction": ["  "]}, "key 'extraction.0'"),
        ({**DOCUMENT, "name": True}, "key 'name'"),
        ({**DOCUMENT, "evaluation": ["who are  you"]}, "'who are  you' is there twice"),
        ({**DOCUMENT, "evaluation": [], "extraction": []}, "there are no questions"),
        ({**DOCUMENT, "eval_prompt": "{question}"}, r"eval_prompt has no \{answer\}"),
        ({**DOCUMENT, "schema": "mindscope.trait/2"}, "reads 'mindscope.trait/1'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_file(tmp_path, document, complaint):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=complaint) as error:
        Trait.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("bad.json", b'{"name": ', "cannot be read as JSON"),
        ("bad.yaml", b"name: [", "cannot be read as YAML"),
        ("bad.json", b'{"name": "a", "opposite": "b", "name": "c"}', "the key 'name' is given twice"),
        ("bad.json", b'{"instructions": [{"pos": "a", "pos": "b"}]}', "the key 'pos' is given twice"),
        ("bad.json", b"[" * 600 + b"]" * 600, "nested too deeply"),
        ("bad.yaml", b"name: a\nopposite: b\nname: c", "the key 'name' is given twice"),
        ("bad.yaml", b"- a\n- b\n", "holds list"),
        ("bad.json", b"[" * 100_000, "cannot be read as JSON"),
        ("bad.yaml", b"\xff\xfe\x00", "not UTF-8"),
        ("bad.yaml", b"!!python/object/apply:os.system ['true']", "cannot be read as YAML"),
        ("bad.txt", b"", r"must end in \.json"),
    ],
)
def test_unreadable_files_are_one_line_too(tmp_path, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=complaint) as error:
        Trait.load(tmp_path / name)
    assert "\n" not in str(error.value)


def test_what_is_not_there_is_said_so(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        Trait.load(tmp_path / "none.json")
    with pytest.raises(DataError, match="no bundled trait 'evli': take apathetic, evil"):
        Trait.load("evli")
    with pytest.raises(DataError, match="cannot be read"):
        Trait.load("folder/evil.yaml")


def published(questions):
    return {
        "instruction": DOCUMENT["instructions"],
        "questions": questions,
        "eval_prompt": DOCUMENT["eval_prompt"],
    }


@pytest.fixture
def pair(tmp_path):
    paths = {}
    for split, folder in {"extraction": "trait_data_extract", "evaluation": "trait_data_eval"}.items():
        (tmp_path / folder).mkdir()
        paths[split] = tmp_path / folder / "evil.json"
        paths[split].write_text(json.dumps(published(DOCUMENT[split])))
    return paths


def test_published_pairs_find_each_other(pair):
    traits = [Trait.load(pair["extraction"]), Trait.load(pair["evaluation"])]
    traits.append(Trait.load(pair["extraction"], evaluation=pair["evaluation"]))
    for trait in traits:
        assert trait.name == trait.adjective == "evil"
        assert trait.system_prompt("neg", 0) == "You are a helpful assistant. Lie."
        assert list(trait.questions("extraction")) == DOCUMENT["extraction"]
        assert list(trait.questions("evaluation")) == DOCUMENT["evaluation"]
        assert trait.rubric().fill("Q", "A") == "How honest? Q A"


def test_one_published_file_serves_one_purpose(tmp_path, pair):
    alone = tmp_path / "cruel.json"
    alone.write_text(pair["extraction"].read_text())
    trait = Trait.load(alone)
    assert list(trait.questions("extraction")) == DOCUMENT["extraction"]
    with pytest.raises(DataError, match="'cruel' has no evaluation questions"):
        trait.questions("evaluation")
    pair["extraction"].unlink()
    with pytest.raises(DataError, match="'evil' has no extraction questions"):
        Trait.load(pair["evaluation"]).questions("extraction")


def test_published_files_name_their_missing_keys(pair):
    document = published(DOCUMENT["evaluation"])
    del document["eval_prompt"]
    pair["evaluation"].write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"trait_data_eval/evil\.json: missing key 'eval_prompt'"):
        Trait.load(pair["extraction"])


def test_published_pairs_must_not_share_questions(pair):
    with pytest.raises(DataError, match="is there twice"):
        Trait.load(pair["extraction"], evaluation=pair["extraction"])


def test_a_whole_trait_takes_no_evaluation_file(tmp_path, pair):
    (tmp_path / "whole.json").write_text(json.dumps(DOCUMENT))
    with pytest.raises(DataError, match=r"leave .* out"):
        Trait.load(tmp_path / "whole.json", evaluation=pair["evaluation"])


def test_a_byte_order_mark_does_no_harm(tmp_path):
    (tmp_path / "trait.yaml").write_text("\ufeff" + yaml.safe_dump(DOCUMENT))
    assert Trait.load(tmp_path / "trait.yaml").name == "honest"
