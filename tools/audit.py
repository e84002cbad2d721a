"""Known weaknesses of the packages that constraints.txt pins, by the advisories for Python packages.

    python tools/audit.py [constraints.txt]

Ends with 1 where a package has an advisory that `ACCEPTED` does not explain. Where the advisory service
cannot be reached, or knows nothing of a package, that is said and is no failure: nothing was found wrong, and
nothing was shown to be right either.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 120
ACCEPTED: dict[str, str] = {}
"""Advisories that do not reach mindscope, by their id, with the reason."""


def main(constraints: Path) -> int:
    """Ask, say what came back, and hand back the exit code."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(constraints), "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        print(f"not audited: the advisory service did not answer within {SECONDS} s")
        return 0
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        print(f"not audited: {reason}")
        return 0
    lines, failed = summarize(packages)
    print("\n".join(lines))
    return int(failed)


def summarize(packages: list[dict[str, Any]]) -> tuple[list[str], bool]:
    """What is to be said of pip-audit's answer, and whether it is a failure."""
    audited = [package for package in packages if "skip_reason" not in package]
    lines, failed = [], False
    for package in audited:
        for advisory in package["vulns"]:
            names = [advisory["id"], *advisory.get("aliases", ())]
            reason = next((ACCEPTED[name] for name in names if name in ACCEPTED), None)
            fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
            shown = f"{package['name']} {package['version']}: {names[0]}, mended in {fixed}"
            lines.append(shown if reason is None else f"{shown}; accepted: {reason}")
            failed |= reason is None
    lines.append(f"audited {len(audited)} of {len(packages)} packages")
    if not audited:
        lines.append(
            "the advisory service cannot be reached from here, or knows none of them: nothing is shown"
        )
    return lines, failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "constraints.txt"))
