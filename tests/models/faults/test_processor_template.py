"""A chat template that lies in the processor's file, and files that hold none."""

import json

import persona_kit
import pytest

from mindscope.errors import ModelError
from mindscope.models import load


@pytest.fixture
def bare(tmp_path):
    """A model's folder whose tokenizer has no template."""
    folder = persona_kit.tiny_chat_model(tmp_path / "model")
    for file in folder.glob("*.jinja"):
        file.unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def test_the_template_of_the_processor_is_the_tokenizers(bare):
    assert load(bare, dtype="float32").tokenizer.chat_template is None
    (bare / "chat_template.json").write_text(json.dumps({"chat_template": persona_kit.TEMPLATE}))
    model = load(bare, dtype="float32")
    assert model.decode(model.chat([{"role": "user", "content": "hi"}]).ids) == "user\nhi\nassistant\n"


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_file_without_a_template_is_named(bare, text):
    (bare / "chat_template.json").write_text(text)
    with pytest.raises(ModelError, match=r"chat_template\.json holds no chat_template") as caught:
        load(bare, dtype="float32")
    assert "\n" not in str(caught.value)
