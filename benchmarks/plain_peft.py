"""Fine-tuning without us: the shortest loop with peft on the same tokens in the same batches."""

from collections.abc import Sequence
from typing import Any

import torch
from peft import get_peft_model

from mindscope.finetuning.config import FinetuneConfig
from mindscope.finetuning.finetune import lora_config
from mindscope.models import Model


def plain_adapter(model: Model, config: FinetuneConfig) -> Any:
    """An adapter of the same rank on the same matrices."""
    return get_peft_model(model.hf, lora_config(model, config))


def train_plainly(hf: Any, rows: Sequence[dict[str, list[int]]], config: FinetuneConfig) -> None:
    """One forward pass, one backward pass and one AdamW step a batch."""
    trained = [weight for weight in hf.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate)
    for start in range(0, len(rows), config.batch_rows):
        batch = rows[start : start + config.batch_rows]
        longest = max(len(row["input_ids"]) for row in batch)
        ids, labels = (
            torch.tensor([row[key] + [fill] * (longest - len(row[key])) for row in batch])
            for key, fill in (("input_ids", 0), ("labels", -100))
        )
        lengths = torch.tensor([len(row["input_ids"]) for row in batch])
        mask = (torch.arange(longest) < lengths[:, None]).long()
        hf(input_ids=ids, labels=labels, attention_mask=mask).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
