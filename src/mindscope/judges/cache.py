"""What a judge has said already, on disk, so that a run that was killed does not ask (and pay) again."""

import hashlib
import json
from pathlib import Path
from typing import Any

from mindscope.core import parse_json
from mindscope.errors import JudgeError
from mindscope.judges.protocol import JudgeScore


class ScoreCache:
    """Scores by key in a file of JSON lines that only grows; a last line torn by a kill is ignored.

    Args:
        path: the file, made at the first `put`; None keeps the scores in memory only.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._scores: dict[str, JudgeScore] = {}
        self._torn = False
        if self.path is not None and self.path.exists():
            self._read(self.path)

    @staticmethod
    def key(*parts: Any) -> str:
        """The sha256 of what determines an answer: the judge model, the prompt, how it was asked."""
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def get(self, key: str) -> JudgeScore | None:
        return self._scores.get(key)

    def put(self, key: str, score: JudgeScore) -> None:
        self._scores[key] = score
        if self.path is None:
            return
        line = json.dumps({"key": key} | score.to_json()) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            # A torn line must not swallow the next one.
            file.write("\n" + line if self._torn else line)
        self._torn = False

    def _read(self, path: Path) -> None:
        text = path.read_text("utf-8", errors="replace")
        for line in text.splitlines():
            try:
                record = parse_json(line)
                self._scores[record["key"]] = JudgeScore.from_json(record)
            except (ValueError, TypeError, KeyError, JudgeError):
                continue
        if text.count("\n") and not self._scores:
            raise JudgeError(f"{path} is not a judge's cache: choose another file, or delete this one")
        self._torn = bool(text) and not text.endswith("\n")
