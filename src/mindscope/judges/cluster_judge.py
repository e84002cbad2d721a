"""A judge whose model runs in the copies of an engine elsewhere: many answers are scored at a time."""

from collections.abc import Iterable, Iterator, Sequence

from mindscope.engines import CompanionModel, ParallelEngine
from mindscope.judges.model_judge import ModelJudge
from mindscope.judges.protocol import JudgeItem, Judgement, Rubric
from mindscope.models import Model


class ClusterJudge:
    """Scores as a `ModelJudge` in process does, and has its name.

    Answers that are judged in one call are judged by one copy, so that the scores are the same to the last
    bit.

    Args:
        engine: whose copies judge.
        companion: the model that judges; the engine's own by default.

    Raises:
        ModelError: a copy cannot load the model.
        JudgeError: its tokenizer cannot write numbers.
    """

    def __init__(self, engine: ParallelEngine, companion: CompanionModel | None = None) -> None:
        self._engine, self._companion = engine, companion
        ((_, name),) = engine.call_many(_name_judge, None, [()], companion=companion)
        self.name: str = name

    def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
        """One judgement per item, in order."""
        ((_, judgements),) = self.judge_many(rubric, [items])
        return judgements

    def judge_many(
        self, rubric: Rubric, batches: Iterable[Sequence[JudgeItem]]
    ) -> Iterator[tuple[int, list[Judgement]]]:
        """The number of each batch, in no order, and its judgements."""
        yield from self._engine.call_many(
            _judge_items, rubric, ((items,) for items in batches), companion=self._companion
        )


def _name_judge(model: Model, shared: None) -> str:
    return ModelJudge(model).name


def _judge_items(model: Model, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
    return ModelJudge(model).judge(rubric, items)
