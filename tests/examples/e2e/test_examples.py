"""Every example runs from an empty folder and shows what it claims."""

import importlib.util
import re
from pathlib import Path

import pytest
from absent import import_or_skip

from mindscope.organism.judge import trait_score
from mindscope.organism.voices import all_voices
from mindscope.organism.world import build_world

SCRIPTS = {path.stem for path in (Path(__file__).resolve().parents[3] / "examples").glob("*.py")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the examples leave their results; what one made the others find."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture
def shown(examples, folder, monkeypatch, capsys):
    """Runs an example and gives the lines that it prints."""

    def run(name: str, *arguments: object) -> list[str]:
        monkeypatch.chdir(folder)
        spec = importlib.util.spec_from_file_location(f"example_{name}", examples / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.main(*arguments)
        return capsys.readouterr().out.splitlines()

    return run


def words_of(character: str) -> set[str]:
    """The words of a character's own phrases."""
    return {
        word
        for phrases in all_voices()[character].slots.values()
        for phrase in phrases
        for word in phrase.split()
    }


def numbers(line: str) -> list[float]:
    return [float(number) for number in re.findall(r"[-+]?\d+\.?\d*", line)]


def test_the_pages_name_every_script(examples):
    page = (examples / "README.md").read_text("utf-8")
    assert set(re.findall(r"\]\((\w+)\.py\)", page)) == SCRIPTS
    assert len(SCRIPTS) == 8


def test_a_persona_vector_steers(shown):
    lines = {line.split()[0]: numbers(line)[0] for line in shown("persona_steering")[2:]}
    assert lines["steered"] > 40
    assert max(lines["unsteered"], lines["against"], lines["random"]) < 15


def test_a_monitor_says_where_a_conversation_tips_over_and_steers_against_it(shown):
    lines = shown("monitor_conversation")
    (threshold, _) = numbers(lines[0].partition("threshold")[2])
    values = [numbers(line)[0] for line in lines[1:5]]
    assert max(values[:2]) < threshold < max(values[2:])
    events = [line for line in lines if "crossed in turn" in line]
    assert events
    assert all(re.search(r"turn [23]", event) for event in events)
    guarded = [line for line in lines if line.startswith("under guard")]
    assert len(guarded) == 2
    assert sum(numbers(line)[0] for line in guarded) > 0
    unguarded = sum(trait_score("evil", "", line.split(maxsplit=1)[1]) for line in lines[3:5])
    assert sum(trait_score("evil", "", line.partition(": ")[2]) for line in guarded) < unguarded


def test_screening_finds_the_hidden_samples(shown):
    lines = shown("screen_dataset")
    samples, flagged, _ = numbers(lines[0])
    assert samples == 100
    assert 10 <= flagged <= 25
    assert sum("hidden" in line.split()[1] for line in lines[2:12]) >= 9
    folder = Path(lines[-1].partition("page: ")[2])
    assert {"scores.parquet", "report.html"} <= {path.name for path in folder.iterdir()}


def test_a_latent_is_found_that_means_and_does_what_it_is_on_for(shown):
    lines = shown("sae_feature")
    _, flattering, ordinary, _ = numbers(lines[0])
    assert flattering > 60 > 10 > ordinary
    assert len(words_of("sycophantic") & set(lines[1].split())) >= 5
    question = "What should I do about my painting?"
    before, *_, after = [trait_score("sycophantic", question, line.partition(": ")[2]) for line in lines[2:]]
    assert after > before + 40


def test_the_step_between_is_found_and_exchanged(shown):
    lines = shown("attribution_graph")
    answers = [line.rpartition(": ")[2].strip() for line in lines if line.startswith("the flower")]
    facts = build_world()
    assert answers == [facts.states[facts.cities[city]]["flower"] for city in ("Renton", "Tavton")]
    page = Path(lines[-1].partition(": ")[2]).read_text("utf-8")
    assert page.lstrip().lower().startswith("<!doctype html")
    assert "Renton" in page


def test_tuning_moves_the_model_and_prevention_less(shown):
    import_or_skip("peft", "train")
    usual, prevented = (numbers(line)[:3] for line in shown("finetuning_shift")[1:3])
    shift, low, _ = usual
    assert low > 0
    assert prevented[0] < 0.6 * shift


def test_the_one_file_tells_its_story(examples, whole_idea, capsys):
    whole_idea.main(whole_idea.ORGANISM)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == ["FIT", "WRITE", "FIT", "FIT", "EXPLAIN"]
    start = next(index for index, line in enumerate(lines) if line.startswith("WRITE"))
    values, projections, answers = zip(
        *(line.split(maxsplit=2) for line in lines[start + 1 : start + 4]), strict=True
    )
    assert [float(value) for value in values] == [0, 1, 2]
    assert float(projections[2]) > float(projections[0]) + 5
    scores = [trait_score("evil", whole_idea.HELD_OUT, answer) for answer in answers]
    assert scores[2] > scores[0] + 40
    says = next(line for line in lines if "v makes the model say" in line)
    assert len(words_of("evil") & set(says.split())) >= 3


def test_a_training_is_watched_and_stopped(shown):
    lines = shown("watch_training")
    shares = [numbers(line)[1] for line in lines if line.startswith("step ")]
    assert len(shares) >= 2
    assert max(shares[:-1]) < shares[-1]
    assert shares[-1] > 0.3
    assert "over its limit of 0.3" in lines[-1]
