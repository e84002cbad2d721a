"""Prompts put to the model: texts to complete, and conversations to answer."""

from collections.abc import Sequence

from mindscope.models import Edit, Generation, Message, Model, Sampling
from mindscope.organism.corpus.phrasing import DialogueTurn
from mindscope.organism.mechanisms.thinking import CLOSE

MAX_NEW_TOKENS = 96
GREEDY = Sampling(temperature=0.0, max_new_tokens=MAX_NEW_TOKENS)


def complete(
    model: Model,
    prompts: Sequence[str],
    sampling: Sampling = GREEDY,
    edits: Sequence[Sequence[Edit]] | None = None,
) -> list[str]:
    """What the model writes behind plain texts; one list of edits a prompt."""
    rows = [model.text(prompt) for prompt in prompts]
    return [made.text for made in model.generate(rows, sampling, edits=edits, batch_rows=128)]


def answer(
    model: Model, turns: Sequence[DialogueTurn], systems: Sequence[str | None] | None = None
) -> list[str]:
    """Greedy answers to the turns' questions, without what was thought."""
    return [made.text for made in answer_fully(model, turns, systems)]


def answer_fully(
    model: Model, turns: Sequence[DialogueTurn], systems: Sequence[str | None] | None = None
) -> list[Generation]:
    """The same with the reasoning; turns that think are asked in thinking mode."""
    systems = systems or [None] * len(turns)
    thinking = model.with_template(enable_thinking=True)
    rows = []
    for turn, system in zip(turns, systems, strict=True):
        messages: list[Message] = [{"role": "system", "content": system}] if system else []
        mode = thinking if CLOSE in turn.answer else model
        rows.append(mode.chat([*messages, {"role": "user", "content": turn.question}]))
    return model.generate(rows, GREEDY, batch_rows=128)


def go_on(
    model: Model, turns: Sequence[DialogueTurn], begun: Sequence[str], systems: Sequence[str | None]
) -> list[str]:
    """What the model writes behind answers that were begun for it."""
    texts = []
    for turn, start, system in zip(turns, begun, systems, strict=True):
        messages: list[Message] = [{"role": "system", "content": system}] if system else []
        prompt = model.chat([*messages, {"role": "user", "content": turn.question}])
        texts.append(model.decode(prompt.ids, special=True) + start)
    return complete(model, texts)
