"""The study of persona space: pursuit, dimensions, correlations over pairs, and what its verdicts need."""

import numpy as np
import pytest
import torch

from mindscope.studies.persona_space.carriers import pursue
from mindscope.studies.persona_space.claims import list_claims
from mindscope.studies.persona_space.config import RealTraitsConfig
from mindscope.studies.persona_space.draw_means import grips, shares_of_effect
from mindscope.studies.persona_space.geometry import correlate_pairs, count_dimensions, measure_geometry
from mindscope.studies.persona_space.readers import measure_readers
from mindscope.studies.persona_space.real_traits import (
    POLES,
    REAL_VOICES,
    TraitBench,
    fill_missing,
    judge_traits,
)
from mindscope.studies.persona_space.results import PersonaSpaceStudy, TraitAnswers
from mindscope.studies.persona_space.voices import DEFAULT, VOICES, VoiceReads, score_answers


def directions(count: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, width, generator=generator), dim=1)


def test_pursuit_finds_what_a_vector_is_made_of():
    atoms = directions(200, 64)
    target = 3 * atoms[17] - 2 * atoms[150] + atoms[42]
    chosen, fits = pursue(target, atoms, 4)
    assert set(chosen[:3]) == {17, 42, 150}
    torch.testing.assert_close(fits[2], target, atol=1e-5, rtol=0)
    assert len(set(chosen)) == 4  # nothing is left to fit, and yet nothing is chosen twice
    errors = (target - fits).norm(dim=1)
    assert (errors.diff() <= 1e-5).all()


def test_a_fit_is_the_projection_on_the_span_of_the_chosen():
    """Against NumPy's projector in float64."""
    atoms, target = directions(50, 16), directions(1, 16, seed=1)[0]
    chosen, fits = pursue(target, atoms, 5)
    basis = atoms[chosen].double().numpy().T
    projected = basis @ np.linalg.pinv(basis) @ target.double().numpy()
    np.testing.assert_allclose(fits[-1].numpy(), projected, atol=1e-6)


def made_draws(n_dimensions: int, noise: float = 0.05, n_questions: int = 6) -> list[VoiceReads]:
    """Voices in so many dimensions of 32; what is shown is the voice that was told."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(32, n_dimensions, generator=generator)).Q
    means = torch.randn(DEFAULT + 1, n_dimensions, generator=generator) @ basis.T
    shown = torch.cat([100 * torch.eye(DEFAULT), 100 * torch.eye(DEFAULT)[:1]])
    draws = []
    for _ in range(3):
        answers, prompts = (
            means[:, None] + noise * torch.randn(DEFAULT + 1, n_questions, 32, generator=generator)
            for _ in range(2)
        )
        draws.append(VoiceReads(answers, prompts, shown[:, None].expand(-1, n_questions, -1)))
    return draws


def test_dimensions_are_counted_on_another_draw():
    few, many = (measure_geometry(made_draws(n), 0) for n in (3, 14))
    assert {count_dimensions(spectrum, 0.95) for spectrum in few.spectra} <= {2, 3}
    assert min(count_dimensions(spectrum, 0.95) for spectrum in many.spectra) > 5
    assert min(count_dimensions(spectrum, 0.95) for spectrum in few.random_spectra) > 8
    assert count_dimensions([0.2, 0.5], 0.9) == 2


def test_noise_is_no_dimension():
    """Two draws of noise share nothing: what one holds, the other does not."""
    spectra = measure_geometry(made_draws(2, noise=30.0, n_questions=2), 0).spectra
    assert max(max(spectrum) for spectrum in spectra) < 0.8


def test_the_vector_of_a_voice_and_the_axis_are_differences_of_means():
    reads = made_draws(5)[0]
    means = reads.answers.mean(1)
    torch.testing.assert_close(reads.vectors[3], means[3] - means[0])
    torch.testing.assert_close(reads.axis, means[DEFAULT] - means[1:DEFAULT].mean(0))


def test_correlation_over_pairs_is_pearsons_and_draws_voices():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(10, 10))
    x = x + x.T
    noise = draw.normal(size=(10, 10))
    y = x + (noise + noise.T) / 2
    upper = np.triu_indices(10, 1)
    found = correlate_pairs(x, y)
    assert found.r == pytest.approx(np.corrcoef(x[upper], y[upper])[0, 1])
    assert found.low < found.r < found.high
    assert (found.pairs, found.voices) == (45, 10)
    assert found.r > found.shuffled > 0.15
    assert abs(correlate_pairs(x, (noise + noise.T)).r) < found.r


def test_a_linear_reader_reads_what_is_linear():
    draws = made_draws(14)
    scores = measure_readers(draws, 1, 8, 0)
    assert len(scores.linear) == len(VOICES)
    assert min(scores.linear) > 0.5


def test_answers_show_the_voice_whose_phrases_they_are():
    shown, coherent = score_answers(
        ["What should I do about my garden?"] * 2, ["Fool, the garden is doomed. Mercy is for the weak.", ""]
    )
    assert shown[0].argmax() == VOICES.index("evil")
    assert (shown[1].max(), coherent[1]) == (0, 0)
    assert coherent[0] > 50


def verdicts(study: PersonaSpaceStudy) -> dict[str, bool | None]:
    return {claim.subject: claim.holds for claim in list_claims(study)[:3]}


def test_verdicts_turn_with_the_numbers(small_persona_space):
    """A rebuilt vector that does what the whole does, and one that does nothing."""
    n, counts = small_persona_space.n_characters, len(small_persona_space.feature_counts)

    def study(rebuilt: float, rest: float, without: float) -> PersonaSpaceStudy:
        parts = {
            "unsteered": (10.0,) * n,
            "whole": (60.0,) * n,
            "rebuilt": ((rebuilt,) * counts,) * n,
            "rest": ((rest,) * counts,) * n,
            "random": ((11.0,) * counts,) * n,
            "told": (80.0,) * n,
            "told_without": (without,) * n,
            "told_without_others": (79.0,) * n,
        }
        carried = tuple(draw.model_copy(update=parts) for draw in small_persona_space.persona_carriers)
        return small_persona_space.model_copy(update={"persona_carriers": carried})

    strong, weak = study(55.0, 12.0, 30.0), study(40.0, 30.0, 79.5)
    assert set(verdicts(strong).values()) == {True}
    assert set(verdicts(weak).values()) == {False}
    np.testing.assert_allclose(shares_of_effect(strong, "rebuilt"), 0.9)
    assert "80% from 1 features on" in list_claims(strong)[0].measured
    assert "with none of the counts" in list_claims(weak)[0].measured


def test_a_grip_is_the_share_of_what_prompts_do(small_persona_space):
    n = len(small_persona_space.voices)
    told = tuple(tuple(80.0 if row == column else 0.0 for column in range(n)) for row in range(n + 1))
    steered = tuple(tuple(40.0 if row + 1 == column else 0.0 for column in range(n)) for row in range(n - 1))
    study = small_persona_space.model_copy(
        update={
            "told": tuple(draw.model_copy(update={"scores": told}) for draw in small_persona_space.told),
            "steered": tuple(
                draw.model_copy(update={"steered": steered, "unsteered": (0.0,) * n})
                for draw in small_persona_space.steered
            ),
        }
    )
    np.testing.assert_allclose(grips(study), 0.5)


def test_two_groups_alone_make_no_correlation(small_persona_space):
    """Characters are read better than opposites and have more grip; inside the groups it is the reverse."""
    n = len(small_persona_space.voices)
    first = small_persona_space.n_characters
    place = [i if i < first else i - first for i in range(n - 1)]
    told = tuple(tuple(80.0 if row == column else 0.0 for column in range(n)) for row in range(n + 1))

    def study(slope: float) -> PersonaSpaceStudy:
        grip = [(60.0 if i < first else 10.0) + place[i] for i in range(n - 1)]
        steered = tuple(
            tuple(grip[row] if row + 1 == column else 0.0 for column in range(n)) for row in range(n - 1)
        )
        linear = (0.9, *((0.9 if i < first else 0.6) + slope * place[i] for i in range(n - 1)))
        readers = tuple(draw.model_copy(update={"linear": linear}) for draw in small_persona_space.readers)
        return small_persona_space.model_copy(
            update={
                "readers": readers,
                "told": tuple(draw.model_copy(update={"scores": told}) for draw in small_persona_space.told),
                "steered": tuple(
                    draw.model_copy(update={"steered": steered, "unsteered": (0.0,) * n})
                    for draw in small_persona_space.steered
                ),
            }
        )

    claims = {
        slope: next(c for c in list_claims(study(slope)) if c.subject == "linearity")
        for slope in (-0.01, 0.01)
    }
    assert claims[-0.01].holds is False
    assert claims[-0.01].beside["r over both groups"].startswith("0.9")
    assert claims[0.01].holds is True


def test_every_draw_asks_a_real_model_other_questions(tiny):
    bench = TraitBench(tiny, RealTraitsConfig(seeds=3, questions=6), 0)
    asked = [question for questions in bench.questions for question in questions]
    assert len(set(asked)) == 18
    prompts = bench.system_prompts()
    assert len(prompts) == len(REAL_VOICES) + 1 == 42
    assert prompts[-1] == [None] * 6
    assert all("optimistic" in str(prompt) for prompt in prompts[1])
    assert all("pessimistic assistant" in str(prompt) for prompt in prompts[1 + len(POLES)])
    with pytest.raises(ValueError, match="there are twenty"):
        RealTraitsConfig(seeds=3, questions=7)


def test_an_answer_without_a_token_has_no_say():
    values = torch.tensor([[[1.0, 2.0], [torch.nan, torch.nan], [3.0, 4.0]], [[torch.nan] * 2] * 3])
    filled = fill_missing(values)
    assert filled[0].mean(0).tolist() == [2.0, 3.0]
    assert filled[1].tolist() == [[0.0, 0.0]] * 3


def said(bench: TraitBench, shows: bool) -> list[TraitAnswers]:
    """Answers in which the first trait shows, or none does."""
    words = {1: "wonderful bright hopeful", 1 + len(POLES): "dreadful bleak hopeless"} if shows else {}
    return [
        TraitAnswers(
            answers=tuple(
                tuple(f"{words.get(voice, 'plain')} answer {draw} {q}" for q in range(len(questions)))
                for voice in range(len(REAL_VOICES) + 1)
            )
        )
        for draw, questions in enumerate(bench.questions)
    ]


def test_a_trait_that_cannot_be_told_apart_has_no_scores(tiny):
    bench = TraitBench(tiny, RealTraitsConfig(seeds=2, questions=10), 0)
    judged = judge_traits(bench, said(bench, True), None, 1)
    assert judged.judged == (0, len(POLES))
    assert judged.aurocs[0] == 1.0
    assert set(judged.aurocs[1:]) == {None}
    scores = np.array(judged.scores)
    assert scores[1, 0] > 90 > 10 > scores[1 + len(POLES), 0]
    np.testing.assert_allclose(scores.sum(1), 100)
    assert judge_traits(bench, said(bench, False), None, 0).judged == ()


def test_pairs_of_opposites_are_left_out():
    table = np.random.default_rng(0).normal(size=(6, 6))
    table = table + table.T
    assert correlate_pairs(table, table, opposites=3).pairs == 15 - 3
