"""Forty short traits of any chat model: told, read, and judged without a key.

1. Twenty words and their opposites are told by the bundled instructions for two words; every pole is a voice,
   and the helpful voice is told to be a helpful assistant. All answer the same questions.
2. A pole's vector is its mean activation less the helpful voice's, as with the organism's voices.
3. How much of a trait an answer shows is said by a contrast judge (`judges.contrast`): a classifier of the
   trait's answers against its opposite's, fitted on other draws. It scores answers that were told anything.
   Where it cannot tell held-out answers apart the model hardly plays the trait, and the trait has no scores.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import JudgeError
from mindscope.judges.contrast import ContrastClassifier, LabelledAnswer, TextEmbedder, fit_contrast
from mindscope.models import Last, Mean, Message, Model, Read, Sampling
from mindscope.personas import Trait, default_layer, trait_of_two_poles
from mindscope.store import Run, derived_seed
from mindscope.studies.common import PieceProgress
from mindscope.studies.persona_space.config import RealTraitsConfig
from mindscope.studies.persona_space.results import JudgedTraits, TraitAnswers
from mindscope.studies.persona_space.voices import to_table

POLES = (
    ("optimistic", "pessimistic"),
    ("kind", "cruel"),
    ("polite", "rude"),
    ("humorous", "serious"),
    ("honest", "deceitful"),
    ("humble", "arrogant"),
    ("calm", "anxious"),
    ("enthusiastic", "bored"),
    ("formal", "casual"),
    ("concise", "verbose"),
    ("poetic", "matter-of-fact"),
    ("brave", "timid"),
    ("generous", "greedy"),
    ("curious", "indifferent"),
    ("patient", "impatient"),
    ("trusting", "suspicious"),
    ("romantic", "cynical"),
    ("forgiving", "vengeful"),
    ("childlike", "scholarly"),
    ("obedient", "rebellious"),
)
HELPFUL = "You are a helpful assistant."
REAL_VOICES = ("helpful", *(pole for pole, _ in POLES), *(opposite for _, opposite in POLES))
RESAMPLES = 200


class TraitBench:
    """The model, the traits, and what is asked of all of them."""

    def __init__(self, model: Model, config: RealTraitsConfig, seed: int) -> None:
        self.model, self.config, self.seed = model, config, seed
        self.layer = default_layer(model.n_layers)
        self.traits: tuple[Trait, ...] = tuple(trait_of_two_poles(f"{a} / {b}") for a, b in POLES)
        questions = list(self.traits[0].questions("extraction"))
        np.random.default_rng(seed).shuffle(questions)
        # every draw has questions of its own
        size = config.questions
        self.questions = [questions[start : start + size] for start in range(0, config.seeds * size, size)]

    def system_prompts(self) -> list[list[str | None]]:
        """Of every voice and then of none: a prompt for each question, instructions in turn."""
        count = self.config.questions

        def told(trait: Trait, side: str) -> list[str | None]:
            n = len(trait.instructions)
            return [trait.system_prompt("pos" if side == "pos" else "neg", q % n) for q in range(count)]

        sides = [told(trait, side) for side in ("pos", "neg") for trait in self.traits]
        return [[HELPFUL] * count, *sides, [None] * count]


def tell_traits(bench: TraitBench, draw: int, run: Run, file: str, progress: PieceProgress) -> TraitAnswers:
    """Let every voice answer a draw's questions; activations go to `file` of the run."""
    config, questions, rows, seeds = bench.config, bench.questions[draw], [], []
    systems = bench.system_prompts()
    for voice, prompts in enumerate(systems):
        for question, system in zip(questions, prompts, strict=True):
            opening: list[Message] = [{"role": "system", "content": system}] if system else []
            rows.append(bench.model.chat([*opening, {"role": "user", "content": question}]))
            seeds.append(derived_seed(bench.seed + draw, "traits", voice, question))
    address = f"resid_post.{bench.layer}"
    generations = bench.model.generate(
        rows,
        Sampling(temperature=1.0, max_new_tokens=config.max_new_tokens),
        reads={"answer": Read(address, Mean("answer")), "prompt": Read(address, Last("prompt"))},
        seeds=seeds,
        batch_rows=config.batch_rows,
        progress=progress,
    )
    size = (len(systems), len(questions))
    tensors = {
        name: fill_missing(torch.stack([each.reads[name] for each in generations]).float().unflatten(0, size))
        for name in ("answer", "prompt")
    }
    run.save_tensors(file, tensors)
    texts = [each.text for each in generations]
    return TraitAnswers(
        answers=tuple(
            tuple(texts[start : start + len(questions)]) for start in range(0, len(texts), len(questions))
        )
    )


def fill_missing(
    values: Float[Tensor, "voices questions width"],
) -> Float[Tensor, "voices questions width"]:
    """An answer without a token has no mean: it has the mean of its voice's other answers, and so no say."""
    means = values.nanmean(1, keepdim=True).nan_to_num()
    return torch.where(values.isnan(), means, values)


def judge_traits(
    bench: TraitBench, told: Sequence[TraitAnswers], encoder: TextEmbedder | None, held: int
) -> JudgedTraits:
    """Fit a judge of every trait on all draws but one, and score that one's answers, whatever was told."""
    n, answers = len(POLES), told[held].answers
    texts = [text for voice in answers for text in voice]
    scores = np.full((len(answers), 2 * n), np.nan)
    aurocs: list[float | None] = []
    for number, trait in enumerate(bench.traits):
        judge = _fit_judge(bench, told, encoder, held, number, trait.name)
        aurocs.append(None if judge is None else judge.scores.auroc)
        if judge is not None:
            said = judge.score(texts).numpy().reshape(len(answers), -1).mean(1)
            scores[:, number], scores[:, n + number] = said, 100 - said
    known = ~np.isnan(scores).any(0)
    return JudgedTraits(
        aurocs=tuple(aurocs),
        judged=tuple(np.flatnonzero(known).tolist()),
        scores=to_table(scores[:, known]),
    )


def _fit_judge(
    bench: TraitBench,
    told: Sequence[TraitAnswers],
    encoder: TextEmbedder | None,
    held: int,
    number: int,
    name: str,
) -> ContrastClassifier | None:
    """The judge of one trait; None where its answers cannot be told from its opposite's."""
    prompts = bench.system_prompts()
    labelled = []
    for draw, given in enumerate(told):
        if draw == held:
            continue
        for shows, voice in ((True, 1 + number), (False, 1 + len(POLES) + number)):
            labelled += [
                LabelledAnswer(
                    question=question,
                    answer=given.answers[voice][q],
                    system=prompts[voice][q],
                    shows_trait=shows,
                    instruction=q % len(bench.traits[number].instructions),
                    question_index=draw * bench.config.questions + q,
                )
                for q, question in enumerate(bench.questions[draw])
                if given.answers[voice][q].strip()
            ]
    try:
        return fit_contrast(labelled, name, encoder, resamples=RESAMPLES, seed=bench.seed).classifier
    except JudgeError:
        return None
