"""Compares the versions of constraints.txt with published advisories, by pip-audit.

    python tools/audit.py [constraints.txt]

It is installed into an environment of its own. Exit code 1 if an advisory names one of the versions. Without
a connection, or where the package index that pip uses knows no advisories, nothing can be said: one sentence
says so, with exit code 0, because a check that cannot run is no defect of what it checks.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PLACE = ROOT / ".cache" / "audit"
PROGRAM = "pip-audit==2.10.1"
UNDONE = "Not audited"
"""How the sentence begins that says that nothing could be found out."""


def auditor() -> list[str]:
    """The command of pip-audit, which is installed first where it is not; empty where that fails."""
    python = PLACE / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (PLACE / ".installed").is_file():
        venv.create(PLACE, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-qq", PROGRAM]
        if subprocess.run(pip, capture_output=True, check=False).returncode:
            return []
        (PLACE / ".installed").touch()
    return [str(python), "-m", "pip_audit"]


def audited(command: list[str], constraints: Path) -> str:
    """What pip-audit writes about pinned versions: JSON, or nothing where it came to no result."""
    words = ["--requirement", str(constraints), "--no-deps", "--disable-pip", "--format", "json"]
    done = subprocess.run(
        [*command, *words, "--progress-spinner", "off"], capture_output=True, text=True, check=False
    )
    return done.stdout


def verdict(text: str) -> tuple[int, str]:
    """Exit code and sentences.

    Args:
        text: What pip-audit wrote.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return 0, f"{UNDONE}: pip-audit came to no result; it needs a connection."
    known = [item for item in packages if "skip_reason" not in item]
    if not known:
        return 0, f"{UNDONE}: no advisories could be had for any of {len(packages)} packages."
    found = [
        f"{item['name']} {item['version']}: {fault['id']}, mended in "
        f"{', '.join(fault['fix_versions']) or 'no version'}"
        for item in known for fault in item["vulns"]
    ]  # fmt: skip
    unknown = [item["name"] for item in packages if "skip_reason" in item]
    told = f"{len(known)} packages audited, {len(found)} advisories."
    if unknown:
        told += f" Nothing is known of {', '.join(unknown)}."
    return int(bool(found)), "\n".join([*found, told])


def main() -> int:
    constraints = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "constraints.txt"
    command = auditor()
    code, told = (
        verdict(audited(command, constraints)) if command
        else (0, f"{UNDONE}: {PROGRAM} could not be installed; it needs a connection.")
    )  # fmt: skip
    print(told)
    return code


if __name__ == "__main__":
    sys.exit(main())
