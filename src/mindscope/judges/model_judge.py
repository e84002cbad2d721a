"""A judge on this machine."""

from collections.abc import Sequence
from itertools import takewhile

from mindscope.judges.answer_tree import AnswerTree
from mindscope.judges.prompts import COHERENCE, judge_prompt
from mindscope.judges.protocol import EMPTY, JudgeItem, Judgement, JudgeScore, Rubric
from mindscope.judges.reading import weighted_score
from mindscope.judges.spelling import AnswerSpellings
from mindscope.models import Model


class ModelJudge:
    r"""Scores with a model loaded here: the mean of 0 to 100, each weighted with its probability.

    The score of Chen et al. 2025, arXiv 2507.21509, but over numbers instead of single tokens, so that it is
    right for tokenizers that split 85 into "8", "5". No score where numbers hold less than a quarter of the
    probability; a refusal where REFUSAL is likelier than all numbers together. An item's score does not
    depend on its neighbours.

    Args:
        model: any chat model.
        prefill: text that the judge's answer begins with. A model that would think first needs none: it is
            asked where its final answer begins, behind what closes an empty reasoning.

    Raises:
        JudgeError: the model's tokenizer cannot write numbers.
    """

    def __init__(self, model: Model, *, prefill: str = "") -> None:
        self._model = model
        self._prefill = prefill
        self._spellings = _spellings_of(model)
        self.name = f"model:{model.name}"

    def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
        """One judgement per item, in order; a prompt too long for the model is a missing score."""
        answered = list(dict.fromkeys(item for item in items if item.answer.strip()))
        scores = [self._score(each, answered) for each in (rubric, COHERENCE)]
        judgements = {item: Judgement(*pair) for item, *pair in zip(answered, *scores, strict=True)}
        return [judgements.get(item, EMPTY) for item in items]

    def _score(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[JudgeScore]:
        if not items:
            return []
        # What two different items have in common is the rubric itself: it passes through the model only once.
        pair = [self._ids(rubric, JudgeItem(text, text)) for text in ("yes", "no")]
        beginning = [a for a, _ in takewhile(lambda ids: ids[0] == ids[1], zip(*pair, strict=False))]
        prompts = [self._ids(rubric, item) for item in items]
        room = self._model.context_length
        fitting = [ids for ids in prompts if room is None or len(ids) + len("100") <= room]
        answers = iter(AnswerTree(self._model, self._spellings, beginning).of_many(fitting))
        scores: list[JudgeScore] = []
        for ids in prompts:
            if room is not None and len(ids) + len("100") > room:
                detail = f"the prompt has {len(ids)} tokens, the judge takes {room - len('100')}"
                scores.append(JudgeScore.missing(detail))
                continue
            answer = next(answers)
            scores.append(weighted_score(answer.numbers, answer.refusal, instead=answer.likeliest))
        return scores

    def _ids(self, rubric: Rubric, item: JudgeItem) -> tuple[int, ...]:
        prompt = judge_prompt(rubric, item)
        return self._model.chat([{"role": "user", "content": prompt}], self._prefill).ids


def _spellings_of(model: Model) -> AnswerSpellings:
    """Read off the vocabulary once; views of the model share it."""
    known = model.derived.get("answer spellings")
    if not isinstance(known, AnswerSpellings):
        known = model.derived["answer spellings"] = AnswerSpellings(model.tokenizer)
    return known
