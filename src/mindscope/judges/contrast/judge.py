"""The judge that a trait's own prompted answers make."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from mindscope.engines import Engine
from mindscope.errors import JudgeError
from mindscope.judges.contrast.classifier import (
    ContrastClassifier,
    ContrastScores,
    LabelledAnswer,
    fit_contrast,
)
from mindscope.judges.contrast.fluency import FluencyCurve, FluencyScale
from mindscope.judges.contrast.text_vectors import TextEmbedder
from mindscope.judges.protocol import EMPTY, JudgeItem, Judgement, JudgeScore, Rubric
from mindscope.store import digest, load_artifact, refusing_damage, save_artifact

SCHEMA, VERSION = "mindscope.contrast-judge", 1


class ContrastJudge:
    """Scores likeness to a trait's prompted answers, and how usual the language is to the model.

    It needs no other model and nobody's key. It cannot see what the prompted answers do not show in their
    words: whether a claim is true, or meant; an answer that describes the trait in its words is graded like
    one that has it. An answer it was fitted on gets the score of a classifier that has not seen it.

    Attributes:
        name: says the trait and a digest of what it was fitted on, for provenance.
        scores: how well prompted answers are told apart.
    """

    def __init__(
        self,
        model: Engine,
        trait: str,
        classifier: ContrastClassifier,
        fluency: FluencyScale,
        held_out: dict[JudgeItem, float],
    ) -> None:
        self._model, self._trait = model, trait
        self._classifier, self._fluency, self._held_out = classifier, fluency, held_out
        self.scores: ContrastScores = classifier.scores
        encoder = classifier.encoder
        made_of = {"trait": trait, "scores": classifier.scores.to_json(), "fluency": asdict(fluency)}
        self.name = f"contrast{'' if encoder is None else ':' + encoder.name} ({digest(made_of)})"

    @classmethod
    def fit(
        cls,
        model: Engine,
        trait: str,
        answers: Sequence[LabelledAnswer],
        references: Sequence[JudgeItem],
        voice: str,
        encoder: TextEmbedder | None = None,
    ) -> "ContrastJudge":
        """Fit on a trait's prompted answers, and on unprompted ones for what is coherent.

        Args:
            model: that gave the answers.
            trait: its name.
            answers: of both sides.
            references: answers without any instruction.
            voice: a system prompt that calls the trait up.
            encoder: of sentences; character n-grams by default.

        Raises:
            JudgeError: there are too few answers, or both sides cannot be told apart.
        """
        answers = [answer for answer in answers if answer.answer.strip()]
        fitted = fit_contrast(answers, trait, encoder)
        items = [JudgeItem(answer.question, answer.answer, answer.system) for answer in answers]
        held_out = dict(zip(items, fitted.held_out.tolist(), strict=True))
        return cls(model, trait, fitted.classifier, FluencyScale.fit(model, references, voice), held_out)

    def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
        """One judgement per item, in order.

        Raises:
            JudgeError: it was fitted for another trait.
        """
        ((_, judgements),) = self.judge_many(rubric, [items])
        return judgements

    def judge_many(
        self, rubric: Rubric, batches: Iterable[Sequence[JudgeItem]]
    ) -> Iterator[tuple[int, list[Judgement]]]:
        """The number of each batch, in no order, and its judgements.

        Copies of the model elsewhere read several batches at a time, each batch one copy, so that the scores
        are those of one process to the last bit.

        Raises:
            JudgeError: it was fitted for another trait.
        """
        if rubric.name != self._trait:
            raise JudgeError(
                f"this contrast judge was fitted for '{self._trait}', not for '{rubric.name}': "
                "a judge without a key belongs to one trait"
            )
        handed_out: dict[int, Sequence[JudgeItem]] = {}

        def hand_out() -> Iterator[tuple[list[JudgeItem]]]:
            for number, items in enumerate(batches):
                handed_out[number] = items
                yield (_answered(items),)

        for number, coherence in self._fluency.score_many(self._model, hand_out()):
            yield number, self._grade(handed_out.pop(number), coherence)

    def _grade(self, items: Sequence[JudgeItem], coherence: Sequence[float]) -> list[Judgement]:
        """The judgements of items, of whose answers it is known how coherent they are."""
        answered = _answered(items)
        new = [item for item in answered if item not in self._held_out]
        grades = dict(zip(new, self._classifier.score([item.answer for item in new]).tolist(), strict=True))
        judgements = {
            item: Judgement(
                JudgeScore.of(grades[item] if item in grades else self._held_out[item]), JudgeScore.of(value)
            )
            for item, value in zip(answered, coherence, strict=True)
        }
        return [judgements.get(item, EMPTY) for item in items]

    def save(self, path: Path) -> None:
        """Write everything but the encoder's own weights to a `.safetensors` file."""
        classifier = self._classifier
        tensors = {"weights": classifier.weights, "held_out": torch.tensor(list(self._held_out.values()))}
        if classifier.inverse_frequency is not None:
            tensors["inverse_frequency"] = classifier.inverse_frequency
        save_artifact(
            path,
            tensors,
            schema=SCHEMA,
            version=VERSION,
            metadata={
                "fingerprint": self._model.fingerprint,
                "trait": self._trait,
                "bias": classifier.bias,
                "scores": self.scores.to_json(),
                "fluency": asdict(self._fluency),
                "held_out": [[item.question, item.answer, item.system] for item in self._held_out],
            },
        )

    @classmethod
    def load(cls, path: Path, model: Engine, encoder: TextEmbedder | None = None) -> "ContrastJudge":
        """Read one back, with the encoder it was fitted with.

        Raises:
            StoreError: the file is not a contrast judge of this model.
            JudgeError: it was fitted with another encoder.
        """
        artifact = load_artifact(path, schema=SCHEMA, version=VERSION, fingerprint=model.fingerprint)
        with refusing_damage(path, "fit the judge again"):
            metadata, tensors = artifact.metadata, artifact.tensors
            scores = ContrastScores.model_validate(metadata["scores"])
            if scores.vectors != ("ngrams" if encoder is None else encoder.name):
                wanted = "" if scores.vectors == "ngrams" else f":ENCODER, where ENCODER is {scores.vectors}"
                raise JudgeError(f"{path} was fitted with other text vectors: use --judge contrast{wanted}")
            classifier = ContrastClassifier(
                weights=tensors["weights"],
                bias=float(metadata["bias"]),
                inverse_frequency=tensors.get("inverse_frequency"),
                encoder=encoder,
                scores=scores,
            )
            fluency = FluencyScale(
                metadata["fluency"]["voice"],
                FluencyCurve(**metadata["fluency"]["surprise"]),
                FluencyCurve(**metadata["fluency"]["repetition"]),
            )
            items = [JudgeItem(*texts) for texts in metadata["held_out"]]
            held_out = dict(zip(items, tensors["held_out"].tolist(), strict=True))
            return cls(model, str(metadata["trait"]), classifier, fluency, held_out)


def _answered(items: Sequence[JudgeItem]) -> list[JudgeItem]:
    """Those that have text, each once."""
    return list(dict.fromkeys(item for item in items if item.answer.strip()))
