"""What features read in a conversation: before every answer, and at every token of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from mindscope.core import Progress, with_label
from mindscope.errors import DataError
from mindscope.features import Engines, Feature, FeatureSet
from mindscope.models import Message, Row, pack_turns, turn_rows
from mindscope.monitoring.config import ReadingPosition
from mindscope.monitoring.drift import measure_drift
from mindscope.monitoring.results import Drift, FeatureSeries

Talk = Sequence[Message] | Sequence[Row]
"""A conversation: its messages, or the rows that `turn_rows` made of them."""


@dataclass(frozen=True, eq=False)
class ProjectedTurn:
    """An answer of the assistant, or the prompt of an answer to come.

    Attributes:
        row: prompt and answer as the model saw them.
        last_prompt: `[features]`, read at the prompt's last token, before the answer.
        tokens: `[tokens, features]`, read at every token of the final answer; reasoning before it is not
            watched.
    """

    row: Row
    last_prompt: Float[Tensor, "features"]
    tokens: Float[Tensor, "tokens features"]

    @property
    def mean(self) -> Float[Tensor, "features"] | None:
        """Over the answer's tokens; None for an answer without any."""
        return self.tokens.double().mean(0).float() if len(self.tokens) else None


@dataclass(frozen=True, eq=False)
class TurnProjections:
    """The turns of one conversation. `features` are their keys, `NAME@ADDRESS`."""

    features: tuple[str, ...]
    turns: tuple[ProjectedTurn, ...]

    def column(self, feature: str) -> int:
        """The place of a feature; DataError for one that was not read."""
        if feature not in self.features:
            raise DataError(f"{feature} was not read here: these were: {', '.join(self.features)}")
        return self.features.index(feature)

    def series(self, feature: str, position: ReadingPosition = "answer") -> list[float | None]:
        """A value per turn: the mean over the answer, or the last prompt token's; None without an answer."""
        column = self.column(feature)
        read = [turn.last_prompt if position == "last_prompt" else turn.mean for turn in self.turns]
        return [None if values is None else values[column].item() for values in read]

    def drift(self, feature: str, position: ReadingPosition = "answer") -> Drift | None:
        """The trend of the series over the turns; None where fewer than three turns have a value."""
        return measure_drift(self.series(feature, position))

    def summary(self) -> dict[str, FeatureSeries]:
        """Series and drift of every feature."""
        return {
            feature: FeatureSeries(
                last_prompt=tuple(self.series(feature, "last_prompt")),
                answer=tuple(self.series(feature)),
                drift=self.drift(feature),
            )
            for feature in self.features
        }


def project_turns(
    models: Engines,
    features: Sequence[Feature],
    conversations: Sequence[Talk],
    *,
    progress: Progress | None = None,
) -> list[TurnProjections]:
    """Reads features over recorded conversations: all turns, all addresses, one pass.

    Args:
        models: the model that the features were fitted on; for features of several models, all of them.
        features: any number, at any addresses.
        conversations: of any number of turns.
        progress: called with (rows done, rows in all, what is being done).

    Raises:
        DataError: the features are of another model, or a model is missing; a conversation has no turn, or
            does not fit the context.
    """
    known = features if isinstance(features, FeatureSet) else FeatureSet(features)
    model = next(iter(known.match(models).values()))
    turns: list[list[Row]] = []
    for number, talk in enumerate(conversations):
        rows = [turn for turn in talk if isinstance(turn, Row)]
        try:
            turns.append(rows or turn_rows(model, [turn for turn in talk if not isinstance(turn, Row)]))
        except DataError as error:
            raise DataError(f"conversation {number}: {error}") from error
    groups = [pack_turns(rows) for rows in turns]
    rows = [packed.row for group in groups for packed in group]
    values = iter(known.read(models, rows, progress=with_label(progress, "reading turns")))
    projections: list[TurnProjections] = []
    for own, group in zip(turns, groups, strict=True):
        spans = [(span, read) for packed in group for read in [next(values)] for span in packed.spans]
        projections.append(
            TurnProjections(
                known.keys,
                tuple(
                    ProjectedTurn(
                        row,
                        read[span.prompt_length - 1].clone(),
                        read[span.final_start : span.end].clone(),
                    )
                    for row, (span, read) in zip(own, spans, strict=True)
                ),
            )
        )
    return projections
