"""Sentence vectors against one text at a time, and the folder's own say."""

import json
import shutil

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from mindscope.errors import JudgeError
from mindscope.judges.contrast import SentenceEncoder


@pytest.fixture
def folder(tmp_path):
    words = ["[PAD]", "[UNK]", *["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "far", "away"]]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        tmp_path
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    BertModel(config).save_pretrained(tmp_path)
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 6}))
    return tmp_path


def test_vectors_are_normalised_means_over_real_tokens(folder):
    encoder = SentenceEncoder(str(folder))
    texts = ["the cat", "a dog ran far away", "the cat sat on a mat and a dog ran", "mat"]
    vectors = encoder.encode(texts)
    bert = BertModel.from_pretrained(folder).eval()
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    for text, vector in zip(texts, vectors, strict=True):
        ids = [vocabulary[word] for word in text.split()][:6]  # what the folder says is the most
        with torch.inference_mode():
            mean = bert(torch.tensor([ids])).last_hidden_state[0].mean(0)
        torch.testing.assert_close(vector, mean / mean.norm(), atol=1e-5, rtol=1e-5)


def test_encoders_of_the_same_name_are_told_apart(folder, tmp_path):
    other = tmp_path / "elsewhere" / folder.name
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("elsewhere"))
    assert SentenceEncoder(str(other)).name == SentenceEncoder(str(folder)).name
    torch.manual_seed(1)
    BertModel(BertConfig.from_pretrained(other)).save_pretrained(other)
    assert SentenceEncoder(str(other)).name != SentenceEncoder(str(folder)).name


def test_another_pooling_is_refused(folder):
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": False}))
    with pytest.raises(JudgeError, match="does not pool by the mean"):
        SentenceEncoder(str(folder))


def test_a_folder_without_a_model_is_one_line(tmp_path):
    with pytest.raises(JudgeError, match="cannot load the sentence encoder") as caught:
        SentenceEncoder(str(tmp_path))
    assert "\n" not in str(caught.value)
