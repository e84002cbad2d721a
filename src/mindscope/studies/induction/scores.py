"""How much a head is an induction head: the scores of Olsson et al. 2022, of patterns and of effects on
logits.

- Prefix matching: random tokens that repeat several times. Of a token's attention, in all repeats but the
  first, the part that goes to the tokens behind its earlier occurrences; 1 where all of it does.
- Previous token: the attention that goes one token back, a mean over tokens.
- Copying: of what a head writes for a token attended to, the logits above the mean over the vocabulary. With
  r the share of the raise that falls on the attended token among the tokens of the sample, the score is 4 r /
  (1 + r) - 1, from -1 (only others are raised) to 1 (only the attended one): the paper's ratio of the
  attended token's raise to its own plus that of all, which lies between 0 and 0.5, brought to -1 to 1.
"""

import torch
from jaxtyping import Float
from torch import Tensor

REPEATS = 4
"""How often the random tokens stand in a row, and of how many tokens they are: the paper's."""
SEGMENT = 25
SEQUENCES = 10
"""Over which scores are means."""


def match_prefixes(
    pattern: Float[Tensor, "*heads queries keys"], segment: int, first: int
) -> Float[Tensor, "*heads"]:
    """The prefix-matching score of patterns on rows whose tokens repeat.

    Args:
        pattern: of the rows.
        segment: after how many tokens they repeat.
        first: where the first of them stands: 1 behind a start token, else 0.
    """
    return _mean_at(pattern, segment, first, ahead=1)


def match_beside(
    pattern: Float[Tensor, "*heads queries keys"], segment: int, first: int
) -> Float[Tensor, "*heads"]:
    """A control: the attention to the tokens two behind the earlier occurrences, as many as for prefixes."""
    return _mean_at(pattern, segment, first, ahead=2)


def attend_previous(pattern: Float[Tensor, "*heads queries keys"]) -> Float[Tensor, "*heads"]:
    """The previous-token score."""
    return pattern.diagonal(-1, -2, -1).mean(-1)


def score_copying(raised: Float[Tensor, "*heads"], total: Float[Tensor, "*heads"]) -> Float[Tensor, "*heads"]:
    """The copying score, of the raise of the attended tokens and the raise of all tokens of the sample."""
    share = raised / total.clamp(min=1e-12)
    return 4 * share / (1 + share) - 1


def _mean_at(pattern: Tensor, segment: int, first: int, *, ahead: int) -> Tensor:
    queries = torch.arange(first + segment, pattern.shape[-2])
    sums = torch.zeros(pattern.shape[:-2])
    for back in range(1, REPEATS):
        reached = queries[queries - back * segment >= first]
        keys = (reached - back * segment + ahead).clamp(max=pattern.shape[-1] - 1)
        sums = sums + pattern[..., reached, keys].sum(-1)
    return sums / len(queries)
