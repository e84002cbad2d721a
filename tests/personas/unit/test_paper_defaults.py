"""The defaults are the paper's: Chen et al. 2025, arXiv 2507.21509, section 2 and appendix A."""

from mindscope.judges.reading import MIN_MASS
from mindscope.personas import ExtractConfig


def test_rollouts_and_filter_are_the_papers():
    config = ExtractConfig()
    assert (config.samples, config.max_new_tokens, config.top_p) == (10, 1000, 1.0)
    assert config.sampling().temperature == 1.0
    assert ExtractConfig(samples=1).sampling().temperature == 0.0
    assert (config.threshold, config.coherence) == (50.0, 50.0)
    assert config.questions is None  # all of them


def test_a_judge_scores_from_a_quarter_of_the_probability_on():
    assert MIN_MASS == 0.25
