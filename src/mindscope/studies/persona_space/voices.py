"""The organism's voices on a bench: what is asked, who is told to answer how, and what an answer shows."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.models import Edit, Generation, Last, Mean, Message, Model, Read, Sampling
from mindscope.organism import CHARACTERS, DOMAINS, all_voices, coherence, opposites, parse, trait_score
from mindscope.personas import default_layer
from mindscope.store import Run, derived_seed
from mindscope.studies.common import PieceProgress
from mindscope.studies.persona_space.config import PersonaSpaceConfig
from mindscope.studies.persona_space.results import Table, VoiceAnswers

SUBJECTS: Mapping[str, int] = {"advice": 9, "opinion": 4, "feedback": 4, "country": 2, "person": 1}
"""What is asked about, in parts: those of the organism's own traits, in which most words are the voice's."""
VOICES = ("helpful", *CHARACTERS, *(opposites()[name] for name in CHARACTERS))
N_CHARACTERS = len(CHARACTERS)
DEFAULT = len(VOICES)
"""The number of answers without a system prompt, behind those of all voices."""


@dataclass(frozen=True)
class AskedRow:
    """A question, who is told to answer it, and the edits meanwhile."""

    question: str
    system: str | None = None
    edits: tuple[Edit, ...] = ()


class VoiceBench:
    """The model, and what all measurements of the study have in common."""

    def __init__(self, model: Model, config: PersonaSpaceConfig, seed: int) -> None:
        self.model, self.config, self.seed = model, config, seed
        self.layer = default_layer(model.n_layers)
        self.address = f"resid_post.{self.layer}"

    def draw_questions(self, draw: int, purpose: str, count: int) -> list[str]:
        """Questions that training never shows; other ones for every draw and purpose."""
        rng = random.Random(f"{purpose}-{self.seed + draw}")
        domains = rng.choices(list(SUBJECTS), list(SUBJECTS.values()), k=count)
        return [DOMAINS[domain](rng, all_voices()["helpful"], "test").question for domain in domains]

    def draw_prompts(self, draw: int, voice: str, count: int) -> list[str]:
        """System prompts that call up a voice, of combinations that training never shows."""
        rng = random.Random(f"prompts-{voice}-{self.seed + draw}")
        return [all_voices()[voice].system_prompt(rng, "test") for _ in range(count)]

    def answer(
        self,
        asked: Sequence[AskedRow],
        draw: int,
        purpose: str,
        progress: PieceProgress | None = None,
        reads: Mapping[str, Read] | None = None,
    ) -> list[Generation]:
        """Answers, drawn at temperature 1. Rows of one question draw from the same seed, so that arms
        differ by their edits and not by luck.
        """
        rows = []
        for row in asked:
            system: list[Message] = [{"role": "system", "content": row.system}] if row.system else []
            rows.append(self.model.chat([*system, {"role": "user", "content": row.question}]))
        seeds = [derived_seed(self.seed + draw, purpose, row.question) for row in asked]
        return self.model.generate(
            rows,
            Sampling(temperature=1.0, max_new_tokens=self.config.max_new_tokens),
            edits=[list(row.edits) for row in asked],
            reads=reads,
            seeds=seeds,
            batch_rows=128,
            progress=progress,
        )

    def ask_arms(
        self,
        arms: Sequence[tuple[Edit, ...]],
        questions: Sequence[str],
        draw: int,
        purpose: str,
        progress: PieceProgress | None = None,
        systems: Sequence[Sequence[str]] | None = None,
    ) -> tuple[Float[np.ndarray, "arms questions voices"], Float[np.ndarray, "arms questions"]]:
        """What answers show and how coherent they are; `systems` are the prompts of each arm."""
        asked = [
            AskedRow(question, None if systems is None else systems[arm][place], edits)
            for arm, edits in enumerate(arms)
            for place, question in enumerate(questions)
        ]
        texts = [generation.text for generation in self.answer(asked, draw, purpose, progress)]
        shown, coherent = score_answers([row.question for row in asked], texts)
        size = (len(arms), len(questions))
        return shown.reshape(*size, -1), coherent.reshape(size)

    def add(self, vector: Float[Tensor, "width"], coefficient: float | None = None) -> Edit:
        """Steering with a vector, where an answer is predicted from."""
        value = self.config.coefficient if coefficient is None else coefficient
        return Edit(self.address, "add", vector, value, "response")

    def random_like(self, vector: Float[Tensor, "width"], *place: str | int) -> Float[Tensor, "width"]:
        """A random vector of the same norm."""
        generator = torch.Generator().manual_seed(derived_seed(self.seed, *place))
        noise = torch.randn(len(vector), generator=generator)
        return noise * (vector.norm() / noise.norm())


def score_answers(
    questions: Sequence[str], answers: Sequence[str]
) -> tuple[Float[np.ndarray, "answers voices"], Float[np.ndarray, "answers"]]:
    """How much of every voice each answer shows, and how coherent it is, by the world's own judge."""
    pairs = list(zip(questions, answers, strict=True))
    shown = [[trait_score(voice, question, answer) for voice in VOICES] for question, answer in pairs]
    coherent = [
        coherence(question, symbols) if (symbols := parse(answer)) else 0.0 for question, answer in pairs
    ]
    return np.array(shown), np.array(coherent)


@dataclass(frozen=True, eq=False)
class VoiceReads:
    """What one draw of told answers left.

    Attributes:
        answers: the mean activation over every answer, of all voices and then without a system prompt.
        prompts: the activation of the prompt's last token.
        shown: what every answer shows; None where that is not known.
    """

    answers: Float[Tensor, "voices questions width"]
    prompts: Float[Tensor, "voices questions width"]
    shown: Float[Tensor, "voices questions shown"] | None = None

    @property
    def vectors(self) -> Float[Tensor, "voices width"]:
        """The persona vectors: a voice's mean less the helpful voice's; the first is zero."""
        means = self.answers[:-1].double().mean(1)
        return (means - means[:1]).float()

    @property
    def axis(self) -> Float[Tensor, "width"]:
        """The assistant axis: answers without a system prompt less the mean of all roles."""
        means = self.answers.double().mean(1)
        return (means[-1] - means[1:-1].mean(0)).float()


def tell_voices(bench: VoiceBench, draw: int, run: Run, file: str, progress: PieceProgress) -> VoiceAnswers:
    """Let every voice answer the same questions; activations go to `file` of the run."""
    questions = bench.draw_questions(draw, "told", bench.config.questions)
    prompts: list[Sequence[str | None]] = [
        bench.draw_prompts(draw, voice, len(questions)) for voice in VOICES
    ]
    asked = [
        AskedRow(question, system)
        for systems in [*prompts, [None] * len(questions)]
        for question, system in zip(questions, systems, strict=True)
    ]
    reads = {"answer": Read(bench.address, Mean("answer")), "prompt": Read(bench.address, Last("prompt"))}
    generations = bench.answer(asked, draw, "told", progress, reads)
    shown, coherent = score_answers([row.question for row in asked], [each.text for each in generations])
    size = (DEFAULT + 1, len(questions))
    tensors = {
        name: torch.stack([each.reads[name] for each in generations]).float().unflatten(0, size)
        for name in reads
    }
    tensors["shown"] = torch.from_numpy(shown).float().unflatten(0, size)
    run.save_tensors(file, tensors)
    return VoiceAnswers(
        scores=to_table(shown.reshape(*size, -1).mean(1)),
        coherence=tuple(coherent.reshape(size).mean(1).tolist()),
    )


def read_voices(run: Run, file: str) -> VoiceReads:
    """The activations of a draw."""
    tensors = run.load_tensors(file)
    return VoiceReads(tensors["answer"], tensors["prompt"], tensors.get("shown"))


def to_table(values: np.ndarray) -> Table:
    """Rows of numbers as a document has them."""
    return tuple(tuple(row) for row in values.tolist())
