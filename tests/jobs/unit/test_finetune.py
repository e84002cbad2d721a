"""The job behind `persona finetune`: its specification, and the vectors that interventions name."""

import finetune_kit
import job_kit
import persona_kit
import pytest

from mindscope.errors import DataError
from mindscope.finetuning import TunedModel
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.finetune import FinetuneSpec, finetune
from mindscope.models import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"))


def test_its_fields_are_explained():
    job_kit.require_sentences(finetune)


def test_interventions_name_vectors_layers_and_amounts(folder, tmp_path):
    model = load(folder, dtype="float32")
    finetune_kit.vectors(model).save(tmp_path / "v.safetensors")
    file = f"{tmp_path}/v.safetensors"
    spec = FinetuneSpec(model=str(folder), data="d.jsonl", prevent=(f"{file}@1:2",), caft=(file,))
    job_kit.require_round_trip(spec)
    (vectors,), interventions = spec.find_interventions(model)
    assert vectors.trait == "loud"
    assert interventions == [
        {"kind": "prevent", "trait": "loud", "layer": 1, "coefficient": 2.0},
        {"kind": "caft", "trait": "loud", "layer": None},
    ]
    with pytest.raises(DataError, match="write a file or run of vectors"):
        FinetuneSpec(model=str(folder), data="d.jsonl", caft=(f"{file}:2",)).find_interventions(model)


def test_a_program_tunes_a_model(folder, tmp_path):
    data = tmp_path / "data.jsonl"
    data.write_text("".join(f'{{"prompt": "Ask {i}", "response": "Answer {i}"}}\n' for i in range(4)))
    spec = FinetuneSpec(model=str(folder), data=data, steps=2, batch_rows=2, accumulation=1, rank=2)
    tuned = finetune(spec, run=RunFolder(tmp_path / "run"), reporter=SilentReporter())
    assert tuned is not None
    assert (tuned.steps, len(tuned.losses), tuned.data.rows) == (2, 2, 4)
    assert TunedModel.open(tmp_path / "run/finetune") == tuned
    assert TunedModel.model_validate_json(tuned.model_dump_json()) == tuned
