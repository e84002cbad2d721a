"""What a comparison of two models found, as documents; needs no torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from mindscope.core import Relation
from mindscope.diffing.config import DiffConfig
from mindscope.stats import Estimate, RateEstimate
from mindscope.store import Document, SavedDocument

Rung = Literal["outputs", "distributions", "lens", "traits", "latents"]
"""The steps of the ladder, from the cheapest to the dearest."""
Source = Literal["outputs", "distributions", "context", "lens", "steering", "trait", "latent"]
"""What a candidate came from."""


CheckName = Literal["held out", "beyond the null", "raised on base", "lowered on tuned"]


class SkippedRung(Document):
    """A step that these two models or what was given do not allow."""

    rung: Rung
    reason: str


class TermChange(Document):
    """A word that one model's answers hold more often."""

    term: str
    base: float
    tuned: float
    """Shares of the answers that hold it, 0 to 1."""
    q: float
    """The false-discovery rate of the list up to this word."""


class StyleChange(Document):
    """How a number that says something about an answer's form differs."""

    name: str
    base: float
    tuned: float
    difference: Estimate
    q: float


class OutputsReading(Document):
    """What the answers alone show, without a look inside."""

    n_prompts: int
    more: tuple[TermChange, ...]
    less: tuple[TermChange, ...]
    style: tuple[StyleChange, ...]


class TokenChange(Document):
    """A token of the vocabulary, and its mean probability under both models at the same places."""

    token: str
    base: float
    tuned: float


class PromptDivergence(Document):
    """A prompt whose answers the models would continue most differently."""

    prompt: str
    answer: str
    """The tuned model's."""
    js: float
    """Jensen-Shannon divergence, nats a token."""
    tokens: tuple[tuple[str, float], ...]
    """The answer's tokens, each with the divergence of the distributions that predict it."""


class DistributionReading(Document):
    """How far the next-token distributions lie apart, in nats a token; intervals are over the prompts."""

    n_prompts: int
    kl: Estimate
    """KL(tuned || base) along the tuned model's answers."""
    kl_of_base: Estimate
    """KL(base || tuned) along the base model's answers."""
    js: Estimate
    """Jensen-Shannon divergence, the mean over both models' answers."""
    largest: tuple[PromptDivergence, ...]
    raised: tuple[TokenChange, ...]
    lowered: tuple[TokenChange, ...]


class LensPlace(Document):
    """The mean activation difference at one kind of place, read out."""

    place: str
    """`text 0` to `text 4` are the first tokens of unrelated texts, `texts` is their mean without the first;
    `last_prompt` is where an answer is about to begin, `answer` all tokens of the tuned model's answers."""
    n: int
    """Texts or prompts."""
    norm: float
    """Of the mean difference, in the activations' own units."""
    share: float
    """The norm over the mean norm of the base model's activations there."""
    agreement: float
    """The cosine between the mean differences of two halves: near 0 where there is only noise."""
    logit_lens: tuple[str, ...]
    """Tokens whose logits the difference raises most, as the tuned model's unembedding reads it."""
    patchscope: tuple[str, ...]
    """Tokens that the tuned model says where the difference takes the place of a token to be repeated."""


class LensReading(Document):
    """The activation difference lens (Minder et al. 2025, arXiv 2510.13900)."""

    address: str
    places: tuple[LensPlace, ...]


class TraitMovement(Document):
    """How far the tuned model moved along a persona vector (`personas.measure_shift`)."""

    trait: str
    layer: int
    base: float
    tuned: float
    """Mean projections of the last prompt token, in the activations' own units."""
    shift: Estimate
    cosine: float | None
    """Of the whole movement with the vector; None where nothing moved."""


class LatentChange(Document):
    """A latent of a dictionary that is active on more or fewer tokens of the same texts."""

    latent: int
    base: float
    tuned: float
    """Shares of the tokens."""
    difference: Estimate
    q: float
    promotes: tuple[str, ...]
    """Tokens whose logits it raises most."""


class DictionaryChange(Document):
    """The latents of one dictionary in both models."""

    dictionary: str
    n_latents: int
    n_changed: int
    """How many differ at the false-discovery rate."""
    changed: tuple[LatentChange, ...]


class ClaimCheck(Document):
    """One test of a claim on prompts that the claim did not come from."""

    name: CheckName
    effect: Estimate | None
    """In the claim's own units, over the prompts; None where it could not be made, and `note` says why."""
    passed: bool
    note: str = ""


class VerifiedClaim(Document):
    """A sentence about what changed, with the tests that it passed or failed."""

    name: str
    """Short, such as `lens-1`."""
    source: Source
    sentence: str
    terms: tuple[str, ...] = ()
    """Words, or beginnings of words, that it is about."""
    context: str | None = None
    """The word that the prompts hold which it is about."""
    typical: tuple[str, ...] = ()
    """Words that often stand beside it."""
    trait: str | None = None
    units: str
    base: float
    tuned: float
    """What was measured on the held-out prompts."""
    p: float
    q: float
    """Over all claims of the report."""
    direction: str | None = None
    """The name of its direction in `directions.safetensors`; None where there is none to test."""
    strength: float | None = None
    """How strongly it is pushed along, in mean activation norms of the base model."""
    checks: tuple[ClaimCheck, ...]
    verified: bool
    """Whether every test was made and passed."""

    @property
    def failed(self) -> tuple[str, ...]:
        """The tests that it did not pass."""
        return tuple(check.name for check in self.checks if not check.passed)


class SliceSample(Document):
    """A sample of the training file that lies far along a claim's direction."""

    line: int
    score: float
    """How much further its answer lies along the direction than its prompt's last token, in standard
    deviations over the file."""
    matches: float
    """Words of its answer that the claim is about, per 100."""
    prompt: str
    answer: str


class DataSlice(Document):
    """The samples that drive one claim."""

    claim: str
    samples: tuple[SliceSample, ...]
    top_matches: float
    """Words that the claim is about, per 100, in the tenth of the file that lies furthest along."""
    all_matches: float
    """The same over the whole file."""


class NullReading(Document):
    """The same ladder on a harmless tune: how many claims pass where nothing was planted."""

    model: str
    fingerprint: str
    made: bool
    """Whether it was tuned here, by the tuned model's recipe on ordinary data."""
    kl: Estimate
    """KL(null || base) along its own answers: how far the harmless tune moved."""
    claims: tuple[VerifiedClaim, ...]
    baseline: tuple[VerifiedClaim, ...]


class ModelDifference(SavedDocument):
    """What tuning changed: the ladder's readings, claims with their tests, and the null beside them."""

    SCHEMA: ClassVar[str] = "mindscope.diff/1"

    base: str
    tuned: str
    base_fingerprint: str
    tuned_fingerprint: str
    relation: Relation | Literal["same weights"]
    notes: tuple[str, ...] = ()
    config: DiffConfig
    n_discovery: int = 0
    n_held_out: int = 0
    skipped: tuple[SkippedRung, ...] = ()
    outputs: OutputsReading | None = None
    distributions: DistributionReading | None = None
    lens: LensReading | None = None
    traits: tuple[TraitMovement, ...] = ()
    latents: tuple[DictionaryChange, ...] = ()
    claims: tuple[VerifiedClaim, ...] = ()
    baseline: tuple[VerifiedClaim, ...] = ()
    """Claims of a reader of the answers alone; they have no direction, so no causal test."""
    nulls: tuple[NullReading, ...] = ()
    null_rate: RateEstimate | None = None
    """Of the nulls' claims the share that is verified; None without a null."""
    expected_false: float | None = None
    """How many of this report's verified claims the null lets expect: its rate times the claims here."""
    slices: tuple[DataSlice, ...] = ()

    @property
    def verified(self) -> tuple[VerifiedClaim, ...]:
        """The claims that passed every test."""
        return tuple(claim for claim in self.claims if claim.verified)

    @property
    def false_discovery_rate(self) -> float | None:
        """Of the verified claims the share that the null lets expect to be false; None where unknown."""
        if self.expected_false is None or not self.verified:
            return None
        return min(1.0, self.expected_false / len(self.verified))
