"""What every family needs: reading the features of many prompts, and answers under interventions."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.circuits import (
    FeatureIO,
    FeatureSource,
    Intervention,
    ReplacementModel,
    StreamFeatures,
    concat_reads,
    intervening,
)
from mindscope.models import Edit, Model, Raw, Read, Row, Sampling, logit_effects
from mindscope.store import Run
from mindscope.studies.llm_biology.contrast import FeatureContrast
from mindscope.studies.llm_biology.control import StreamWrites
from mindscope.studies.llm_biology.prompts import CasePrompt

AT_ONCE = 128


@dataclass(frozen=True, eq=False)
class CaseContext:
    """A model, what stands in for its MLPs, and how many prompts to spend.

    Attributes:
        replacement: what graphs are traced with.
        streams: whose latents are exchanged in place of the replacement's features, if given.
        held: prompts of the second half that a rate is taken of.
        first: prompts of the first half that a setting is chosen on.
        read: prompts of the first half that groups are found with, of each kind at least a few.
    """

    model: Model
    replacement: ReplacementModel
    run: Run
    held: int = 50
    first: int = 48
    read: int = 200
    seed: int = 0
    streams: StreamFeatures | None = None

    @cached_property
    def access(self) -> FeatureIO:
        return self.features.access(self.model)

    @property
    def features(self) -> FeatureSource:
        """What is exchanged."""
        return self.streams or self.replacement

    @cached_property
    def weights(self) -> Float[Tensor, "features"]:
        """The norm of what a unit of each feature writes, over all the layers it writes."""
        norms = []
        for layer, size in enumerate(self.access.sizes):
            rows = self.access.decoders(layer, torch.arange(size)).values()
            norms.append(torch.stack([row.norm(dim=1) for row in rows]).norm(dim=0).cpu())
        return torch.cat(norms)

    @cached_property
    def writes(self) -> StreamWrites:
        """What a unit of each feature adds to the residual stream, all the layers it writes together."""
        rows = [
            torch.stack(list(self.access.decoders(layer, torch.arange(size)).values())).sum(0).float().cpu()
            for layer, size in enumerate(self.access.sizes)
        ]
        return StreamWrites(torch.cat(rows), tuple(self.access.sizes))

    @cached_property
    def unembedding(self) -> Float[Tensor, "d_model vocabulary"]:
        """Of each token, the direction of the residual stream before the last norm that raises its logit."""
        return logit_effects(self.model, torch.eye(self.model.d_model))

    def rng(self, name: str) -> random.Random:
        """Its own stream of chance for everything that is drawn."""
        return random.Random(f"{name}-{self.seed}")

    def codes(self, prompts: Sequence[CasePrompt]) -> Float[Tensor, "prompts spots features"]:
        """All features at the spots of prompts; the mean where a spot is several tokens."""
        parts = [prompts[start : start + AT_ONCE] for start in range(0, len(prompts), AT_ONCE)]
        return torch.cat([self._codes(part) for part in parts])

    def contrast(self, prompts: Sequence[CasePrompt]) -> FeatureContrast:
        """What sets the kinds of these prompts apart."""
        return FeatureContrast.of(prompts, self.codes(prompts), self.weights, self.access.sizes)

    def next_tokens(
        self,
        prompts: Sequence[CasePrompt],
        interventions: Sequence[Sequence[Intervention]],
        edits: Sequence[Sequence[Edit]] | None = None,
    ) -> list[str]:
        """The most probable token after each prompt, under interventions and edits of its own."""
        tokens: list[str] = []
        for start in range(0, len(prompts), AT_ONCE):
            rows, batch, written = _part(start, prompts, interventions, edits)
            with intervening(self.model, self.features, rows, batch):
                logits = self.model.next_logits(rows, edits=written)
            tokens += [self.model.decode([token]).strip() for token in logits.argmax(-1).tolist()]
        return tokens

    def answers(
        self,
        prompts: Sequence[CasePrompt],
        interventions: Sequence[Sequence[Intervention]],
        tokens: int,
        edits: Sequence[Sequence[Edit]] | None = None,
    ) -> list[str]:
        """What is written after each prompt, greedily, under interventions and edits of its own."""
        if tokens == 1:
            return self.next_tokens(prompts, interventions, edits)
        texts: list[str] = []
        sampling = Sampling(temperature=0.0, max_new_tokens=tokens)
        for start in range(0, len(prompts), AT_ONCE):
            rows, batch, written = _part(start, prompts, interventions, edits)
            with intervening(self.model, self.features, rows, batch):
                made = self.model.generate(rows, sampling, edits=written, batch_rows=AT_ONCE)
            texts += [generation.text.strip() for generation in made]
        return texts

    def word_ids(self, words: str) -> tuple[int, ...]:
        """The tokens of words that an answer is to go on with."""
        return self.model.text("", words).answer

    def answered(self, prompts: Sequence[CasePrompt], tokens: int) -> list[CasePrompt]:
        """Prompts with the model's own greedy answers, to be read with them."""
        sampling = Sampling(temperature=0.0, max_new_tokens=tokens)
        made = self.model.generate([prompt.row for prompt in prompts], sampling, batch_rows=AT_ONCE)
        return [
            replace(prompt, answered=generation.row) for prompt, generation in zip(prompts, made, strict=True)
        ]

    def _codes(self, prompts: Sequence[CasePrompt]) -> Float[Tensor, "prompts spots features"]:
        access, spots = self.access, len(prompts[0].spots)
        addresses = dict.fromkeys(address for layer in access.reads for address in layer)
        reads = {address: Read(address, Raw("all")) for address in addresses}
        codes = {
            name: reading.values
            for name, reading in self.model.read([p.read for p in prompts], reads).items()
        }
        places = [
            (number * spots + spot, number, token)
            for number, prompt in enumerate(prompts)
            for spot in range(spots)
            for token in prompt.tokens(spot)
        ]
        cells = torch.tensor([cell for cell, _, _ in places])
        counts = torch.bincount(cells, minlength=len(prompts) * spots).clamp(min=1)
        layers = []
        for layer, size in enumerate(access.sizes):
            seen = {
                name: torch.stack([codes[name][number][token] for _, number, token in places])
                for name in access.reads[layer]
            }
            x = concat_reads(access, layer, seen).to(self.model.device)
            _, active = access.activations(layer, x, torch.arange(size))
            sums = torch.zeros(len(prompts) * spots, size).index_add_(0, cells, active.float().cpu())
            layers.append((sums / counts[:, None]).view(len(prompts), spots, size))
        return torch.cat(layers, dim=2)


def _part(
    start: int,
    prompts: Sequence[CasePrompt],
    interventions: Sequence[Sequence[Intervention]],
    edits: Sequence[Sequence[Edit]] | None,
) -> tuple[list[Row], list[Sequence[Intervention]], list[Sequence[Edit]] | None]:
    """What goes through the model together."""
    part = slice(start, start + AT_ONCE)
    rows = [prompt.row for prompt in prompts[part]]
    return rows, list(interventions[part]), None if edits is None else list(edits[part])
