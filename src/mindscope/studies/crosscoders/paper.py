"""What the papers have, and what counts here as shown; all of it was set before the quick preset was run.

Layers: Lindsey et al. 2024, "Sparse Crosscoders for Cross-Layer Features and Model Diffing",
transformer-circuits.pub/2024/crosscoders, sections 3.1 to 3.3: a model of 18 layers. Pairs: "Insights on
Crosscoder Model Diffing" of February 2025, transformer-circuits.pub/2025/crosscoder-diffing-update.
Artefacts: Minder et al. 2025, arXiv 2504.02922, on Gemma 2 2B and its chat model with 73,728 latents.
"""

LESS_LOSS = "lower at any number of latents; SAEs need some 8 times as many (18 layers)"
MORE_ARITHMETIC = "a crosscoder takes some 2 times the arithmetic of SAEs for one loss"
FEWER_ACTIVE = "15 to 40 times fewer in all layers together, with a lower error (18 layers)"
BETWEEN = "behind the crosscoder by a factor of 3 to 4 in latents"
DEPTH = "most peak in a layer and decay, often gradually; many have much norm in most layers"
DRIFT = "far more stable than chance, but they drift even where norms stay large"
ALIKE = "as interpretable as those of SAEs, by anecdote"

DENSER = "about 10 times the frequency of shared latents"
POLYSEMANTIC = "many fire in contexts that seem unrelated"
SYMMETRIC = "nearly the same number in both models; not so in an open replication"
MIRRORED = "the interpretable ones fire in similar contexts"
SINGLE_TOKEN = "shared latents of low cosine are often of a single token"
DESIGNATED = "some latents designated shared bring densities to those of shared latents"
ARTEFACTS = "L1 claims 3,176 of 73,728 latents, BatchTopK 134"
REAL = "few of those of L1 are the tuned model's own, most of those of BatchTopK"

SINGLE_SHARE = 0.9
"""A latent is of a single layer if this share of its norms lies there: as `dictionary train` counts what is
of one model."""
LARGE = 0.3
"""A norm is large from this share of the latent's largest on. Norms of noise, after training on shuffled
layers, stay far under it."""
DRIFTS = 0.9
"""Under this mean cosine directions are said to drift, upper end of the interval."""
FEWER = 2.0
"""By this factor a crosscoder must have fewer active latents: half of the layers. The paper's 15 to 40 are of
18 layers."""
WORSE_CONCEPTS = 0.05
"""So much F1 may concepts lose to still count as recovered alike, lower end of the interval."""
EXCLUSIVE = 0.95
"""From this share of norms on a latent is exclusive: the update's."""
SHARED = (0.3, 0.7)
"""Within these shares it is shared: as the paper's stable features, 0.3 to 0.7."""
UNEQUAL = 0.2
"""Exclusive latents of both models are nearly as many if their difference, as a share of all of them, has an
interval under this."""
