"""Writing tokens into answers: where they end, what is streamed of them, and what is handed out at last."""

from collections.abc import Set

from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.generation.request import Generation, GenerationHandle
from mindscope.models.generation.sample import NOT_FINITE
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.read import read_rows
from mindscope.models.tokens.text import AnswerStream, StopStrings, decode


class AnswerWriter:
    """Writes the answers of many requests, each by its own stop strings, limit and callback."""

    def __init__(self, core: HookedModel, eos_ids: Set[int]):
        self._core, self._eos_ids = core, eos_ids
        self._stops: dict[tuple[str, ...], StopStrings] = {}

    def accept(self, handle: GenerationHandle, token: int) -> None:
        """Write the token that was drawn, and hand it on. What the callback raises ends this answer alone."""
        if token == NOT_FINITE:
            handle.error = ModelError(
                "the model's logits are not finite; load it with dtype='float32' or use smaller edit values"
            )
            return
        if handle.error is not None:
            return
        if handle.constraint is not None:
            try:
                handle.constraint.take(token)
            except Exception as error:  # noqa: BLE001 - whose constraint it was gets it back
                handle.error = error
                return
        if token in self._eos_ids:
            handle.finish = "stop"
        else:
            self._append(handle, token)
        if handle.request.on_token is not None:
            try:
                handle.request.on_token(token, self.fresh_text(handle))
            except Exception as error:  # noqa: BLE001 - whose callback it was gets it back
                handle.error = error

    def fresh_text(self, handle: GenerationHandle) -> str:
        """What has become certain of an answer's text since the last call, whether or not it has ended."""
        if handle.stream is None:
            handle.stream = AnswerStream(self._stops_of(handle))
        return handle.stream.add(self._text(handle), ended=handle.finish is not None)

    def end(self, handle: GenerationHandle, reads: dict[str, Tensor]) -> None:
        """Make the answer of a request that has ended. `reads` is what was read of it."""
        if handle.error is not None:
            return
        if handle.finish is None:
            handle.finish = "cancelled"
        request = handle.request
        row = request.row.answered(handle.answer, handle.n_reasoning)
        pushed, tracker = handle.controller_edits.record(), handle.tracker
        if (handle.cut_text is not None or (tracker is not None and tracker.late)) and reads:
            # Tokens were read before it was known what they are: those of a stop string, or the first ones of
            # an answer that might have begun with a reasoning.
            again = read_rows(
                self._core,
                [row],
                request.reads,
                edits=[[*request.edits, *pushed]],
                batch_tokens=len(row),
                progress=None,
                callers=[request.index],
            )
            reads = {name: values.values[0] for name, values in again.items()}
        reasoning = self._reasoning(handle)
        handle.generation = Generation(row, self._text(handle), handle.finish, reads, pushed, reasoning)

    def _append(self, handle: GenerationHandle, token: int) -> None:
        handle.write(token)
        stops, n_reasoning = self._stops_of(handle), handle.n_reasoning
        final = handle.answer[n_reasoning:] if n_reasoning else handle.answer
        if stops.found(final):
            kept, handle.cut_text = stops.cut(final)
            del handle.answer[n_reasoning + kept :]
            handle.finish = "stop"
        elif len(handle.answer) == handle.limit:
            handle.finish = "length"

    def _text(self, handle: GenerationHandle) -> str:
        """The final answer after the row as it was given."""
        if handle.cut_text is not None:
            return handle.cut_text
        return decode(self._core.tokenizer, handle.answer[handle.n_reasoning :])

    def _reasoning(self, handle: GenerationHandle) -> str | None:
        """What was thought before the final answer."""
        if handle.tracker is None or not handle.tracker.reasoned:
            return None
        row = handle.request.row
        ids = [*row.answer, *handle.answer]
        text = decode(self._core.tokenizer, ids[: handle.tracker.n_reasoning(len(ids))], special=True)
        return handle.tracker.markers.clean(text)

    def _stops_of(self, handle: GenerationHandle) -> StopStrings:
        strings = handle.request.sampling.stop
        if strings not in self._stops:
            self._stops[strings] = StopStrings(self._core.tokenizer, strings)
        return self._stops[strings]
