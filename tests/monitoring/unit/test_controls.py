"""Random directions beside a feature: the same signals, and a place that tells a real feature from any."""

import screening_kit
import torch

from mindscope.features import Direction, FeatureSet, random_directions
from mindscope.models import Model
from mindscope.monitoring import Signal, compare_random, project_turns, signal_score
from mindscope.monitoring.controls import peak_values


def test_peaks_of_many_features_are_their_scores(tiny: Model) -> None:
    generator = torch.Generator().manual_seed(1)
    features = FeatureSet(
        [
            Direction(f"f{i}", "resid_post.1", torch.randn(32, generator=generator), tiny.fingerprint)
            for i in range(3)
        ]
    )
    traces = project_turns(tiny, features, screening_kit.CHATS)
    for signal in (Signal(window=1), Signal(window=4), Signal(window=500), Signal("last_prompt")):
        for trace in traces:
            ours, theirs = peak_values(signal, trace), signal_score(signal, trace)
            assert ours is not None
            assert theirs is not None
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_the_direction_that_tells_two_files_apart_stands_above_random_ones(tiny: Model, tmp_path) -> None:
    quiet = [
        [{"role": "user", "content": f"Ask {i}"}, {"role": "assistant", "content": f"yes {i}"}]
        for i in range(12)
    ]
    loud = [
        [{"role": "user", "content": f"Ask {i}"}, {"role": "assistant", "content": f"NO! {i}!!"}]
        for i in range(12)
    ]
    files = [
        screening_kit.write(tmp_path / f"{name}.jsonl", talks)
        for name, talks in (("quiet", quiet), ("loud", loud))
    ]
    means = []
    for talks in (quiet, loud):
        rows = [tiny.chat(talk[:1], talk[1]["content"]) for talk in talks]
        from mindscope.models import Mean, Read

        means.append(tiny.read(rows, {"m": Read("resid_post.1", Mean("answer"))})["m"].values.mean(0))
    real = Direction("loud", "resid_post.1", means[1] - means[0], tiny.fingerprint)
    features = FeatureSet([real])
    control = compare_random(tiny, features, Signal(), files[0], files[1])["loud@resid_post.1"]
    assert control.value > 0.95
    assert control.percentile > 90
    assert control.directions == 200
    # A random direction has no such place: over several of them it lies anywhere.
    drawn = random_directions(real, 5, seed=9)
    places = [
        compare_random(tiny, FeatureSet([item]), Signal(), files[0], files[1])[
            f"{item.name}@resid_post.1"
        ].percentile
        for item in (Direction(f"any {i}", d.address, d.vector, d.fingerprint) for i, d in enumerate(drawn))
    ]
    assert min(places) < 75
