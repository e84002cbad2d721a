"""What the latents of shipped dictionaries do to answers."""

from mindscope.stats import RateEstimate
from mindscope.store import Document

BASELINES = ("one token", "one neuron", "random dictionary")
"""What a latent must tell more than, see `baselines`."""
GROUP_COLUMNS = ("group", "concepts", "found", "one latent", *BASELINES)
"""Of a group of concepts: how many, found, with a latent of a high F1, and with a baseline of a high F1."""


class SwitchEffect(Document):
    """What became of the answers, as shares of the prompts; None where there was no prompt to try.

    Attributes:
        ablated: of prompts that show the concept and were answered so: no longer, with the latent's direction
            held at zero or below.
        ablated_control: the same with another latent of that dictionary.
        added: of prompts that do not show it and were answered otherwise: answered so, with the latent added
            (and, where concepts exclude each other, the latent of the one that is shown ablated).
        added_control: the same with another latent.
        prompts: how many of either kind.
        strengths: how far below zero it was held, and how strongly added; chosen on other prompts.
    """

    concept: str
    group: str
    dictionary: str
    latent: int
    f1: float
    ablated: float | None
    ablated_control: float | None
    added: float | None
    added_control: float | None
    prompts: tuple[int, int]
    strengths: tuple[float, float]


class ModalityRates(Document):
    """For how many things a dictionary has one latent in all modes, and in fewer.

    Attributes:
        dictionary: its name.
        things: that were tried.
        everywhere: a latent fires on the picture and on the word in three languages.
        words: a latent fires on the word in three languages, whatever it does on pictures.
        exchanged: of `everywhere`, the mean share over permutations of whose picture it is.
        exchanged_highest: the highest of these shares.
        random: `everywhere` for a random dictionary.
        found: each thing of `everywhere` with its latent.
    """

    dictionary: str
    things: int
    everywhere: RateEstimate
    words: RateEstimate
    exchanged: float
    exchanged_highest: float
    random: RateEstimate
    found: dict[str, int]

    def row(self) -> tuple[object, ...]:
        """As it stands in a table."""
        return (
            self.dictionary,
            self.things,
            self.everywhere.share,
            self.exchanged,
            self.exchanged_highest,
            self.random.share,
            self.words.share,
        )


MODALITY_COLUMNS = (
    "dictionary", "things", "picture and words", "exchanged", "highest", "random dictionary", "words alone",
)  # fmt: skip
