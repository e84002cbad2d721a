"""What the paper has, and what counts here as shown; all of it was set before the first model was measured.

Elhage et al. 2022, "Softmax Linear Units", transformer-circuits.pub/2022/solu. Its models have 1 to 64 layers
(10 million to 50 billion parameters); people looked at 60 neurons of each, not knowing of which model, and
called a neuron interpretable where one rule explained 80 % of its 20 strongest firings. Since then its
authors trust that measure less: it says nothing of weaker firings.
"""

NEAR_LOSS = "within 0.01 nats in most cases"
WORSE_LOSS = "like a GeLU model 30-50% smaller"
INTERPRETABLE = "35% to 60% of neurons, 1 to 40 layers; 33% to 42%, 64 layers; with LayerNorm alone halfway"
SMUGGLED = "small activations that LayerNorm enlarges carry features"
SLIGHT = "behind LayerNorm many more slight firings are unrelated"
HIDDEN = "some features are easier to read, others are hidden; no rate"

NEAR = 0.03
"""Nats by which SoLU with LayerNorm may be worse, upper end of the interval: three times the paper's, since
models are small and seeds few."""
STANDS = 0.5
"""The F1 on held-out texts from which on a neuron is said to have a concept. Single latents of dictionaries
are asked for 0.9 elsewhere; few neurons of a small model come near that, and a share of nearly nothing tells
nothing apart."""
MOVED = 0.1
"""By so much must a concept's best F1 differ to be called lost or gained."""
SMALL = 0.1
"""An activation is small under this share of the neuron's highest."""
LEVELS = (0.1, 0.3, 0.6, 1.0)
"""Borders of slight, middling and strong firings, as shares of the neuron's highest."""
