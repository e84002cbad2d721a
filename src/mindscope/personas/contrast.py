"""A judge that is made in the run whose answers it scores: out of a trait's own prompted answers.

It needs no key and no second model. Extraction makes it between writing the answers and scoring them, and
keeps it beside the vectors; sweeps and steering read it from there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mindscope.core import Progress
from mindscope.engines import Engine
from mindscope.errors import JudgeError
from mindscope.judges import JudgeItem
from mindscope.judges.contrast import ContrastJudge, LabelledAnswer, SentenceEncoder, TextEmbedder
from mindscope.personas.answers import AnswerRequest, GeneratedAnswer, generate_answers
from mindscope.personas.config import ExtractConfig
from mindscope.personas.examples.example_set import ExampleSet
from mindscope.personas.trait import Trait
from mindscope.store import Run, derived_seed, part_of

JUDGE_FILE = "judge.safetensors"
"""Beside the vectors."""
REFERENCE_ANSWERS = 40
"""Answers without any instruction, from which the judge learns what is usual: twice the least it takes."""


@dataclass(frozen=True)
class ContrastRecipe:
    """How to make a contrast judge.

    Attributes:
        encoder: the folder or hub name of a sentence encoder; None for character n-grams.
    """

    encoder: str | None = None

    @property
    def name(self) -> str:
        """As it is asked for on the command line."""
        return "contrast" if self.encoder is None else f"contrast:{self.encoder}"

    def require_drawn(self, config: ExtractConfig) -> None:
        """Refuse answers of likeliest tokens alone, beside which every drawn answer looks unusual.

        Raises:
            JudgeError: the extraction does not draw.
        """
        if config.sampling().temperature == 0:
            raise JudgeError(
                "a contrast judge learns from answers that are drawn, and a single sample takes the "
                "likeliest tokens: give --samples 2 or more, or --temperature 1"
            )

    @cached_property
    def text_encoder(self) -> TextEmbedder | None:
        """The encoder, loaded; None for n-grams."""
        return None if self.encoder is None else SentenceEncoder(self.encoder)

    def fit(
        self,
        model: Engine,
        trait: Trait,
        requests: Sequence[AnswerRequest],
        answers: Sequence[GeneratedAnswer],
        run: Run,
        config: ExtractConfig,
        *,
        progress: Progress | None = None,
    ) -> ContrastJudge:
        """Make the judge from an extraction's answers, and save it beside the vectors.

        Raises:
            JudgeError: the trait's answers cannot be told from their opposites, or are too few.
        """
        labelled = [
            LabelledAnswer(
                question=request.question,
                answer=answer.text,
                system=request.system,
                shows_trait=request.labels["side"] == "pos",
                instruction=int(request.labels["instruction"]),
                question_index=int(request.labels["question_index"]),
            )
            for request, answer in zip(requests, answers, strict=True)
        ]
        references = _reference_requests(trait.questions("extraction")[: config.questions], config)
        return self._fit(model, trait, labelled, references, run, config, progress)

    def fit_examples(
        self,
        model: Engine,
        trait: Trait,
        examples: ExampleSet,
        run: Run,
        config: ExtractConfig,
        *,
        progress: Progress | None = None,
    ) -> ContrastJudge:
        """Make the judge from recorded answers of both sides, and save it beside the vectors.

        Whole units of examples are held out. What is usual is learnt from the model's own answers to the
        examples' questions.

        Raises:
            JudgeError: the sides cannot be told apart by their texts, or are too few.
        """
        self.require_drawn(config)
        units = examples.units
        labelled = [
            LabelledAnswer(
                question=example.question,
                answer=example.answer,
                system=example.system,
                shows_trait=place < len(examples.positive),
                instruction=0,  # there are none: whole units are held out
                question_index=unit,
            )
            for place, (example, unit) in enumerate(zip(examples.examples, units, strict=True))
        ]
        questions = list(dict.fromkeys(example.question for example in examples.examples))
        references = _reference_requests(questions[:REFERENCE_ANSWERS], config)
        return self._fit(model, trait, labelled, references, run, config, progress)

    def _fit(
        self,
        model: Engine,
        trait: Trait,
        labelled: Sequence[LabelledAnswer],
        references: Sequence[AnswerRequest],
        run: Run,
        config: ExtractConfig,
        progress: Progress | None,
    ) -> ContrastJudge:
        name = part_of("extract", trait.name)
        unprompted = generate_answers(
            model, references, run, f"{name}/references", config=config, progress=progress
        )
        judge = ContrastJudge.fit(
            model,
            trait.name,
            labelled,
            [
                JudgeItem(request.question, answer.text)
                for request, answer in zip(references, unprompted, strict=True)
            ],
            trait.system_prompt("pos", 0),
            self.text_encoder,
        )
        judge.save(run.path / name / JUDGE_FILE)
        run.save_json(f"{name}/judge.json", judge.scores.to_json())
        return judge

    def require_made(self, path: Path) -> None:
        """Raises JudgeError where no extraction left a judge."""
        if not path.exists():
            raise JudgeError(
                f"there is no contrast judge in {path}: extract the trait there with --judge {self.name} "
                "(answers that are kept are used)"
            )

    def load(self, model: Engine, path: Path) -> ContrastJudge:
        """The judge that an extraction left in a file.

        Raises:
            JudgeError: it left none, or one with other text vectors.
        """
        self.require_made(path)
        return ContrastJudge.load(path, model, self.text_encoder)


def contrast_recipe(judge: str | None) -> ContrastRecipe | None:
    """The recipe that `contrast` or `contrast:ENCODER` asks for; None for other judges."""
    kind, _, encoder = (judge or "").partition(":")
    return ContrastRecipe(encoder or None) if kind == "contrast" else None


def _reference_requests(questions: Sequence[str], config: ExtractConfig) -> list[AnswerRequest]:
    samples = math.ceil(REFERENCE_ANSWERS / len(questions))
    return [
        AnswerRequest(
            question=question,
            seed=derived_seed(config.seed, "reference", index, sample),
            labels={"question_index": index, "sample": sample},
        )
        for sample in range(samples)
        for index, question in enumerate(questions)
    ]
