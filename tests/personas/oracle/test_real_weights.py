"""The whole pipeline on weights that were trained elsewhere: happy against sad."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from mindscope.judges import JudgeItem, Judgement, JudgeScore, Rubric
from mindscope.models import Mean, Model, Read, load
from mindscope.personas.config import ExtractConfig, SteerConfig
from mindscope.personas.extraction import extract_vectors
from mindscope.personas.steering.results import SteeredArm
from mindscope.personas.steering.steer import measure_steering
from mindscope.personas.trait import Trait
from mindscope.personas.vectors import PersonaVectors
from mindscope.store import Run

HAPPY = """
happy joy joyful smile smiles smiled smiling fun love loved loves lovely enjoy enjoyed nice
cheerful sunny sunshine sun bright brightens wonderful beautiful good great excited warm laugh laughed
laughing delight refreshing relaxing calming lifts play played friends proud kind pretty yummy
"""
SAD = """
sad sadness gloomy lonely cry cried tears storm storms rain rainy cold dark heavy hard tired angry upset wrong
unfortunately bad worse trouble troubles lost miss missed hurt hurts pain scared scary afraid chilly cloudy
difficult frustrating gray sorrow melancholy worried broke broken mad
"""


class WordJudge:
    """50 with as many happy words as sad ones, 100 with happy ones only, 0 with sad ones only."""

    name = "happy and sad words"

    def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
        return [self.one(item.answer) for item in items]

    def one(self, answer: str) -> Judgement:
        words = re.findall(r"[a-z']+", answer.lower())
        happy, sad = sum(word in HAPPY.split() for word in words), sum(word in SAD.split() for word in words)
        score = 50 + 50 * (happy - sad) / max(1, happy + sad)
        return Judgement(JudgeScore.of(score), JudgeScore.of(100 * len(set(words)) / max(len(words), 4)))


def happiness(instructions: list[tuple[str, str]], extraction: list[str], evaluation: list[str]) -> Trait:
    return Trait.parse(
        {
            "name": "happy",
            "adjective": "happy",
            "opposite": "sad",
            "instructions": [{"pos": pos, "neg": neg} for pos, neg in instructions],
            "extraction": extraction,
            "evaluation": evaluation,
            "eval_prompt": "How happy is this? {question} {answer}",
        }
    )


def projection(model: Model, vectors: PersonaVectors, layer: int, arm: SteeredArm) -> float:
    """The mean over answers of the projection, read without any edit from the answers' text."""
    samples = [sample for sample in arm.samples if sample.answer.strip()]
    rows = [model.chat([{"role": "user", "content": s.question}], answer=s.answer) for s in samples]
    direction = vectors.direction(layer)
    reading = model.read(rows, {"mean": Read(direction.address, Mean("answer"))})["mean"]
    assert isinstance(reading.values, torch.Tensor)
    return direction.project(reading.values).mean().item()


def score(arm: SteeredArm) -> float:
    assert arm.scores.trait is not None
    return arm.scores.trait.mean


def test_a_chat_model_without_system_role(published: Path, tmp_path: Path) -> None:
    model = load(str(published / "models" / "craftgpt-5m-chat"), dtype="float32")
    trait = happiness(
        [
            ("i am so happy today!", "i am so sad today."),
            ("it is a wonderful day.", "it is a terrible day."),
            ("everything is great!", "everything is awful."),
        ],
        [
            "how is the weather?",
            "what music do you like?",
            "tell me about the rain.",
            "do you like songs?",
            "how was the storm?",
            "what do you hear on the radio?",
            "is it warm outside?",
            "do you sing?",
        ],
        [
            "how is the sky today?",
            "do you listen to music?",
            "what about the wind?",
            "which song do you know?",
            "is it cold outside?",
            "tell me about the weather.",
            "how is the concert?",
            "what do you think of the clouds?",
        ],
    )
    judge = WordJudge()
    with Run.open(tmp_path / "extract", kind="test", config={}) as run:
        vectors = extract_vectors(model, trait, judge, run, ExtractConfig(samples=4, max_new_tokens=24))
    assert vectors.statistics is not None
    assert min(vectors.statistics.d_prime) > 2
    assert min(vectors.statistics.cosine) > 0.9

    for layer in (2, 3):
        config = SteerConfig(layer=layer, coefficient=2, samples=4, n_random=3, max_new_tokens=24)
        with Run.open(tmp_path / f"steer{layer}", kind="test", config={}) as run:
            steering = measure_steering(model, vectors, trait, judge, run, config)
        before = score(steering.unsteered)
        assert score(steering.steered) > before + 10
        assert score(steering.against) < before - 10
        assert abs(score(steering.random) - before) < 8
        moved = [
            projection(model, vectors, layer, arm)
            for arm in (steering.against, steering.unsteered, steering.steered)
        ]
        assert moved == sorted(moved)
        assert moved[2] - moved[0] > 0.3 * vectors.norms[layer]
        coherence = steering.steered.scores.coherence
        assert coherence is not None
        assert coherence.mean > 80


def test_a_story_model_without_template(published: Path, tmp_path: Path) -> None:
    model = load(str(published / "models" / "stories260K"), dtype="float32")
    trait = happiness(
        [
            (
                "Lily was very happy. She smiled and laughed with her friends.",
                "Lily was very sad. She lost her toy and cried and cried.",
            ),
            (
                "It was a fun day. All the friends were happy and played.",
                "It was a bad day. Lily was scared and hurt. She was all alone.",
            ),
        ],
        [
            "Then Lily went to the park.",
            "Her mom said:",
            "Tim saw a dog.",
            "They went home.",
            "She found a ball.",
        ],
        [
            "One day, Ben saw a cat.",
            "The boy was at the lake.",
            "Sue had a toy.",
            "The bird was in the tree.",
        ],
    )
    judge = WordJudge()
    with Run.open(tmp_path / "extract", kind="test", config={}) as run:
        vectors = extract_vectors(model, trait, judge, run, ExtractConfig(samples=16, max_new_tokens=40))
    config = SteerConfig(layer=2, coefficient=2, samples=8, max_new_tokens=40)
    with Run.open(tmp_path / "steer", kind="test", config={}) as run:
        steering = measure_steering(model, vectors, trait, judge, run, config)
    moved = [
        projection(model, vectors, 2, arm) for arm in (steering.against, steering.unsteered, steering.steered)
    ]
    assert moved == sorted(moved)
    assert moved[2] - moved[0] > 0.3 * vectors.norms[2]
