"""A causal language model under the microscope: what it is, and the verbs that act on it."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from mindscope.core import (
    BorrowedArtifact,
    EngineCapabilities,
    ModelIdentity,
    take_borrowed,
)
from mindscope.models.generation.config import Sampling
from mindscope.models.generation.control import Controller
from mindscope.models.generation.generate import OnToken, RowOptions, generate_unordered
from mindscope.models.generation.request import Generation
from mindscope.models.hooks.core import Edits, HookedModel
from mindscope.models.hooks.read import Read, Reading, RowProgress, read_next_logits, read_rows
from mindscope.models.loading.fingerprint import WeightDigests, digest_weights
from mindscope.models.loading.identify import identify
from mindscope.models.loading.loading import load_parts, split_revision
from mindscope.models.loading.options import LoadOptions
from mindscope.models.tokens.chat import ChatTokenizer
from mindscope.models.tokens.reasoning import ReasoningTracker
from mindscope.models.tokens.rows import Message, Row
from mindscope.models.tokens.template import TemplateMode


class Model(HookedModel):
    """A causal LM: read activations, write into them, generate with both.

    Attributes:
        hf: the Hugging Face model.
        tokenizer: its tokenizer.
        name: what it was loaded from.
        n_layers: how many blocks it has.
        d_model: the width of its residual stream.
        template: how its conversations are rendered; see `with_template`.
        base: what it was tuned from, where its loader or its tuner wrote that down.
        vectors_of_base: whether vectors, thresholds and dictionaries of a related model may be used with it;
            see `borrow`.
    """

    template = TemplateMode()
    base: ModelIdentity | None = None
    vectors_of_base: bool = False

    @classmethod
    def load(
        cls,
        name: str | Path,
        options: LoadOptions | None = None,
        *,
        dtype: str | None = None,
        device: str | None = None,
        revision: str | None = None,
    ) -> "Model":
        """Load a model by hub name, from a folder or a GGUF file, or the bundled one (`organism`).

            model = Model.load("OWNER/MODEL@REVISION", LoadOptions(device_map="auto"), dtype="bfloat16")

        Args:
            name: a Hugging Face name, which may name its revision behind an @, a folder, a GGUF file, or
                `organism`. The folder of a LoRA adapter gives its base with the adapter merged in.
            options: precision, device, attention and the rest.
            dtype: `float32`, `bfloat16`, `float16`, or `auto`: what runs fastest here without overflow; in
                place of that of the options, as what follows.
            device: `cpu`, `cuda`, ..., or `auto`.
            revision: a branch, tag or commit of the hub's repository.

        Raises:
            ModelError: there is no such model, its files are missing, placeholders or damaged, or an option
                does not fit.
        """
        changes = {"dtype": dtype, "device": device, "revision": revision}
        given = {field: value for field, value in changes.items() if value is not None}
        parts = load_parts(str(name), (options or LoadOptions()).model_copy(update=given))
        model = cls(parts.hf, parts.tokenizer, split_revision(str(name))[0])
        model.base = parts.base
        return model

    @classmethod
    def wrap(cls, hf: Any, tokenizer: Any, *, name: str) -> "Model":
        """A Hugging Face causal LM that is in memory already; nothing about it is changed."""
        return cls(hf, tokenizer, name)

    @property
    def fingerprint(self) -> str:
        """A sha256 that tells these weights from others, the same in float32 and bfloat16.

        Computed once; after training the weights, wrap the model again.
        """
        return self._digests.fingerprint

    @property
    def identity(self) -> ModelIdentity:
        """Which weights these are, where they come from, and what they were tuned from."""
        return identify(self.hf, self.name, self.base, self._digests)

    @property
    def borrowed(self) -> tuple[BorrowedArtifact, ...]:
        """What was made with other weights and is used with this model, in the order of its first use."""
        return tuple(self._borrowings.values())

    def borrow(self, artifact: str, made_with: ModelIdentity, refusal: str) -> BorrowedArtifact:
        """Take what was made with a related model, which `vectors_of_base` must allow, and remember it.

        Args:
            artifact: what it is, such as `the vectors of 'evil'`.
            made_with: the model that it was made with.
            refusal: what is wrong where it is not allowed, and what else can be done.

        Raises:
            DataError: it is not allowed; the line ends with the relation and the option.
        """
        taken = take_borrowed(self, artifact, made_with, refusal)
        return self._borrowings.setdefault((artifact, made_with.fingerprint), taken)

    @property
    def _borrowings(self) -> dict[tuple[str, str], BorrowedArtifact]:
        known = self.derived.setdefault("borrowed", {})  # views of the model share it
        assert isinstance(known, dict)
        return known

    @property
    def _digests(self) -> WeightDigests:
        known = self.derived.get("digests")
        if not isinstance(known, WeightDigests):
            known = self.derived["digests"] = digest_weights(self.hf)
        return known

    @property
    def capabilities(self) -> EngineCapabilities:
        """What can be asked of it: everything, for it runs in process."""
        return EngineCapabilities("eager")

    def with_template(self, *, clock: datetime | None = None, **options: Any) -> "Model":
        """The same model, with its conversations rendered in another way.

            quick = model.with_template(enable_thinking=False)

        Weights, hooks and everything else are shared. In every mode the prompt of an answer that is given is
        the prompt of one that is asked for.

        Args:
            clock: the time that a template sees which writes the date; None leaves it as it is.
            options: what the template takes by name, besides what is set already. `chat_template` names one
                of several templates.

        Raises:
            ModelError: the template takes no such option.
        """
        mode = self.template.with_options(options)
        view = copy.copy(self)
        view.template = mode if clock is None else replace(mode, clock=clock)
        for cached in ("_chat", "eos_ids"):
            view.__dict__.pop(cached, None)
        _ = view._chat  # refuses options that the template does not take
        return view

    @property
    def template_source(self) -> str:
        """The chat template itself, as the mode chooses it; empty where there is none."""
        return self._chat.template_source

    @cached_property
    def _chat(self) -> ChatTokenizer:
        return ChatTokenizer(self.tokenizer, self.template, self.name)

    @cached_property
    def eos_ids(self) -> frozenset[int]:
        """The tokens that end an answer: the model's, the tokenizer's and the chat template's."""
        named = getattr(getattr(self.hf, "generation_config", None), "eos_token_id", None)
        named = [named] if isinstance(named, int) else list(named or ())
        ends = (*named, self.tokenizer.eos_token_id, *self._chat.end_of_turn[-1:])
        return frozenset(i for i in ends if i is not None)

    @property
    def end_of_turn(self) -> tuple[int, ...]:
        """What ends the last answer of a conversation: the chat template's special token with the blanks
        before it, else the tokenizer's end of text; empty if there is neither.
        """
        eos = self.tokenizer.eos_token_id
        return self._chat.end_of_turn or (() if eos is None else (eos,))

    @property
    def end_of_earlier_turn(self) -> tuple[int, ...]:
        """What the chat template writes at the end of an answer that another turn follows, up to its special
        token; empty where it writes none.
        """
        return self._chat.end_of_earlier_turn

    def chat(
        self, messages: Sequence[Message], answer: str | None = None, reasoning: str | None = None
    ) -> Row:
        """A conversation as a row: the template's prompt up to where the answer begins, and the answer.

        Prompt and answer are joined as ids, so the prompt is the same with an answer and without one. A
        tokenizer whose template takes no system message gets it as the opening of the first user turn; one
        without a template gets the messages as plain lines.

        An answer that begins with its reasoning, in the markers of the model's template, is taken apart, and
        written as the template writes it. In a mode without thinking the reasoning is left out. An answer
        without any gets what closes an empty one, where the template writes that.

        Args:
            messages: up to the question.
            answer: what the assistant says to it.
            reasoning: what it thought before, where that is known apart from the answer.

        Raises:
            ModelError: no messages, an unknown role, or a template that refuses the conversation.
        """
        return self._chat.row(messages, answer, reasoning)

    def tracker(self, row: Row) -> ReasoningTracker | None:
        """What tells the reasoning in an answer to this row from its final part while it is written."""
        return self._chat.tracker(row)

    def text(self, text: str, answer: str | None = None) -> Row:
        """Plain text as a row: no template, and a beginning-of-text token where the tokenizer adds one."""
        return self._chat.plain_row(text, answer)

    def read(
        self,
        rows: Sequence[Row],
        reads: Mapping[str, Read],
        *,
        edits: Edits | None = None,
        batch_tokens: int | None = None,
        progress: RowProgress | None = None,
    ) -> dict[str, Reading]:
        """Read activations of rows, reduced while they stream past.

        Rows go longest first in batches of at most `batch_tokens` tokens; each pass ends at the deepest
        address and never runs the head. Sums are float32 whatever the model's dtype.

        Args:
            rows: the rows.
            reads: what to read, by name. At an edited address the edited activations are read.
            edits: one list of edits for every row, or one list per row.
            batch_tokens: the most tokens of one forward pass, with padding; None for what suits the device.
            progress: called with (rows done, rows in all).

        Returns:
            One `Reading` a name, rows in the caller's order.

        Raises:
            ModelError: an address, width, edit or row does not fit the model.
        """
        return read_rows(self, rows, reads, edits=edits, batch_tokens=batch_tokens, progress=progress)

    def generate(
        self,
        rows: Sequence[Row],
        sampling: Sampling | None = None,
        *,
        edits: Edits | None = None,
        reads: Mapping[str, Read] | None = None,
        seeds: Sequence[int] | None = None,
        batch_rows: int = 64,
        progress: RowProgress | None = None,
        on_token: OnToken | None = None,
        controller: Controller | None = None,
    ) -> list[Generation]:
        """Write an answer to each row, reading as it is written.

        A row draws its tokens with its own random numbers, so the answer does not depend on the other rows
        beyond rounding. A row that already has answer tokens goes on from them.

        Args:
            rows: the prompts.
            sampling: how to draw.
            edits: one list of edits for every row, or one list per row.
            reads: what to read of prompt and answer, by name: the same as `read` of the finished rows.
            seeds: one seed per row, in place of `sampling.seed` with the row's index.
            batch_rows: how many rows are written side by side. Where memory runs out there are fewer, with a
                `MemoryWarning`; rows that are watched (`on_token`, `controller`) are not begun again.
            progress: called with (rows done, rows in all).
            on_token: called with (row index, token id, new text) for every token; whatever it raises ends
                the generation and leaves no hook.
            controller: looks on while the answers are written, and may end a row or push it.

        Raises:
            ModelError: a prompt is empty or fills the context, or an edit, address or width does not fit;
                memory does not hold a single row, or not all that are watched.
        """
        options = RowOptions(sampling or Sampling(), edits, reads, seeds, on_token, controller)
        generations: dict[int, Generation] = {}
        for i, generation in generate_unordered(
            self, rows, options, eos_ids=self.eos_ids, batch_rows=batch_rows
        ):
            generations[i] = generation
            if progress is not None:
                progress(len(generations), len(rows))
        return [generations[i] for i in range(len(rows))]

    def generate_unordered(
        self,
        rows: Sequence[Row],
        sampling: Sampling | None = None,
        *,
        edits: Edits | None = None,
        reads: Mapping[str, Read] | None = None,
        seeds: Sequence[int] | None = None,
        batch_rows: int = 64,
    ) -> Iterator[tuple[int, Generation]]:
        """The same answers with the index of each row, handed out as they end and not kept here.

        A row that has ended leaves its place to the next one, so one call with many rows takes fewer steps
        than many calls with few. The writing goes on while the next answer is asked for.

        Raises:
            ModelError: what `generate` says, before this returns.
        """
        options = RowOptions(sampling or Sampling(), edits, reads, seeds)
        return generate_unordered(self, rows, options, eos_ids=self.eos_ids, batch_rows=batch_rows)

    def next_logits(
        self, rows: Sequence[Row], *, edits: Edits | None = None, batch_tokens: int | None = None
    ) -> Float[Tensor, "rows vocabulary"]:
        """The logits of the token after each row, float32 on the CPU, in the caller's order."""
        return read_next_logits(self, rows, edits=edits, batch_tokens=batch_tokens)

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        """The text of ids; special tokens are left out, or written by their names."""
        return self._chat.decode(ids, special=special)


def load(
    name: str | Path,
    options: LoadOptions | None = None,
    *,
    dtype: str | None = None,
    device: str | None = None,
    revision: str | None = None,
) -> Model:
    """See `Model.load`."""
    return Model.load(name, options, dtype=dtype, device=device, revision=revision)
