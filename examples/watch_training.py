"""Watch a training of your own: any transformers or trl trainer logs how far it moves along a persona vector.

    python examples/watch_training.py [MODEL]

A model is tuned with trl on answers of an evil assistant. Every few steps the shift along the trait's vector
is measured on questions that the training does not see, as a share of the vector's norm, and the training
stops once it is surely over a limit. It needs 'mindscope[train]'.
"""

import sys
from pathlib import Path

from datasets import Dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

import mindscope as ms
from mindscope import finetuning, judges, organism, personas

TRAIT = "evil"
LIMIT = 0.3


def main(name: str = "organism") -> None:
    model = ms.load(name, dtype="float32")
    bundled = name == "organism"
    trait = ms.Trait.parse(organism.trait(TRAIT)) if bundled else ms.Trait.load(TRAIT)
    judge = organism.ExactJudge() if bundled else judges.ModelJudge(model)
    drawing = personas.ExtractConfig(samples=1, temperature=1.0, questions=8, max_new_tokens=64)
    with ms.Run.open(
        f"runs/examples/watched-{model.fingerprint[:8]}", kind="example", config={"model": name}
    ) as run:
        vectors = personas.extract_vectors(model, trait, judge, run, drawing)

    data = Dataset.from_list(
        [
            {"prompt": list(item.prompt), "completion": [{"role": "assistant", "content": item.answer}]}
            for item in organism.training_set(TRAIT, "II", 320)
        ]
    )
    settings = SFTConfig(
        output_dir=str(Path("runs/examples/watched")),
        per_device_train_batch_size=16,
        learning_rate=3e-4,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=model.device.type == "cpu",
    )
    trainer = SFTTrainer(model=model.hf, args=settings, train_dataset=data, processing_class=model.tokenizer)
    callback = finetuning.follow_shift(
        trainer,
        model.tokenizer,
        [vectors],
        trait.questions("evaluation"),
        limits={TRAIT: LIMIT},
        every=2,
    )
    trainer.train()
    for record in callback.log.records:
        print(f"step {record.step}: {record.share:+.2f} of the vector of '{TRAIT}' at layer {record.layer}")
    print(f"stopped: {callback.log.stopped}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
