"""Writing tokens into answers: where they end, what is streamed of them, and what is handed out at last."""

from collections.abc import Set

from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.generation.request import Generation, GenerationHandle
from mindscope.models.generation.sample import NOT_FINITE
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.read import read_rows
from mindscope.models.tokens.chat import decode
from mindscope.models.tokens.text import AnswerStream, StopStrings


class AnswerWriter:
    """Writes the answers of many requests, each by its own stop strings, limit and callback."""

    def __init__(self, core: HookedModel, eos_ids: Set[int]):
        self._core, self._eos_ids = core, eos_ids
        self._stops: dict[tuple[str, ...], StopStrings] = {}
        self._streams: dict[GenerationHandle, AnswerStream] = {}

    def accept(self, handle: GenerationHandle, token: int) -> None:
        """Write the token that was drawn, and hand it on. What the callback raises ends this answer alone."""
        if token == NOT_FINITE:
            handle.error = ModelError(
                "the model's logits are not finite; load it with dtype='float32' or use smaller edit values"
            )
            return
        if token in self._eos_ids:
            handle.finish = "stop"
        else:
            self._append(handle, token)
        if handle.request.on_token is not None:
            stream = self._streams.setdefault(handle, AnswerStream(self._stops_of(handle)))
            try:
                text = stream.add(self._text(handle), ended=handle.finish is not None)
                handle.request.on_token(token, text)
            except Exception as error:  # noqa: BLE001 - whose callback it was gets it back
                handle.error = error

    def end(self, handle: GenerationHandle, reads: dict[str, Tensor]) -> None:
        """Make the answer of a request that has ended. `reads` is what was read of it."""
        self._streams.pop(handle, None)
        if handle.error is not None:
            return
        if handle.finish is None:
            handle.finish = "cancelled"
        request = handle.request
        row, pushed = request.row.answered(handle.answer), handle.controller_edits.record()
        if handle.cut_text is not None and reads:
            # The stop string's tokens were read before it was known for what it is.
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
        handle.generation = Generation(row, self._text(handle), handle.finish, reads, pushed)

    def _append(self, handle: GenerationHandle, token: int) -> None:
        handle.answer.append(token)
        stops = self._stops_of(handle)
        if stops.found(handle.answer):
            kept, handle.cut_text = stops.cut(handle.answer)
            del handle.answer[kept:]
            handle.finish = "stop"
        elif len(handle.answer) == handle.limit:
            handle.finish = "length"

    def _text(self, handle: GenerationHandle) -> str:
        """The text after the row as it was given."""
        return decode(self._core.tokenizer, handle.answer) if handle.cut_text is None else handle.cut_text

    def _stops_of(self, handle: GenerationHandle) -> StopStrings:
        strings = handle.request.sampling.stop
        if strings not in self._stops:
            self._stops[strings] = StopStrings(self._core.tokenizer, strings)
        return self._stops[strings]
