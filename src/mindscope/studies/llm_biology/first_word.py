"""What moving an answer's first words does, with no feature touched: what an exchange must be more than.

A model goes on from its own words, so an answer of another kind may follow from its first word alone. Two
comparisons say how much that explains:

- forced: the words stand there, and the model writes on;
- pushed: at the tokens that predict these words, the residual stream behind the last block is moved along
  the unembedding directions that raise them (the first against what the model would have said), as far as
  the exchange moves the stream in all.

Both are at the answering token, where no exchange is.
"""

from collections.abc import Sequence

import torch

from mindscope.models import Edit, Sampling
from mindscope.studies.llm_biology.prompts import CasePrompt
from mindscope.studies.llm_biology.workbench import AT_ONCE, CaseContext


def answer_after(
    bench: CaseContext, prompts: Sequence[CasePrompt], words: Sequence[str], tokens: int
) -> list[str]:
    """Answers that begin with words which are put there, and that the model goes on with by itself."""
    answers = []
    for start in range(0, len(prompts), AT_ONCE):
        part = zip(prompts[start : start + AT_ONCE], words[start : start + AT_ONCE], strict=True)
        rows = [prompt.row.answered(bench.word_ids(text)) for prompt, text in part]
        sampling = Sampling(temperature=0.0, max_new_tokens=tokens)
        written = bench.model.generate(rows, sampling, batch_rows=AT_ONCE)
        # the words themselves are part of the answer, and joined to the rest as tokens are
        answers += [bench.model.decode(generation.row.answer).strip() for generation in written]
    return answers


def push_words(
    bench: CaseContext, prompts: Sequence[CasePrompt], words: Sequence[str], sizes: Sequence[float]
) -> list[list[Edit]]:
    """The edits that push each prompt towards its words, each as far as its size."""
    own = bench.model.next_logits([prompt.row for prompt in prompts]).argmax(-1).tolist()
    mean = bench.unembedding.mean(1)
    last = f"resid_post.{bench.model.n_layers - 1}"
    edits: list[list[Edit]] = []
    for prompt, text, own_token, size in zip(prompts, words, own, sizes, strict=True):
        row_edits = []
        for offset, token in enumerate(bench.word_ids(text)):
            # the word that stands against the first is known; behind it any other
            other = mean if offset else bench.unembedding[:, own_token]
            direction = bench.unembedding[:, token] - other
            norm = float(torch.linalg.vector_norm(direction))
            if norm and size:
                place = (prompt.answering_token + offset,)
                row_edits.append(Edit(last, "add", direction / norm, size, where=place))
        edits.append(row_edits)
    return edits
