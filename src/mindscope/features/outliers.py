"""Attention sinks and massive activations: tokens whose vectors are far longer than others'.

Language models put very large activations on a few tokens, the first of a row or any other (Sun et al. 2024,
"Massive Activations in Large Language Models", arXiv 2402.17762). One of 256 that is a thousand times as long
as the others is nearly all of the variance: scales, means and scores that count it say nothing of the rest.

1. The limit of a site is `OUTLIER_FACTOR` times the median norm of the first activations that are seen. Medians
   do not move with the outliers, as means do.
2. A token is an outlier where its vector is longer than the limit, at any of the sites.
3. Limits are measured once and kept with the result, so that a run that goes on leaves out the same tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.features.site import Site

OUTLIER_FACTOR = 10.0
"""How many times as long as the median token an outlier is. Sinks of Llama, Qwen and Gemma are 100 to 1,000
times as long; ordinary tokens stay below 10 (at the MLP outputs of the bundled model 9.9 at most)."""


@dataclass(frozen=True, slots=True)
class OutlierLimits:
    """The largest norms of ordinary tokens.

    Attributes:
        norms: by the name of the site. A site that is not in it has none: all its tokens are ordinary.
    """

    norms: Mapping[str, float]

    @classmethod
    def measured(
        cls, activations: Float[Tensor, "tokens width"], sites: Sequence[Site], factor: float = OUTLIER_FACTOR
    ) -> "OutlierLimits":
        """Of activations at sites side by side. A site where the median token is zero gets no limit."""
        medians = {
            name: norms.median().item() if len(norms) else 0.0
            for name, norms in _norms(activations, sites).items()
        }
        return cls({name: factor * median for name, median in medians.items() if median > 0})

    def ordinary(
        self, activations: Float[Tensor, "tokens width"], sites: Sequence[Site]
    ) -> Bool[Tensor, "tokens"]:
        """Which tokens are no outlier at any of the sites; on the CPU. NaN is not left out: it is an error."""
        outlying = torch.zeros(len(activations), dtype=torch.bool)
        for name, norms in _norms(activations, sites).items():
            if name in self.norms:
                outlying |= norms > self.norms[name]
        return ~outlying


def _norms(activations: Tensor, sites: Sequence[Site]) -> dict[str, Tensor]:
    """The norm of every token by site, on the CPU."""
    parts = activations.split([site.width for site in sites], dim=1)
    return {site.name: part.float().norm(dim=1).cpu() for site, part in zip(sites, parts, strict=True)}
