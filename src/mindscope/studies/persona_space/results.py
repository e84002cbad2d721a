"""What is measured: a document for every piece. Scores are 0 to 100, shares 0 to 1."""

from typing import ClassVar

from mindscope.store import Document, SavedDocument

Numbers = tuple[float, ...]
Table = tuple[Numbers, ...]


class VoiceAnswers(Document):
    """Answers under every voice's system prompts; activations lie beside it."""

    scores: Table
    """Rows are voices that were told, columns voices that are shown; means over questions."""
    coherence: Numbers


class PersonaGeometry(Document):
    """The vectors of all voices in one layer, against those of another draw where numbers are held out."""

    cosines: Table
    """Of the voices' vectors, a mean over draws."""
    spectra: Table
    """By draw: the share of the variance of another draw's roles that the first 1, 2, … components hold."""
    random_spectra: Table
    """The same of as many random vectors of the same norms, drawn twice with as much noise."""
    axis_cosines: Table
    """By draw: the cosine, without its sign, of the assistant axis with each component of the roles."""
    axis_random: Numbers
    """By draw: its 95th percentile over random directions with the first component."""
    axis_reads: Numbers
    """By draw: r between projections on the axis of another draw and the helpful voice's share of an
    answer's phrases."""
    axis_reads_random: Numbers
    """By draw: the 95th percentile of |r| of random directions. Both are empty where nobody says how helpful
    answers are."""


class SteeredVoices(Document):
    """Answers without a system prompt under each vector; one draw."""

    unsteered: Numbers
    """What is shown, by voice."""
    steered: Table
    """Rows are vectors, columns voices that are shown."""
    coherence: Numbers
    """By vector."""
    random: Table
    """The same of random vectors."""
    away: float
    """The share of phrases that are not the helpful voice's, steered away from the assistant on its axis."""
    toward: float
    """Steered toward it."""
    away_random: Numbers
    """And steered by random vectors of the same norm."""
    away_none: float


class ReaderScores(Document):
    """How well the voice that an answer shows can be read before its first token; one draw held out."""

    linear: Numbers
    """R² by voice of ridge regression on the prompt's last token."""
    wide: Numbers
    """R² by voice of a perceptron with one hidden layer."""


class BlendedVoices(Document):
    """Two characters asked for in one system prompt; one draw, a value for each pair."""

    pairs: tuple[tuple[int, int], ...]
    """Voices by number."""
    both: Numbers
    """The lesser of the two characters' scores, a mean over answers."""
    either: Numbers
    """Their sum."""
    cosine: Numbers
    """Of the blend's vector with the sum of the two vectors."""
    best_other: Numbers
    """The highest cosine with the sum of another pair."""


class VectorPairs(Document):
    """Two vectors added at once, without a system prompt; one draw, a value for each pair."""

    pairs: tuple[tuple[int, int], ...]
    shown: Numbers
    """The mean of the two voices' scores under both vectors."""
    shown_random: Numbers
    """The mean of each voice's score under its vector and a random one in place of the other."""
    shown_half: Numbers
    """Under half of both vectors."""
    shown_alone: Numbers
    """The mean of each voice's score under its own vector alone."""
    others: Numbers
    """The scores of all other voices but the helpful one, summed, under both."""
    others_alone: Numbers
    """The mean under each alone."""
    coherence: Numbers
    coherence_random: Numbers
    coherence_alone: Numbers
    facts: Numbers
    """The share of facts that are right, under both."""
    facts_random: Numbers
    facts_alone: Numbers
    facts_unsteered: float


class PersonaCarriers(Document):
    """A character's vector in terms of dictionary features; one draw, rows are characters."""

    features: tuple[tuple[int, ...], ...]
    """The features that were chosen first."""
    held: Table
    """The share of a vector's squared norm that its best 1, 2, … features hold, by `features` of the
    configuration."""
    unsteered: Numbers
    whole: Numbers
    """Score under the whole vector."""
    rebuilt: Table
    """Under the vector rebuilt from k features."""
    rest: Table
    """Under what is left of the vector."""
    random: Table
    """Under its projection on k random features."""
    told: Numbers
    """Score under the character's system prompts."""
    told_without: Numbers
    """With the span of the carriers' directions taken out at every token."""
    told_without_others: Numbers
    """With that of the next character's carriers taken out instead."""
    coherence_without: Numbers


class TraitAnswers(Document):
    """What a model that was loaded said; one draw."""

    answers: tuple[tuple[str, ...], ...]
    """By voice, and then without a system prompt, an answer to each question."""


class JudgedTraits(Document):
    """What contrast judges say of one draw's answers, fitted on the others."""

    aurocs: tuple[float | None, ...]
    """By trait, how well held-out answers are told from the opposite's; None where they are not."""
    judged: tuple[int, ...]
    """The poles that have scores, by number."""
    scores: Table
    """Rows are voices and then answers without a system prompt, columns the judged poles; 0 to 100."""


class RealTraitsStudy(SavedDocument):
    """All that was measured of a model that was loaded."""

    SCHEMA: ClassVar[str] = "mindscope.study-persona-traits/1"

    model: str
    fingerprint: str
    layer: int
    voices: tuple[str, ...]
    geometry: PersonaGeometry
    judged: tuple[JudgedTraits, ...]


class PersonaSpaceStudy(SavedDocument):
    """All that was measured."""

    SCHEMA: ClassVar[str] = "mindscope.study-persona-space/1"

    model: str
    fingerprint: str
    layer: int
    voices: tuple[str, ...]
    """The helpful voice, the characters, then the opposite of each."""
    n_characters: int
    feature_counts: tuple[int, ...]
    carriers: int
    told: tuple[VoiceAnswers, ...]
    """By draw, as all others."""
    geometry: PersonaGeometry
    steered: tuple[SteeredVoices, ...]
    readers: tuple[ReaderScores, ...]
    blends: tuple[BlendedVoices, ...]
    pairs: tuple[VectorPairs, ...]
    persona_carriers: tuple[PersonaCarriers, ...]
