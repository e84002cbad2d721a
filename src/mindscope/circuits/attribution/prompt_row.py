"""A prompt's text as the row that a graph is traced on: with a token in front that stands for no word.

The first token of a row soaks up attention, whatever it is, so that its features and its error say nothing of
the word that it stands for (`replacement.first_tokens` leaves them out). A text must not lose its first word
to that:

1. Take the text as the tokenizer gives it. If it begins with a special token, it is ready.
2. If not, put one in front: the beginning-of-text token, or else the one for padding, the one that ends a
   text, or any other that the tokenizer calls special. Models without a beginning-of-text token (Qwen) have
   the others. circuit-tracer chooses in the same order, so that graphs of both are of the same tokens.
"""

from mindscope.models import Model, Row


def as_prompt_row(model: Model, prompt: Row | str) -> Row:
    """Text as a row that begins with a special token, if the tokenizer has any; a row as it is."""
    if isinstance(prompt, Row):
        return prompt
    row, tokenizer = model.text(prompt), model.tokenizer
    if not row.ids or row.ids[0] in tokenizer.all_special_ids:
        return row
    choices = (
        tokenizer.bos_token_id,
        tokenizer.pad_token_id,
        tokenizer.eos_token_id,
        *tokenizer.all_special_ids,
    )
    front = next((token for token in choices if token is not None), None)
    if front is None:
        return row
    return Row((front, *row.ids), row.prompt_length + 1, ("special", *row.roles))
