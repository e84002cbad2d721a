"""Sentences as vectors, by an encoder in the folder form of sentence-transformers."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import parse_json
from mindscope.errors import JudgeError

_ROWS = 64


class SentenceEncoder:
    """Mean-pooled, normalised hidden states of a BERT-like model (Reimers & Gurevych 2019, arXiv 1908.10084).

    Attributes:
        name: what its folder is called, with a digest of its weights.

    Args:
        folder: of a model such as all-MiniLM-L6-v2, or its name on the Hugging Face hub.

    Raises:
        JudgeError: it cannot be loaded, or pools in another way.
    """

    def __init__(self, folder: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        _require_mean_pooling(folder)
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
            self._model: Any = AutoModel.from_pretrained(
                folder, dtype=torch.float32, trust_remote_code=False
            ).eval()
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise JudgeError(
                f"cannot load the sentence encoder {folder}: {reason}; give a folder of "
                "sentence-transformers or use --judge contrast, which needs none"
            ) from None
        known_as = Path(folder).name if Path(folder).exists() else folder
        self.name = f"{known_as} ({_digest(self._model)})"
        self._limit = _longest(folder, self._model.config)

    def encode(self, texts: Sequence[str]) -> Float[Tensor, "texts width"]:
        """One vector of length 1 for each text; what is beyond the encoder's limit is not read."""
        vectors: list[Tensor] = []
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        for start in range(0, len(order), _ROWS):
            batch = [texts[i] for i in order[start : start + _ROWS]]
            tokens = self._tokenizer(
                batch, padding=True, truncation=True, max_length=self._limit, return_tensors="pt"
            )
            with torch.inference_mode():
                hidden = self._model(**tokens).last_hidden_state
            mask = tokens["attention_mask"][..., None].float()
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            vectors.append(torch.nn.functional.normalize(mean, dim=-1))
        joined = torch.cat(vectors)
        back = torch.empty_like(joined)
        back[torch.tensor(order)] = joined
        return back


def _digest(model: Any) -> str:
    """A short name for the weights: folders of different encoders may have the same name."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode() + weight.flatten()[:64].numpy().tobytes())
    return digest.hexdigest()[:8]


def _require_mean_pooling(folder: str) -> None:
    """Refuse what the folder says is pooled in another way; a hub name says nothing here and is taken."""
    path = Path(folder) / "1_Pooling" / "config.json"
    if path.exists() and not parse_json(path.read_text("utf-8")).get("pooling_mode_mean_tokens", True):
        raise JudgeError(
            f"the sentence encoder {folder} does not pool by the mean, which is all that is read here"
        )


def _longest(folder: str, config: Any) -> int:
    path = Path(folder) / "sentence_bert_config.json"
    most = int(getattr(config, "max_position_embeddings", 512))
    return min(most, int(parse_json(path.read_text("utf-8"))["max_seq_length"])) if path.exists() else most
