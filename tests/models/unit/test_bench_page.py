"""The page of all benchmarks has every one of them, and says what became of each."""

import importlib.util
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[3] / "tools" / "bench.py"


def load_tool():
    spec = importlib.util.spec_from_file_location("bench_page", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_page"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_benchmark_has_a_short_setting():
    tool = load_tool()
    files = {file.stem for file in tool.FOLDER.glob("*.py")} - set(tool.HELPERS)
    assert files == set(tool.SETTINGS)


def test_a_benchmark_is_shown_with_its_command_and_one_that_fails_with_its_last_line(tmp_path, monkeypatch):
    tool = load_tool()
    monkeypatch.setattr(tool, "FOLDER", tmp_path)
    (tmp_path / "good.py").write_text("import sys; print('seconds', sys.argv[1])")
    (tmp_path / "bad.py").write_text("raise SystemExit('no such card')")
    part, failed = tool.run_benchmark("good", ["3"], 1.0)
    assert not failed
    assert "python benchmarks/good.py 3" in part
    assert "seconds 3" in part
    part, failed = tool.run_benchmark("bad", [], 1.0)
    assert failed
    assert "no such card" in part
