"""What `mindscope persona finetune` refuses with one line."""

import json

import finetune_kit
import persona_kit

from mindscope.models import load


def test_refused(refused, tmp_path):
    folder = persona_kit.tiny_chat_model(tmp_path / "tiny")
    data, file = tmp_path / "data.jsonl", tmp_path / "vectors.safetensors"
    lines = [{"prompt": f"Ask {i}", "response": f"Answer {i}" * (i != 3)} for i in range(6)]
    data.write_text("\n".join(map(json.dumps, lines)))
    finetune_kit.vectors(load(folder, dtype="float32")).save(file)
    run = ["persona", "finetune", folder, data, "--run", tmp_path / "run"]
    assert "data.jsonl, line 4: an answer is empty" in refused(*run)
    assert "is not one of 'refuse', 'skip'" in refused(*run, "--on-error", "ignore")
    assert "--method" in refused(*run, "--method", "qlora")
    assert "write a file or run of vectors" in refused(*run, "--caft", f"{file}:2")
    assert "no such file" in refused(*run, "--prevent", tmp_path / "nothing.safetensors")
    data.write_text(json.dumps(lines[0]))
    run[-1] = tmp_path / "other"
    assert "there is no layer 9" in refused(*run, "--caft", f"{file}@9")
