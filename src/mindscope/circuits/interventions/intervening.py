"""Interventions on features in the model's own forward passes: open, with attention held, or constrained.

Ameisen et al. 2025, "Circuit Tracing", section on validating graphs by intervention:

1. Compile the interventions of all rows into arrays: features by layer, on spans of tokens
   (`InterventionPlan`).
2. In every mode but `open`, pass each distinct row through the model once, and keep what is held: attention
   patterns, norms' scales, and for `constrained` what features read and MLPs wrote.
3. In each forward pass inside the block, what a layer's features read passes by first. Of it follow their
   activations a, and by how much each is to change, d.
4. At the output of every MLP that they write to, d times their decoder row is added, at their token. All else
   of the output stays, so that the replacement's error stays as well.
5. In `constrained`, outputs of the held layers are first put back to what they were in step 2. A dictionary's
   skip is linear and no feature: what it carries of a change goes along.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import get_args

from torch import Tensor

from mindscope.circuits.graph.findings import Mode
from mindscope.circuits.interventions.cache import PassCache, cache_passes
from mindscope.circuits.interventions.intervention import Intervention, InterventionHits, InterventionPlan
from mindscope.circuits.replacement.feature_io import FeatureIO, FeatureSource, concat_reads
from mindscope.errors import DataError
from mindscope.models import BatchLayout, Model, RewrittenPass, Row, frozen, rewritten, split_address

MODES: tuple[Mode, ...] = get_args(Mode)


@contextmanager
def intervening(
    model: Model,
    source: FeatureSource,
    rows: Sequence[Row],
    interventions: Sequence[Intervention] | Sequence[Sequence[Intervention]],
    *,
    mode: Mode = "open",
    layers: range | None = None,
) -> Iterator[None]:
    """Change features in every forward pass of these rows inside the block.

    Of `model.next_logits(rows)`, `model.generate(rows)` (where what is open to the end goes on into generated
    tokens), `model.read(rows, ...)` and other forward passes of them. A change of an activation a by d
    adds d times the feature's decoder rows to the outputs of the MLPs it writes (of an SAE's latent to the
    stream); all else stays, the replacement's error included. No hook stays behind, whatever is raised.

    Args:
        model: the model.
        source: whose features are meant: a replacement of the MLPs, or SAEs of the stream.
        rows: the prompts, as they are given to the model inside.
        interventions: one list for every row, or one list per row.
        mode: what else may change (Ameisen et al. 2025, "Circuit Tracing", on validating interventions).
            `open`: everything; a is what it is in that pass. `frozen`: attention patterns are held at those
            of the prompt's own pass. `frozen_norms`: norms' scales as well, so that only MLPs answer.
            `constrained`: besides patterns, the MLP outputs of `layers` are held, so that an effect meets no
            MLP there, and a is what it was. Where `layers` are all layers the scales of norms are held too,
            and only direct effects are left: those of a graph's edges. What features write outside of
            `layers` is left out, as the paper does with a cross-layer transcoder. What is held is held on
            the tokens of `rows`: generated ones attend and compute as ever.
        layers: of `constrained`; all by default.

    Raises:
        DataError: a feature, a position or a layer that does not exist, an unknown mode, or a change that
            reaches none of the layers that are not held.
        ModelError: a place that features write cannot be written, or attention cannot be held.
    """
    with intervening_through(model, source.access(model), rows, interventions, mode=mode, layers=layers):
        yield


@contextmanager
def intervening_through(
    model: Model,
    feature_io: FeatureIO,
    rows: Sequence[Row],
    interventions: Sequence[Intervention] | Sequence[Sequence[Intervention]],
    *,
    mode: Mode,
    layers: range | None,
) -> Iterator[None]:
    """`intervening`, where features are read and written through a given access."""
    # 1 and 2: fail before the first forward pass
    plan = InterventionPlan.compile(rows, split_by_row(interventions, len(rows)))
    held = find_held_layers(mode, layers, len(feature_io.writes))
    _require_mlps(held, feature_io)
    _require_features(plan, feature_io)
    cache = None if mode == "open" else cache_passes(model, feature_io, rows)
    patch = _OutputPatch(feature_io, plan, held, cache)
    patch.require_effects()
    writes = [feature_io.writes[layer] for layer in patch.writing]
    with ExitStack() as stack:
        if cache is not None:
            # With every MLP held, what is left is direct effects; they are linear only with scales held too.
            norms = mode == "frozen_norms" or len(held) == len(feature_io.writes)
            stack.enter_context(frozen(model, cache.held, norms=norms))
        patch.passing = stack.enter_context(rewritten(model, patch.reading, writes, patch.rewrite))
        yield


def split_by_row(
    interventions: Sequence[Intervention] | Sequence[Sequence[Intervention]], rows: int
) -> list[Sequence[Intervention]]:
    """One list of interventions per row; a flat one is every row's."""
    flat = [entry for entry in interventions if isinstance(entry, Intervention)]
    if flat or not interventions:
        return [flat] * rows
    if len(interventions) != rows:
        raise DataError(f"{len(interventions)} lists of interventions for {rows} rows: give one per row")
    return [entry for entry in interventions if not isinstance(entry, Intervention)]


def find_held_layers(mode: str, layers: range | None, n_layers: int) -> range:
    """The layers whose MLP outputs are held."""
    if mode not in MODES:
        raise DataError(f"unknown mode {mode!r} of an intervention: use one of {', '.join(MODES)}")
    if mode != "constrained":
        if layers is not None:
            raise DataError(f"in mode {mode!r} no MLP is held: give layers with mode 'constrained' alone")
        return range(0)
    layers = range(n_layers) if layers is None else layers
    if layers.step != 1 or not layers or layers[0] < 0 or layers[-1] >= n_layers:
        raise DataError(
            f"layers {layers.start} to {layers.stop} (exclusive) hold nothing: the model has 0 to "
            f"{n_layers - 1}, and the range must not be empty"
        )
    return layers


def _require_mlps(held: range, feature_io: FeatureIO) -> None:
    for address in feature_io.writes if held else ():
        if not split_address(address)[0].startswith("mlp_out"):
            raise DataError(
                f"features that write {address} cannot be held constrained, as outputs of MLPs are"
            )


def _require_features(plan: InterventionPlan, feature_io: FeatureIO) -> None:
    for layer in plan.layers:
        if layer >= len(feature_io.sizes):
            raise DataError(
                f"there is no layer {layer} to intervene in: the model has 0 to {len(feature_io.sizes) - 1}"
            )
        last, most = int(plan.latents(layer)[-1]), feature_io.sizes[layer]
        if last >= most:
            raise DataError(f"there is no feature {last} in layer {layer}: it has 0 to {most - 1}")


class _OutputPatch:
    """What is done at the outputs of MLPs, pass by pass: steps 3 to 5."""

    def __init__(self, feature_io: FeatureIO, plan: InterventionPlan, held: range, cache: PassCache | None):
        self.feature_io, self.plan, self.held, self.cache = feature_io, plan, held, cache
        self.passing = RewrittenPass()
        self.layer_of = {address: layer for layer, address in enumerate(feature_io.writes)}
        self.decoders = {layer: feature_io.decoders(layer, plan.latents(layer)) for layer in plan.layers}
        self.skips = {
            source: {target: weight for target, weight in feature_io.skip(source).items() if target in held}
            for source in (range(held.stop) if held else ())
        }
        written = {target for targets in self.decoders.values() for target in targets}
        self.writing = list(held) or sorted(written)
        # Of the forward pass that is running: what it meets that is not worked out yet, and what is to be
        # added.
        self._layout: BatchLayout | None = None
        self._hits: dict[int, InterventionHits] = {}
        self._waiting: dict[int, list[tuple[InterventionHits, Tensor]]] = {}

    def require_effects(self) -> None:
        """Refuse a change that would be left out whole."""
        for layer, targets in self.decoders.items():
            if not set(targets) & set(self.writing):
                raise DataError(
                    f"features of layer {layer} write nothing in layers {self.held[0]} to {self.held[-1]}: "
                    "hold other layers, or leave these changes out"
                )

    @property
    def reading(self) -> list[str]:
        """The addresses that tell of features, and what goes through skips, in every pass."""
        skipping = [source for source, targets in self.skips.items() if targets]
        layers = sorted({*self.plan.layers, *skipping})
        return [address for layer in layers for address in self.feature_io.reads[layer]]

    def rewrite(self, address: str, hidden: Tensor, seen: Mapping[str, Tensor]) -> Tensor:
        """What takes the place of an MLP's output."""
        layout = self.passing.layout
        assert layout is not None
        if layout is not self._layout:  # a new forward pass
            self._layout, self._hits, self._waiting = layout, self.plan.hits(layout), {}
        layer = self.layer_of[address]
        # What tells a layer's features passes by before any output that they write to.
        for source in [source for source in self._hits if source <= layer]:
            self._change(source, self._hits.pop(source), layout, seen)
        # Held outputs are put back before anything is added to them.
        if layer in self.held:
            hidden = self._as_cached(layer, hidden, layout, seen)
        for hits, rows in self._waiting.pop(layer, []):
            tokens = hits.batch_rows.to(hidden.device), hits.batch_columns.to(hidden.device)
            hidden = hidden.index_put(tokens, rows.to(hidden), accumulate=True)
        return hidden

    def _change(
        self, layer: int, hits: InterventionHits, layout: BatchLayout, seen: Mapping[str, Tensor]
    ) -> None:
        """Work out what the changed features of a layer write more or less than they did."""
        x = concat_reads(self.feature_io, layer, seen)
        # Where MLPs are held, an activation is what it was, whatever other changes have reached it.
        if self.cache is not None and self.held:
            x = self.cache.held.of(self.cache.reads[layer], x, layout)
        # Several features change at one token: each token is encoded once, for all features changed in the
        # layer.
        tokens, token_of = (hits.batch_rows * x.shape[1] + hits.batch_columns).unique(return_inverse=True)
        chosen = x.flatten(0, 1)[tokens.to(x.device)]
        _, activations = self.feature_io.activations(layer, chosen, self.plan.latents(layer))
        change = self.plan.changes(hits, activations[token_of, hits.latents])
        for target, decoder in self.decoders[layer].items():
            rows = change[:, None] * decoder[hits.latents.to(decoder.device)].to(change)
            self._waiting.setdefault(target, []).append((hits, rows))

    def _as_cached(
        self, layer: int, hidden: Tensor, layout: BatchLayout, seen: Mapping[str, Tensor]
    ) -> Tensor:
        """An MLP's output as it was; a skip is part of what is linear, and goes along with its input."""
        assert self.cache is not None
        output = self.cache.held.of(self.cache.writes[layer], hidden, layout)
        for source, targets in self.skips.items():
            if layer in targets:
                x = concat_reads(self.feature_io, source, seen)
                moved = x - self.cache.held.of(self.cache.reads[source], x, layout)
                output = output + (moved @ targets[layer].to(moved)).to(output)
        return output
