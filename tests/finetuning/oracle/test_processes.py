"""A training shared by two processes ends where one process ends."""

import subprocess
import sys
from pathlib import Path

import finetune_kit
import torch
from finetune_kit import DATA, tune, vectors
from safetensors.torch import load_file

from mindscope.finetuning.config import FinetuneConfig, PreventativeSteering, ProjectionPenalty
from mindscope.models import Model
from mindscope.store import find_start

PROGRAM = """
import sys
from pathlib import Path
import torch
sys.path.insert(0, {support!r})
torch.set_num_threads(1)
import os, finetune_kit
from mindscope.models import load
from mindscope.finetuning import *
from mindscope.store import Run
from mindscope.finetuning import finetune as module
base, folder = sys.argv[1:]
built = module.build_examples
def build(data, model, **options):
    Path(f"{{folder}}-{{os.environ['RANK']}}").write_text(str(model.template.clock))
    return built(data, model, **options)
module.build_examples = build
config = FinetuneConfig.model_validate_json({config!r})
model = load(base, dtype="float32")
first = os.environ["RANK"] == "0"
run = Run.open(folder, kind="test", config={{}}) if first else Path(folder)
finetune_model(base, finetune_kit.DATA, run, config, vectors=[finetune_kit.vectors(model)])
"""


def test_two_processes_are_as_one(tiny: Model, tmp_path):
    config = FinetuneConfig(
        batch_rows=2,
        accumulation=2,
        learning_rate=1e-3,
        warmup_steps=0,
        checkpointing=True,
        interventions=(
            PreventativeSteering(trait="loud", coefficient=0.7),
            ProjectionPenalty(trait="loud", layer=0, weight=0.5),
        ),
    )
    script = tmp_path / "program.py"
    support = str(Path(finetune_kit.__file__).parent)
    script.write_text(PROGRAM.format(support=support, config=config.model_dump_json()))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, str(script), tiny.name, str(tmp_path / "two")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    # templates that write the date see the day on which the run began, in every process
    began = str(find_start(tmp_path / "two"))
    assert [(tmp_path / f"two-{rank}").read_text() for rank in range(2)] == [began, began]
    tuned = tune(tiny, tmp_path / "one", config, vectors=[vectors(tiny)])
    one, two = (
        load_file(path / "adapter_model.safetensors")
        for path in (tuned.path, tmp_path / "two/finetune/model")
    )
    assert len(DATA) / 4 == tuned.steps == 3
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=2e-5)
    assert any(one[name].abs().max() > 1e-4 for name in one if "lora_B" in name)
