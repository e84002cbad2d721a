"""The callback's shifts against plain passes of the checkpoints, and that it leaves a training alone."""

from pathlib import Path

import finetune_kit
import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from mindscope.errors import DataError
from mindscope.finetuning import ShiftLog, follow_shift
from mindscope.models import load

PROMPTS = [f"What of the number {i}?" for i in range(8)]
LAYER = 1


@pytest.fixture
def tuned(tiny, tmp_path):
    """Makes a trainer of a fresh copy of the tiny model."""

    def build(folder: str, kind: str = "full", **options) -> Trainer:
        model = load(tiny.name, dtype="float32")
        texts = [f"Ask {i}. Answer number {i}!" for i in range(16)]
        settings = {
            "output_dir": str(tmp_path / folder),
            "per_device_train_batch_size": 4,
            "max_steps": 4,
            "learning_rate": 1e-2,
            "save_steps": 2,
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            "seed": 0,
            "logging_steps": 1,
            **options,
        }
        if kind == "adapter":
            return SFTTrainer(
                model=model.hf,
                args=SFTConfig(**settings, dataset_num_proc=None, max_length=32),
                train_dataset=Dataset.from_dict({"text": texts}),
                processing_class=model.tokenizer,
                peft_config=LoraConfig(r=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"),
            )
        ids = [model.tokenizer(text)["input_ids"][:20] for text in texts]
        rows = [
            {"input_ids": row + [0] * (20 - len(row)), "labels": row + [-100] * (20 - len(row))}
            for row in ids
        ]
        return Trainer(
            model=model.hf, args=TrainingArguments(**settings), train_dataset=Dataset.from_list(rows)
        )

    return build


def last_prompt_mean(folder: Path | str, tiny) -> torch.Tensor:
    """The mean activation of the last prompt tokens, by transformers alone."""
    hf = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    rows = [tiny.chat([{"role": "user", "content": prompt}]) for prompt in PROMPTS]
    with torch.no_grad():
        states = [
            hf(torch.tensor([row.ids]), output_hidden_states=True).hidden_states[LAYER + 1][0, -1]
            for row in rows
        ]
    return torch.stack(states).double().mean(0)


def test_a_shift_is_that_of_the_checkpoint(tiny, tuned, tmp_path):
    vectors = finetune_kit.vectors(tiny)
    trainer = tuned("run")
    callback = follow_shift(trainer, tiny.tokenizer, [vectors], PROMPTS, layers={"loud": LAYER})
    trainer.train()
    assert [record.step for record in callback.log.records] == [2, 4]
    vector = vectors.direction(LAYER).vector.double()
    base = last_prompt_mean(tiny.name, tiny)
    for record in callback.log.records:
        moved = last_prompt_mean(tmp_path / "run" / f"checkpoint-{record.step}", tiny) - base
        assert record.shift == pytest.approx(float(moved @ vector / vector.norm()), abs=1e-4)
        assert record.share == pytest.approx(record.shift / float(vector.norm()))
        assert record.low <= record.shift <= record.high
    assert abs(callback.log.records[-1].shift) > 0.01
    assert ShiftLog.load(tmp_path / "run" / "shift.json") == callback.log
    logged = [entry["shift/loud"] for entry in trainer.state.log_history if "shift/loud" in entry]
    assert logged == [record.share for record in callback.log.records]


def test_a_training_ends_as_it_would_without(tiny, tuned):
    def train(folder: str, follow: bool) -> dict[str, torch.Tensor]:
        trainer = tuned(folder)
        if follow:
            follow_shift(trainer, tiny.tokenizer, [finetune_kit.vectors(tiny)], PROMPTS, every=1)
        trainer.train()
        return {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}

    followed, alone = train("a", follow=True), train("b", follow=False)
    assert all(torch.equal(followed[name], alone[name]) for name in alone)


def test_an_adapters_shift_is_from_its_base(tiny, tuned, tmp_path):
    trainer = tuned("run", "adapter")
    callback = follow_shift(
        trainer, tiny.tokenizer, [finetune_kit.vectors(tiny)], PROMPTS, layers={"loud": LAYER}, every=1
    )
    trainer.train()
    assert [record.step for record in callback.log.records] == [1, 2, 3, 4]
    vector = finetune_kit.vectors(tiny).direction(LAYER).vector.double()
    merged = load(tmp_path / "run" / "checkpoint-4", dtype="float32")
    merged.hf.save_pretrained(tmp_path / "merged")
    moved = last_prompt_mean(tmp_path / "merged", tiny) - last_prompt_mean(tiny.name, tiny)
    assert callback.log.records[-1].shift == pytest.approx(float(moved @ vector / vector.norm()), abs=1e-4)


def test_a_training_that_goes_too_far_is_stopped(tiny, tuned):
    vectors = finetune_kit.vectors(tiny)
    free = follow_shift(tuned("free"), tiny.tokenizer, [vectors], PROMPTS, every=1)
    free._trainer.train()
    last = free.log.records[-1]
    sign = 1.0 if last.share > 0 else -1.0
    towards = finetune_kit.vectors(tiny)
    turned = type(towards)(
        "loud", towards.fingerprint, {"answer_mean": sign * towards.answer_mean}, towards.layers
    )
    trainer = tuned("stopped", max_steps=50)
    callback = follow_shift(
        trainer, tiny.tokenizer, [turned], PROMPTS, limits={"loud": abs(last.share) / 4}, every=1
    )
    trainer.train()
    assert trainer.state.global_step < 50
    assert callback.log.stopped is not None
    assert f"after {callback.log.records[-1].step} steps, over its limit" in callback.log.stopped
    norm = float(vectors.direction(callback.log.records[-1].layer).vector.norm())
    assert callback.log.records[-1].low / norm > abs(last.share) / 4
    assert all(record.low / norm <= abs(last.share) / 4 for record in callback.log.records[:-1])


def test_an_interrupted_training_goes_on_with_its_log(tiny, tuned, tmp_path):
    vectors = finetune_kit.vectors(tiny)
    whole = follow_shift(tuned("whole"), tiny.tokenizer, [vectors], PROMPTS)
    whole._trainer.train()
    first = follow_shift(tuned("parts", max_steps=4), tiny.tokenizer, [vectors], PROMPTS)
    first._trainer.train()
    again = follow_shift(tuned("parts", max_steps=4), tiny.tokenizer, [vectors], PROMPTS)
    again._trainer.train(resume_from_checkpoint=str(tmp_path / "parts" / "checkpoint-2"))
    assert again.log == whole.log
    (tmp_path / "parts" / "shift.json").unlink()
    lost = follow_shift(tuned("parts", max_steps=4), tiny.tokenizer, [vectors], PROMPTS)
    with pytest.raises(DataError, match="says where the model began"):
        lost._trainer.train(resume_from_checkpoint=str(tmp_path / "parts" / "checkpoint-2"))


def test_what_does_not_fit_is_refused_before_the_first_step(tiny, tuned):
    vectors, trainer = finetune_kit.vectors(tiny), tuned("run")

    def follow(*arguments, **options):
        return follow_shift(trainer, tiny.tokenizer, *arguments, **options)

    with pytest.raises(DataError, match="8 prompts at least, not 3"):
        follow([vectors], PROMPTS[:3])
    with pytest.raises(DataError, match="a limit for 'evil', and no vectors"):
        follow([vectors], PROMPTS, limits={"evil": 1.0})
    with pytest.raises(DataError, match="there is no layer 7"):
        follow([vectors], PROMPTS, layers={"loud": 7})
    with pytest.raises(DataError, match="same trait"):
        follow([vectors, vectors], PROMPTS)
    other = type(vectors)("loud", "f" * 64, dict(vectors.matrices), vectors.layers)
    follow([other], PROMPTS)
    with pytest.raises(DataError, match="of another model"):
        trainer.train()
    assert trainer.state.global_step == 0
