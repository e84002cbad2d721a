"""Attention sinks and massive activations: tokens whose vectors are far longer than others'.

Language models put very large activations on a few tokens, the first of a row or any other (Sun et al. 2024,
"Massive Activations in Large Language Models", arXiv 2402.17762). One of 256 that is a thousand times as long
as the others is nearly all of the variance: scales, means and scores that count it say nothing of the rest.

1. The limit of a site is `OUTLIER_FACTOR` times the median norm of the first activations that are seen.
   Medians do not move with the outliers, as means do.
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
        """Of activations at sites side by side; see `of_norms`."""
        return cls.of_norms(measure_norms(activations, sites), sites, factor)

    @classmethod
    def of_norms(
        cls, norms: Float[Tensor, "tokens sites"], sites: Sequence[Site], factor: float = OUTLIER_FACTOR
    ) -> "OutlierLimits":
        """Of what `measure_norms` gives. A site where the median token is zero gets no limit."""
        medians = norms.median(dim=0).values.tolist() if len(norms) else [0.0] * len(sites)
        return cls(
            {site.name: factor * median for site, median in zip(sites, medians, strict=True) if median > 0}
        )

    def ordinary(
        self, activations: Float[Tensor, "tokens width"], sites: Sequence[Site]
    ) -> Bool[Tensor, "tokens"]:
        """Which tokens are outliers at none of the sites; on the CPU. NaN stays: it is an error."""
        limits = torch.tensor([self.norms.get(site.name, torch.inf) for site in sites])
        return ~(measure_norms(activations, sites) > limits).any(dim=1)


def measure_norms(
    activations: Float[Tensor, "tokens width"], sites: Sequence[Site]
) -> Float[Tensor, "tokens sites"]:
    """The norm of every token at every site, of activations at the sites side by side; on the CPU."""
    parts = activations.split([site.width for site in sites], dim=1)
    return torch.stack([part.float().norm(dim=1).cpu() for part in parts], dim=1)
