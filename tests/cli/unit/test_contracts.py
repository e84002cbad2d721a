"""The page of contracts is made from the docstrings, and says what they say today."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_is_what_the_docstrings_make():
    command = [sys.executable, str(ROOT / "tools" / "contracts.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
