"""Models that think are watched where they speak: the reasoning before a final answer raises no alarm."""

import pytest
import torch
from template_kit import Script, speaker

from mindscope.errors import DataError
from mindscope.features import Direction
from mindscope.models import Model, Sampling
from mindscope.monitoring import Calibration, Monitor, Policy, Signal, calibrate, project_turns
from mindscope.monitoring.config import MonitorConfig
from mindscope.monitoring.files import calibrate_on, monitor_file
from mindscope.store import Run

ASK = [{"role": "user", "content": "Hm?"}]
SAID = "<think>\nI could be mean\n</think>\n\nHello, you."


def feature(model: Model) -> Direction:
    torch.manual_seed(1)
    return Direction("odd", "resid_post.0", torch.randn(model.d_model), model.fingerprint)


@pytest.mark.parametrize("said", [SAID, "Hello, you.", "\nHello, you."])
def test_live_and_recorded_readings_are_the_same(said):
    model = speaker("qwen3")
    direction = feature(model)
    row = model.chat(ASK)
    length = len(model.tokenizer.encode(said, add_special_tokens=False))
    with Script(model, row, [said]):
        (live,) = Monitor([direction]).generate(model, [row], Sampling(temperature=0, max_new_tokens=length))
    generation = live.generation
    assert generation is not None
    assert generation.text.strip() == "Hello, you."
    turn = live.trace.turns[0]
    with torch.inference_mode():
        hidden = model.hf(torch.tensor([generation.row.ids]), output_hidden_states=True).hidden_states[1][0]
    values = hidden @ direction.unit
    assert torch.allclose(turn.tokens[:, 0], values[-len(generation.row.final) :], atol=1e-5)
    assert torch.allclose(turn.last_prompt[0], values[len(row) - 1], atol=1e-5)
    if said == SAID:
        (recorded,) = project_turns(model, [direction], [[*ASK, {"role": "assistant", "content": said}]])
        assert torch.allclose(recorded.turns[0].tokens, turn.tokens, atol=1e-5)
        assert torch.allclose(recorded.turns[0].last_prompt, turn.last_prompt, atol=1e-5)


def test_a_stop_acts_on_the_final_answer_and_not_on_a_thought():
    model = speaker("qwen3")
    direction = feature(model)
    row = model.chat(ASK)
    length = len(model.tokenizer.encode(SAID, add_special_tokens=False))
    scores = torch.full((200, 1), -1e6, dtype=torch.float64)  # every value is an alarm
    known = Monitor([direction]).features
    names = (known.keys, known.digest(), known.fingerprint)
    calibration = Calibration(*names, Signal(window=3), 0.01, "each", scores)
    with Script(model, row, [SAID]):
        (live,) = Monitor([direction], calibration, Policy("stop")).generate(
            model, [row], Sampling(temperature=0, max_new_tokens=length)
        )
    assert live.generation is not None
    assert live.generation.finish == "halted"
    assert live.generation.text == "Hel"  # at the third token of the final answer
    assert live.generation.reasoning == "I could be mean"


def test_thresholds_belong_to_a_way_of_rendering(tmp_path):
    model = speaker("qwen3")
    quick = model.with_template(enable_thinking=False)
    direction = feature(model)
    talks = [[*ASK, {"role": "assistant", "content": f"Well, {i}."}] for i in range(120)]
    path = tmp_path / "plain.jsonl"
    import json

    path.write_text("".join(json.dumps({"messages": talk}) + "\n" for talk in talks))
    with Run.open(tmp_path / "run", kind="monitor", config={}) as run:
        calibration = calibrate_on(quick, [direction], path, run, 0.01)
        calibration.save(tmp_path / "thresholds.safetensors")
        loaded = Calibration.load(tmp_path / "thresholds.safetensors", [direction])
        assert loaded.template == calibration.template
        monitor = Monitor([direction], loaded)
        with pytest.raises(DataError, match="give --template-option enable_thinking=false") as caught:
            monitor_file(model, monitor, path, run, MonitorConfig())
        assert "\n" not in str(caught.value)
        with pytest.raises(DataError, match="thresholds were made with prompts rendered with"):
            monitor.generate(model, [model.chat(ASK)], Sampling(max_new_tokens=2))
        assert monitor_file(quick, monitor, path, run, MonitorConfig()).conversations == 120
    # Made in memory from traces, they are of no rendering in particular.
    assert calibrate([direction], project_turns(model, [direction], talks)).template is None
