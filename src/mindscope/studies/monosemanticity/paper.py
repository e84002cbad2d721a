"""What the paper has, and what counts here as shown; all of it was set before the first seed of the claims.

Bricken et al. 2023, "Towards Monosemanticity", transformer-circuits.pub/2023/monosemantic-features. Its
models are one-layer transformers of width 128 with 512 ReLU neurons, trained on 100 billion tokens of the
Pile; its dictionaries have 1 to 256 times as many latents, trained on 8 billion activations. The dictionary
that is looked at closely, A/1, has 4096.
"""

RECOVERED = "79% (A/1, 8x); 94.5% (A/5, 256x)"
MORE_FEATURES = "tens of thousands of features in 512 neurons"
INTERPRETABLE = "rubric of 14: median feature 12, median neuron 0"
INVISIBLE = "features that no neuron's top examples show"
SHUFFLED_READING = "features of shuffled weights score higher than A/1 where a model explains activations"
ABLATION = "ablating a feature lowers the tokens that its logit weights favour; no rate"
LOGITS = "logit tokens told from random ones: median 0.74, neurons 0.53, shuffled weights 0.5"
SPLITTING = "one base64 feature of 512 becomes 3 of 4096; graphs at a masked cosine of about 0.4"
CLUSTERED = "features of one context have small angles between them"
UNIVERSAL = "median correlation 0.72 with the nearest feature of another seed, neurons 0.46"
OWN_NEURONS = "more similar to one another than to their own model's neurons"
AUTOMATA = "shown on examples: base64, snake case, HTML"

RECOVERED_LEAST = 0.7
"""Of the loss that the MLP takes away, at the size that is looked at closely: nine tenths of the paper's
share, since what is reconstructed hangs on the penalty, which is ours."""
PREDICTED_LEAST = 0.5
"""The least correlation of what a feature does with what its logit weights say, over the interval: what is
predicted accounts for a quarter of what happens or more."""
LINKED = 0.4
"""The masked cosine from which on two features of unlike sizes are linked: the paper's."""
OFTEN = 20
"""Rows of each half in which a feature must be active, or it says too little to be measured: as many as the
firings that its rule explains, one of each row. The paper too leaves out its cluster of ultralow density."""
