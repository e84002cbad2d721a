"""Reading a score out of what a judge said: out of its first token's log-probabilities, or out of its text.

Chen et al. 2025, arXiv 2507.21509, section 2.1 and appendix B: the score is the mean of the integers 0 to 100
weighted with their probabilities, and there is none where they hold less than a quarter of the probability.
"""

import math
import re
from collections.abc import Iterable, Mapping

from mindscope.judges.prompts import REFUSAL
from mindscope.judges.protocol import JudgeScore

MIN_MASS = 0.25

_NUMBER = re.compile(r"0|[1-9]\d?|100")
_ANSWER = re.compile(r"[\s\"'`*(\[]*(0|[1-9]\d?|100)[\s\"'`*)\]]*(?:/\s*100|%|points?)?[.\s\"'`*)\]]*")


def weighted_score(
    numbers: Mapping[int, float], refusal: float, *, min_mass: float = MIN_MASS, instead: str = ""
) -> JudgeScore:
    """The expected number Σ p·k / Σ p.

    Args:
        numbers: probability of each integer 0 to 100 as the answer.
        refusal: probability of REFUSAL as the answer, which it is where this exceeds all numbers together.
        min_mass: the least probability of all numbers together that makes a score.
        instead: what the judge would rather have said, for the detail of a missing score.
    """
    mass = math.fsum(numbers.values())
    if refusal > mass:
        return JudgeScore.refusal(f"REFUSAL has probability {refusal:.3f}, all numbers together {mass:.3f}")
    if mass < min_mass:
        said = f", it began with {instead!r}" if instead else ""
        return JudgeScore.missing(f"the judge gave numbers only {mass:.3f} of the probability{said}")
    mean = math.fsum(number * p for number, p in numbers.items()) / mass
    return JudgeScore.of(min(max(mean, 0.0), 100.0))


def score_of_top_tokens(top: Iterable[tuple[str, float]]) -> JudgeScore:
    """The score in a first token's alternatives, ``(token, log-probability)``, where tokens are whole
    numbers.

    See `spells_whole_numbers`.
    """
    numbers: dict[int, float] = {}
    refusal, instead, highest = 0.0, "", -1.0
    for token, p in _stripped(top):
        if _NUMBER.fullmatch(token):
            numbers[int(token)] = numbers.get(int(token), 0.0) + p
        elif len(token) > 1 and REFUSAL.startswith(token):
            refusal += p
        if p > highest:
            instead, highest = token, p
    return weighted_score(numbers, refusal, instead=instead)


def spells_whole_numbers(top: Iterable[tuple[str, float]]) -> bool:
    """Whether a number of more than one digit is among a first token's alternatives.

    Where all have a single digit, the endpoint's tokenizer may write "85" as "8", "5", and the first token
    alone does not tell 8 from 85.
    """
    return any(_NUMBER.fullmatch(token) and len(token) > 1 for token, _ in _stripped(top))


def _stripped(top: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Alternatives without the white space before them, as probabilities."""
    return [(token.strip(" ▁Ġ\n"), math.exp(min(logprob, 0.0))) for token, logprob in top]


def score_of_text(text: str) -> JudgeScore:
    """The number a judge wrote, if it wrote just that; prose is a missing score, never a guess."""
    if text.strip(" \n\"'`*.([").upper().startswith(REFUSAL):
        return JudgeScore.refusal()
    first_line = text.strip().partition("\n")[0]
    number = _ANSWER.fullmatch(first_line)
    if number is None:
        shown = " ".join(text.split())
        return JudgeScore.missing(
            f"the judge wrote {shown[:80]!r} instead of a number" if shown else "the judge wrote nothing"
        )
    return JudgeScore.of(float(number[1]))
