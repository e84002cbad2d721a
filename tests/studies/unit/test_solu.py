"""The study of Softmax Linear Units: its neurons, rules, small activations and concepts, and its verdicts."""

import math

import pytest
import torch

from mindscope.errors import DataError
from mindscope.studies.common import (
    ConceptTexts,
    RuleScores,
    StrongFirings,
    TinyConfig,
    TinyTransformers,
    TokenText,
    detect_firings,
    explain_firings,
    find_rules,
    match_rules,
    norm_neurons,
    read_neurons,
    say_rule,
    score_concepts,
    split_held,
)
from mindscope.studies.common.small_models.tiny_transformers import activate
from mindscope.studies.solu.claims import list_claims, share_moved
from mindscope.studies.solu.concepts import fit_linearly
from mindscope.studies.solu.config import (
    GELU,
    GELU_NORM,
    ORGANISM,
    PRESETS,
    REFERENCE,
    SOLU,
    SOLU_NORM,
)
from mindscope.studies.solu.neurons import draw_rotations, find_firings
from mindscope.studies.solu.results import (
    KindScores,
    LevelShares,
    NeuronConcepts,
    SmallActivations,
    SoluStudy,
)
from mindscope.studies.solu.small_activations import SmallParts, hand_on, measure_levels, measure_small
from mindscope.studies.solu.texts import ReferenceText

VOCABULARY = 30


def small_models(**more: object) -> TinyTransformers:
    kind = TinyConfig(layers=2, mlp=True, width=16, heads=2, context=16, seeds=2)
    return TinyTransformers(kind.model_copy(update=more), VOCABULARY, 0)


def some_rows(rows: int = 12) -> torch.Tensor:
    return torch.randint(VOCABULARY, (rows, 16), generator=torch.Generator().manual_seed(0))


def test_solu_keeps_what_is_large_and_makes_small_what_is_spread():
    x = torch.tensor([[4.0, 1.0, 4.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    share = math.exp(4) / (2 * math.exp(4) + 2 * math.exp(1))
    expected = [4 * share, 0.5 - share, 4 * share, 0.5 - share]
    torch.testing.assert_close(activate(x, "solu"), torch.tensor([expected, [0.25] * 4]))


def test_behind_layernorm_the_softmaxs_denominator_has_no_effect():
    x = torch.randn(20, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[0] = 0.01 * x[0]  # small and spread out: its SoLU is tiny
    unnormed = x * x.exp()
    centred = unnormed - unnormed.mean(1, keepdim=True)
    expected = centred / unnormed.std(1, correction=0, keepdim=True)
    torch.testing.assert_close(norm_neurons(activate(x, "solu")), expected, rtol=1e-4, atol=1e-4)


def test_kinds_start_from_the_same_weights():
    gelu, solu = small_models(), small_models(activation="solu", normed=True)
    for own, its in zip(gelu.parameters(), solu.parameters(), strict=True):
        assert torch.equal(own, its)
    ids = some_rows().expand(2, -1, -1)
    with torch.no_grad():
        assert not torch.allclose(gelu.losses(ids), solu.losses(ids))


def test_what_neurons_hand_on_can_be_read_and_changed():
    models, ids = small_models(activation="solu", normed=True), some_rows().expand(2, -1, -1)
    reading = read_neurons(models, some_rows())
    assert reading.before.shape == (2, 12, 16, 2 * 64)
    torch.testing.assert_close(reading.behind[..., :64], norm_neurons(reading.before[..., :64]))
    with torch.no_grad():
        nothing = models.run(ids, edit=lambda _, neurons, handed: torch.zeros_like(handed))[0]
        for layer in models.layers:
            layer["down"] = torch.zeros_like(layer["down"])
        torch.testing.assert_close(models.run(ids)[0], nothing)


def firings_of(ids: torch.Tensor, activations: torch.Tensor) -> StrongFirings:
    highest = activations[:, :-1].max(1)
    return StrongFirings(ids, highest.values, highest.indices)


def test_rules_are_found_in_some_rows_and_tried_on_others():
    """Neurons that fire on token 3, behind token 5, before token 7, and anywhere."""
    generator = torch.Generator().manual_seed(0)
    halves = []
    for _ in range(2):
        ids = torch.randint(VOCABULARY, (60, 40), generator=generator)
        noise = torch.rand(60, 40, 4, generator=generator)
        on, behind, before = (
            ids == 3,
            torch.zeros(60, 40, dtype=torch.bool),
            torch.zeros(60, 40, dtype=torch.bool),
        )
        behind[:, 1:] = ids[:, :-1] == 5
        before[:, :-1] = ids[:, 1:] == 7
        never = torch.zeros_like(on)
        halves.append((ids, 0.1 * noise + torch.stack([on, behind, before, never], -1)))
    (ids, activations), (held, held_activations) = halves
    rules = find_rules(firings_of(ids, activations), VOCABULARY)
    told = [say_rule(int(o), str(int(t))) for o, t in zip(rules.offsets, rules.tokens, strict=True)]
    assert told[:3] == ["on 3", "behind 5", "before 7"]
    explained = explain_firings(rules, firings_of(held, held_activations), VOCABULARY)
    assert explained[:3].tolist() == [1.0, 1.0, 1.0]
    assert explained[3] < 0.3
    detected = detect_firings(match_rules(rules, held, VOCABULARY), held_activations[:, :-1])
    assert detected[:3].tolist() == pytest.approx([1.0] * 3)
    assert float(detected[3]) == pytest.approx(0.5, abs=0.1)


def test_detection_counts_what_is_missed_and_what_is_said_in_vain():
    said = torch.tensor([[[True], [True], [False], [False]]])
    values = torch.tensor([[[1.0], [0.2], [0.9], [0.0]]])
    assert float(detect_firings(said, values)) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert detect_firings(said, torch.zeros(1, 4, 1)).isnan().all()  # it fires nowhere


def test_a_rotation_turns_neurons_that_are_all_as_loud():
    models = small_models()
    before = read_neurons(models, some_rows()).before
    before[..., 5] *= 100  # one neuron is much louder than all others
    turns = draw_rotations(before, 0)
    even = (before - before.mean((1, 2), keepdim=True)).flatten(1, 2) @ turns
    torch.testing.assert_close(even.square().sum(2).mean(1), torch.full((2,), 128.0), rtol=0.02, atol=0)
    assert even.std(1).max() < 5  # and yet no direction hears it alone
    before = read_neurons(models, some_rows()).before[:, :, :-1]
    own, turned = find_firings(models, some_rows(), turns)
    torch.testing.assert_close(own[1].values, before[1].amax(1))
    torch.testing.assert_close(turned[1].values, (before[1] @ turns[1]).amax(1))


@pytest.mark.parametrize("normed", [False, True])
def test_small_and_large_activations_add_up_to_the_output(normed):
    whole = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    small = whole.abs() < 0.3
    parts = [hand_on(whole * own, whole, normed=normed, scaled=True) for own in (small, ~small)]
    torch.testing.assert_close(sum(parts), norm_neurons(whole) if normed else whole)


def test_shares_and_costs_of_small_activations():
    models, ids = small_models(activation="solu", normed=True), some_rows()
    parts = SmallParts.of(read_neurons(models, ids))
    none, every = (
        measure_small(models, ids, SmallParts(parts.reading, limits))
        for limits in (torch.zeros_like(parts.limits), 1e9 * torch.ones_like(parts.limits))
    )
    assert (none.before, none.behind) == ((0.0, 0.0), (0.0, 0.0))
    assert none.cost == pytest.approx((0.0, 0.0), abs=1e-5)
    assert (every.count, every.before, every.behind) == ((1.0, 1.0),) * 3
    with torch.no_grad():
        own = ids.expand(2, -1, -1)
        without = models.losses(own, edit=lambda _, neurons, handed: torch.zeros_like(handed)).mean((1, 2))
        expected = (without - models.losses(own).mean((1, 2))).tolist()
    assert every.cost == pytest.approx(expected, abs=1e-4)


def test_scaling_enlarges_tokens_on_which_nothing_fires():
    """Two tokens: one neuron fires on the first alone; LayerNorm makes both as large."""
    whole = torch.zeros(1, 1, 2, 64)
    whole[..., 0, 0] = 10.0
    whole[..., 1, :] = 0.1 * torch.randn(64, generator=torch.Generator().manual_seed(0))
    small = whole.abs() < 1.0
    shares = []
    for scaled in (False, True):
        energies = [
            float(hand_on(whole * own, whole, normed=True, scaled=scaled).square().sum())
            for own in (small, ~small)
        ]
        shares.append(energies[0] / sum(energies))
    assert shares[0] < 0.01
    assert shares[1] == pytest.approx(0.5, abs=0.01)


def test_slight_firings_are_told_from_strong_ones():
    models = small_models(layers=1)
    reading = read_neurons(models, some_rows(40))
    values = torch.zeros_like(reading.before)
    values[..., ::2, 0] = 0.2
    values[..., 1::2, 0] = 0.9
    values[..., 0, 0] = 1.0
    matches = torch.zeros(40, 15, values.shape[-1], dtype=torch.bool)
    matches[:, 1::2, 0] = True
    matches[:, 0, 0] = True
    only = torch.zeros(values.shape[-1], dtype=torch.bool)
    only[0] = True
    levels = measure_levels(type(reading)(values, values), 0, matches, only)
    assert levels.before == levels.behind == (0.0, None, 1.0)


def test_a_concept_across_neurons_is_read_linearly_and_by_no_single_one():
    generator = torch.Generator().manual_seed(0)
    sides = []
    for _ in range(2):
        shown = torch.rand(400, 1, generator=generator) < 0.3
        x = torch.rand(400, 8, generator=generator)
        x[:, 0] = 0.3 * x[:, 0] + 1.5 * x[:, 1] + 0.5 * shown[:, 0]  # only the difference of both tells
        sides.append((x, shown))
    (x, shown), (held_x, held_shown) = sides
    chosen, held = score_concepts(x, shown, held_x, held_shown)
    assert chosen.shape == held.shape == (1, 8)
    single = float(held[0, chosen.argmax()])
    said, held_said = fit_linearly(x, shown, held_x)
    _, linear = score_concepts(said, shown, held_said, held_shown)
    assert float(linear) > single + 0.1


def test_rows_to_read_and_to_test_share_no_token():
    text = TokenText(64, list(range(60)), list(range(60)))
    read, tested = split_held(text, 8, most=100)
    assert read.shape == tested.shape == (3, 8)
    assert not set(read.flatten().tolist()) & set(tested.flatten().tolist())
    with pytest.raises(DataError, match="two rows"):
        split_held(text, 40, most=1)


def test_real_text_is_english_and_its_held_out_part_another():
    text = ReferenceText(256)
    assert {"the", "is", "a", "."} <= set(text.common)
    assert len(text.held) > 10_000
    assert len(text.train) > 2 * len(text.held)
    assert text.digest == ReferenceText(64).digest


def test_the_paper_preset_is_as_large_as_the_papers_smallest_model():
    paper = PRESETS["paper"]
    model = paper.model
    weights = 4 * model.width**2 + 2 * model.expansion * model.width**2 + 2 * paper.vocabulary * model.width
    assert weights == pytest.approx(10e6, rel=0.2)


def scores_with(kind: str, text: str, loss: float, share: float, behind: float, best: float) -> KindScores:
    seeds = (0.0, 0.01, 0.02)
    own = tuple(
        RuleScores(interpretable=share + s, explained=share + s, detected=0.5 + share / 2 + s, rules=9)
        for s in seeds
    )
    return KindScores(
        kind=kind,
        text=text,
        loss=tuple(loss + s for s in seeds),
        own=own,
        rotated=(RuleScores(interpretable=0.0, explained=0.1, detected=0.5, rules=1),) * 3,
        levels=(LevelShares(before=(0.9, 0.9, 0.9), behind=(0.9 - behind, 0.9, 0.9), neurons=9),) * 3,
        small=SmallActivations(
            count=(0.5,) * 3,
            before=(0.1,) * 3,
            behind=tuple(0.1 + behind + s for s in seeds),
            cost=tuple(behind + s for s in seeds),
        ),
        concepts=NeuronConcepts(
            standing=tuple(share + s for s in seeds),
            beyond_tokens=tuple(share + s for s in seeds),
            standing_rotated=(0.0,) * 3,
            best=((best,) * 3, (1 - best,) * 3),
            readable=((1.0,) * 3,) * 2,
        )
        if text == ORGANISM
        else None,
        examples=(),
    )


def study_with(**solu_norm: float) -> SoluStudy:
    gelu = {"loss": 2.0, "share": 0.3, "behind": 0.0, "best": 0.5}
    kinds = []
    for text in (ORGANISM, REFERENCE):
        for kind in (GELU, "ReLU", SOLU, SOLU_NORM, GELU_NORM):
            more = solu_norm if kind == SOLU_NORM else {"loss": 2.2} if kind == SOLU else {}
            kinds.append(scores_with(kind, text, **gelu | more))
    texts = ConceptTexts(concepts=("group: a", "group: b"), tokens=(0.1, 0.2), rows=(9, 9), too_long=0)
    return SoluStudy(real_text="words", digest="0", texts=texts, kinds=tuple(kinds))


def test_verdicts_turn_with_the_numbers():
    published = study_with(loss=2.005, share=0.6, behind=0.3, best=0.9)
    assert [claim.holds for claim in list_claims(published)] == [True] * 20
    contrary = study_with(loss=2.4, share=0.1, behind=-0.05, best=0.5)
    held = {claim.statement: claim.holds for claim in list_claims(contrary)}
    still = ("SoLU without it predicts worse", "it is the neurons' doing")
    assert [statement for statement, holds in held.items() if holds] == [
        statement for statement in held if statement.startswith(still)
    ]


def test_concepts_that_a_rotation_has_as_well_are_not_the_neurons():
    study = study_with(loss=2.005, share=0.6, behind=0.3, best=0.9)
    kinds = []
    for kind in study.kinds:
        concepts = kind.concepts
        if concepts is not None:
            concepts = concepts.model_copy(update={"standing_rotated": concepts.standing})
        kinds.append(kind.model_copy(update={"concepts": concepts}))
    claims = list_claims(study.model_copy(update={"kinds": tuple(kinds)}))
    assert [claim.statement for claim in claims if not claim.holds] == ["more neurons have a known concept"]


def test_a_concept_is_lost_where_its_f1_falls_far_enough():
    assert share_moved([0.9, 0.5, 0.5, 0.2], [0.5, 0.45, 0.5, 0.9]) == pytest.approx(0.25)
