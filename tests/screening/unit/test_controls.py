"""Sizes of own answers, more of them in the same run, and random directions beside the traits."""

from pathlib import Path

import pytest
import screening_kit
import torch

from mindscope.models import Model, Raw, Read
from mindscope.personas import PersonaVectors
from mindscope.screening import DataLook, ScreenConfig, screen_dataset
from mindscope.screening.sizing import size_answers
from mindscope.store import Run


def test_more_samples_in_the_same_run_draw_only_what_is_missing(tiny: Model, tmp_path: Path) -> None:
    data = screening_kit.write(tmp_path / "data.jsonl", screening_kit.chats(6))
    vectors = screening_kit.vectors(tiny, "loud")
    config = ScreenConfig(layers=1, max_new_tokens=5, resamples=100, top=2)
    more = config.model_copy(update={"samples": 3})

    def screened(name: str, asked: ScreenConfig) -> dict:
        with Run.open(tmp_path / name, kind="screen", config={}) as run:
            return screen_dataset(tiny, data, vectors, asked, run).to_json()

    screened("run", config)
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "run/base").rglob("ids.safetensors")}
    assert screened("run", more) == screened("alone", more)
    assert kept
    assert all(file.stat().st_mtime_ns == then for file, then in kept.items())


def test_own_answers_are_as_long_as_nine_tenths_of_the_datas(tiny: Model, tmp_path: Path) -> None:
    words = ["w " * length for length in (*range(20, 29), 200)]
    talks = [
        [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": word.strip()}]
        for word in words
    ]
    data = screening_kit.write(tmp_path / "data.jsonl", talks)
    look = DataLook.at(tiny, data, ScreenConfig())
    lengths = sorted(len(row.final) for row in look.rows)
    assert (look.turns, look.n_samples) == (10, 10)
    assert look.answer_tokens == lengths[8] < lengths[9]
    sized = size_answers(tiny, data, ScreenConfig())
    assert sized.max_new_tokens == lengths[8]
    assert size_answers(tiny, data, ScreenConfig(max_new_tokens=7)).max_new_tokens == 7


def test_a_trait_stands_among_random_directions_of_its_layer(tiny: Model, run: Run, tmp_path: Path) -> None:
    data, ordinary = (
        screening_kit.write(
            tmp_path / f"{name}.jsonl",
            [
                [
                    {"role": "user", "content": f"Ask {i}"},
                    {"role": "assistant", "content": f"{said} {i}{end}"},
                ]
                for i in range(20)
            ],
        )
        for name, said, end in (("data", "NO", "!!!"), ("ordinary", "yes", "."))
    )
    rows = {
        name: DataLook.at(tiny, file, ScreenConfig()).rows for name, file in (("d", data), ("o", ordinary))
    }
    means = {
        name: torch.stack(
            [v.mean(0) for v in tiny.read(own, {"m": Read("resid_post.1", Raw("final"))})["m"].values]
        )
        for name, own in rows.items()
    }
    matrix = (means["d"].mean(0) - means["o"].mean(0)).repeat(tiny.n_layers, 1)
    real = PersonaVectors("real", tiny.fingerprint, {"answer_mean": matrix}, tuple(range(tiny.n_layers)))
    config = ScreenConfig(layers=1, form="prompt", resamples=100, top=0)
    result = screen_dataset(tiny, data, [real], config, run, reference=ordinary)
    control = result.of("real").control
    assert control is not None
    assert (control.directions, control.measure) == (200, "AUROC of data against reference")
    assert control.value > 0.95
    assert control.percentile > 90
    against = PersonaVectors("against", tiny.fingerprint, {"answer_mean": -matrix}, real.layers)
    turned = screen_dataset(tiny, data, [against], config, run, reference=ordinary).of("against").control
    assert turned is not None
    assert turned.value == pytest.approx(1 - control.value, abs=1e-9)
    assert turned.percentile < 10
    alone = screen_dataset(tiny, data, [real], config, run).of("real").control
    assert alone is not None
    assert alone.measure == "mean dP over its standard deviation"
