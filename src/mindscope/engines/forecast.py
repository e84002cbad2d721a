"""How long answers that are being written side by side still take.

Answers end at no even rate: of a batch the short ones end first, later ones take the places that get free,
and at the end of a window the long ones are written on alone. So neither the answers nor the tokens that are
done tell the time that is left. What is known of every row tells it:

1. Which rows are being written, and since which step, follows from the order in which they were begun and
   from the lengths of those that have ended.
2. Lengths are taken as lognormal, with a row that is still being written, or was cut, as one of which only
   the least length is known (a censored sample; expectation maximisation of its mean and spread, Dempster,
   Laird & Rubin 1977). A few made-up answers of the usual spread keep the first estimates sane.
3. Rows under other edits have lengths of their own kind: steered answers run on where unsteered ones end. Of
   a kind so much is known as its rows under way say, and as much as a few answers of all kinds.
4. The rest is played through with lengths drawn from that: the rows under way, those of the same window that
   wait, and the windows after it.
5. What that costs is measured. From one end of an answer to the next so many prompts were begun, steps made,
   and rows written in them; what each of the three takes is fitted to the seconds between (least squares,
   none below zero). While all slots are full, steps and rows say the same: there `FIXED_SHARE` parts them.

With three times as many answers as slots or more it is right within a third once a tenth has ended. With
fewer, the longest answers of a batch decide, of which the first that end tell little; and a kind of which no
answer has ended may be about to end or run on to the limit. There it may be off by two thirds.
"""

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64, Int64

from mindscope.core import Clock

USUAL_SPREAD = 0.7
"""The standard deviation of the logarithm of answers' lengths before any is known; chats have 0.5 to 1."""
MADE_UP = 4.0
"""Answers that the usual spread counts as."""
KINDS_DIFFER = (0.1, 0.3, 0.8)
"""Standard deviations of the means of kinds, of which the likeliest is taken: as a rule kinds are alike, and
a strongly steered arm may run on three times as long as another."""
GRID_POINTS = 41
"""Means that are weighed for a kind."""
FIXED_SHARE = 0.5
"""The share of a full step's time that does not get less with the rows, as long as nothing tells: measured as
0.56 on the organism and 0.48 on a model of 135 M parameters, at 64 slots of one CPU thread."""
PLAYED = 16
"""How often the rest is played through; the mean of so many lies within 3 % of that of many."""
ROUNDS = 40
"""Of the expectation maximisation: enough where a tenth of the rows has ended."""
PAUSE = 0.2
"""Seconds between two forecasts, which take a few milliseconds each."""
FRESH = 0.25
"""The share by which the ended answers have grown when another forecast is made."""
FORECASTS = 64
"""There are about so many over all answers, and a few more at their beginning, however fast these are."""


@dataclass
class AnswerForecast:
    """Follows the answers of some windows of rows, and says how long the rest takes.

    Attributes:
        windows: the rows of each window that is still to be written, in the order in which they are begun.
        slots: rows that are written side by side.
        limit: the most tokens of an answer.
        clock: tells the time; it is asked first when this is made.
        kinds: by row, which rows' lengths are alike, counted from 0; all are where there are none.
    """

    windows: Sequence[Sequence[int]]
    slots: int
    limit: int
    clock: Clock = time.monotonic
    kinds: Sequence[int] = ()
    _begun: dict[int, float] = field(default_factory=dict, init=False)
    """Rows under way, with the step in which they were begun."""
    _waiting: list[int] = field(default_factory=list, init=False)
    """Rows of the present window that wait, the next one last."""
    _window: int = field(default=-1, init=False)
    _step: float = field(default=0.0, init=False)
    """Steps of the present window."""
    _cost: "StepCost" = field(init=False)
    _lengths: list[int] = field(default_factory=list, init=False)
    _ended: list[int] = field(default_factory=list, init=False)
    """Rows that have ended, in the order of their lengths."""
    _said: tuple[float, int] = field(default=(float("-inf"), 0), init=False)
    """When the last forecast was made, and of how many answers."""

    def __post_init__(self) -> None:
        self._cost = StepCost(self.slots, self.clock())
        self._open_window()

    def ended(self, row: int, n_tokens: int) -> None:
        """An answer has ended with so many tokens."""
        while row not in self._begun and self._window + 1 < len(self.windows):
            self._open_window()
        begun = self._begun.pop(row, self._step)
        # A token more than the answer holds: the one that ended it.
        step = max(self._step, begun + min(n_tokens + 1, self.limit))
        self._cost.worked(step - self._step, len(self._begun) + 1)
        self._step = step
        self._lengths.append(max(1, n_tokens))
        self._ended.append(row)
        if self._waiting:
            self._begun[self._waiting.pop()] = step
            self._cost.began(1)
        self._cost.took(self.clock())

    def seconds_left(self) -> float | None:
        """Seconds until the last answer ends; None before any has ended."""
        if not self._lengths:
            return None
        ages = np.array([self._step - begun for begun in self._begun.values()])
        known = self._kinds(self._ended), ages, self._kinds(list(self._begun))
        means = weigh_means(self._lengths, *known, self.limit)
        random = np.random.default_rng(0)
        later = self.windows[self._window + 1 :]
        sizes = [len(window) for window in later]
        work = np.zeros(3)
        for _ in range(PLAYED):
            draw = _LengthDraw(random, *means, self.limit)
            begun = self._kinds(list(self._begun))
            under_way = draw(begun, ages) - ages
            work += _play(under_way, draw(self._kinds(self._waiting[::-1])), self.slots)
            for window in {len(window): window for window in later}.values():  # those of one size take alike
                lengths = draw(self._kinds(window))
                work += sizes.count(len(window)) * _play(np.zeros(0), lengths, self.slots)
        return float(work @ self._cost.seconds()) / PLAYED

    def _kinds(self, rows: Sequence[int]) -> np.ndarray:
        return np.array([self.kinds[row] for row in rows] if self.kinds else [0] * len(rows), np.int64)

    def due(self) -> bool:
        """Whether the last forecast is old enough for another one; true once for each."""
        now, done = self.clock(), len(self._lengths)
        n_rows = sum(len(window) for window in self.windows)
        then, known = self._said
        # Answers of one length end in a burst, in which a forecast of the first of them is soon out of date.
        if now - then < PAUSE or done - known < min(n_rows / FORECASTS, max(1.0, known * FRESH)):
            return False
        self._said = now, done
        return True

    def _open_window(self) -> None:
        self._window += 1
        rows = list(self.windows[self._window]) if self._window < len(self.windows) else []
        self._step = 0.0
        self._begun = dict.fromkeys(rows[: self.slots], 0.0)
        self._waiting = rows[self.slots :][::-1]
        self._cost.began(len(self._begun))


class StepCost:
    """What prompts, steps and rows take, in seconds each: the axis of all that follows is these three."""

    def __init__(self, slots: int, now: float) -> None:
        self._slots, self._now = slots, now
        self._new = np.zeros(3)
        """Work since the clock was last looked at."""
        self._products, self._right = np.zeros((3, 3)), np.zeros(3)
        """The normal equations of all stretches of time so far."""

    def began(self, n_prompts: int) -> None:
        """So many prompts passed through the model."""
        self._new[0] += n_prompts

    def worked(self, n_steps: float, n_rows: int) -> None:
        """So many steps wrote so many rows each."""
        self._new[1:] += n_steps, n_steps * n_rows / self._slots

    def took(self, now: float) -> None:
        """All of it is through at this time."""
        if self._new[1] > 0:  # answers that end in the same step are one stretch
            seconds, self._now = now - self._now, now
            self._products += np.outer(self._new, self._new)
            self._right += seconds * self._new
            self._new = np.zeros(3)

    def seconds(self) -> Float64[np.ndarray, "three"]:
        """What a prompt, a step, and a step's writing of all slots take."""
        from scipy.optimize import nnls

        # A made-up stretch that takes nothing: `FIXED_SHARE` of steps against the rest of rows. Its weight is
        # a hundredth of what was seen, so that it decides only what nothing else does.
        even = np.array([0.0, 1 - FIXED_SHARE, -FIXED_SHARE])
        weight = 0.01 * max(self._products[1, 1], 1.0)
        products = self._products + weight * np.outer(even, even) + 1e-9 * np.eye(3)
        root = np.linalg.cholesky(products)
        return nnls(root.T, np.linalg.solve(root, self._right))[0]


def weigh_means(
    lengths: Sequence[int],
    kinds: Int64[np.ndarray, "ended"],
    ages: Float64[np.ndarray, "rows"],
    kinds_of_ages: Int64[np.ndarray, "rows"],
    limit: int,
) -> tuple[Float64[np.ndarray, "grid"], Float64[np.ndarray, "kinds grid"], float]:
    """How likely each mean of the logarithms of lengths is for every kind, and for an unknown one at last.

    All kinds have the spread of the differences from their means. A kind's mean is normal around that of all,
    with one of `KINDS_DIFFER`.

    Returns:
        the means, their probabilities, and the spread.
    """
    from scipy.special import log_ndtr

    ended = np.asarray(lengths, np.float64)
    cut = ended >= limit
    exact, at_least = np.log(ended[~cut]), np.log(np.maximum(np.concatenate([ended[cut], ages]), 1.0))
    kinds_of_exact, kinds_of_rest = kinds[~cut], np.concatenate([kinds[cut], kinds_of_ages])
    n_kinds = int(np.concatenate([kinds, kinds_of_ages]).max(initial=0)) + 1
    mean, spread = fit_lengths(lengths, ages, limit)
    grid = np.linspace(mean - 3 * max(KINDS_DIFFER), mean + 3 * max(KINDS_DIFFER), GRID_POINTS)
    weights = np.zeros((n_kinds + 1, len(grid)))
    for _ in range(2):  # with the spread of all, then with that within kinds
        # kinds x grid: the logarithm of how likely what is known of a kind is
        known = np.zeros((n_kinds + 1, len(grid)))
        for kind in range(n_kinds):
            own, rest = exact[kinds_of_exact == kind], at_least[kinds_of_rest == kind]
            known[kind] = -0.5 * np.square((own[:, None] - grid) / spread).sum(0)
            known[kind] += log_ndtr((grid - rest[:, None]) / spread).sum(0)
        weights = _weigh_with_likeliest(grid, mean, known)
        if n_kinds == 1 or not len(exact):
            break
        within = exact - (weights @ grid)[kinds_of_exact]
        squares = np.square(within).sum() + MADE_UP * USUAL_SPREAD**2
        spread = float(np.clip(np.sqrt(squares / (len(within) + MADE_UP)), 0.1, 2.0))
    return grid, weights, spread


def _weigh_with_likeliest(
    grid: Float64[np.ndarray, "grid"], mean: float, known: Float64[np.ndarray, "kinds grid"]
) -> Float64[np.ndarray, "kinds grid"]:
    """Probabilities of the means, with the difference of kinds that makes what is known likeliest."""
    best, chosen = float("-inf"), known
    for differ in KINDS_DIFFER:
        prior = -0.5 * np.square((grid - mean) / differ)
        total = known + prior - np.log(np.exp(prior).sum())
        highest = total.max(1, keepdims=True)
        sums = np.exp(total - highest).sum(1, keepdims=True)
        evidence = float((np.log(sums) + highest).sum())
        if evidence > best:
            best, chosen = evidence, np.exp(total - highest) / sums
    return chosen


def fit_lengths(lengths: Sequence[int], ages: Float64[np.ndarray, "rows"], limit: int) -> tuple[float, float]:
    """Mean and standard deviation of the logarithms of answers' lengths.

    Args:
        lengths: of answers that have ended, in tokens; one of `limit` tokens was cut there.
        ages: tokens so far of answers that are being written.
        limit: the most tokens of an answer.
    """
    ended = np.asarray(lengths, np.float64)
    known = np.log(np.maximum(ended[ended < limit], 1.0))
    cut = np.log(np.concatenate([ended[ended >= limit], np.maximum(ages, 1.0)]))
    mean, spread = float(known.mean() if len(known) else cut.mean()), USUAL_SPREAD
    total = len(known) + len(cut)
    for _ in range(ROUNDS):
        # What is expected of a normal variable above the logarithm of its least length.
        least = (cut - mean) / spread
        hazard = _hazard(least)
        first = mean + spread * hazard
        second = mean**2 + spread**2 + spread * hazard * (cut + mean)
        mean = float((known.sum() + first.sum()) / total)
        variance = (np.square(known).sum() + second.sum()) / total - mean**2
        shrunk = (variance * total + MADE_UP * USUAL_SPREAD**2) / (total + MADE_UP)
        spread = float(np.sqrt(np.clip(shrunk, 0.01, 4.0)))
    return mean, spread


def expected_length(mean: float, spread: float, limit: int) -> float:
    """The mean length of answers with these logarithms, cut at the limit."""
    random = np.random.default_rng(0)
    return float(_draw(random, mean, spread, np.zeros(2000), limit).mean())


def _hazard(least: Float64[np.ndarray, "rows"]) -> Float64[np.ndarray, "rows"]:
    """Density over survival of the standard normal distribution."""
    from scipy.special import log_ndtr

    return np.exp(-0.5 * np.square(least) - 0.5 * np.log(2 * np.pi) - log_ndtr(-least))


class _LengthDraw:
    """Lengths of rows of each kind, the kinds' means being drawn once."""

    def __init__(
        self,
        random: np.random.Generator,
        grid: Float64[np.ndarray, "grid"],
        weights: Float64[np.ndarray, "kinds grid"],
        spread: float,
        limit: int,
    ) -> None:
        self._random, self._spread, self._limit = random, spread, limit
        self._means = np.array([random.choice(grid, p=own) for own in weights])

    def __call__(
        self, kinds: Int64[np.ndarray, "rows"], ages: Float64[np.ndarray, "rows"] | None = None
    ) -> Float64[np.ndarray, "rows"]:
        means = self._means[np.minimum(kinds, len(self._means) - 1)]
        ages = np.zeros(len(kinds)) if ages is None else ages
        return _draw(self._random, means, self._spread, ages, self._limit)


def _draw(
    random: np.random.Generator,
    mean: float | Float64[np.ndarray, "rows"],
    spread: float,
    ages: Float64[np.ndarray, "rows"],
    limit: int,
) -> Float64[np.ndarray, "rows"]:
    """Lengths of answers that are as long as `ages` already."""
    from scipy.special import ndtr, ndtri

    below = ndtr((np.log(np.maximum(ages, 1e-9)) - mean) / spread)
    share = below + (1 - below) * random.uniform(size=len(ages))
    lengths = np.exp(mean + spread * ndtri(np.minimum(share, 1 - 1e-12)))
    return np.clip(lengths + 1, ages + 1, np.maximum(limit, ages + 1))


def _play(
    under_way: Float64[np.ndarray, "rows"], fresh: Float64[np.ndarray, "rows"], slots: int
) -> Float64[np.ndarray, "three"]:
    """Prompts, steps and rows of writing some answers to their ends while others take the free places."""
    ends = under_way.tolist()
    heapq.heapify(ends)
    waiting = fresh[::-1].tolist()
    while waiting and len(ends) < slots:
        heapq.heappush(ends, waiting.pop())
    now = rows = 0.0
    while ends:
        n_live, end = len(ends), heapq.heappop(ends)
        rows += (end - now) * n_live / slots
        now = end
        if waiting:
            heapq.heappush(ends, now + waiting.pop())
    return np.array([len(fresh), now, rows])
