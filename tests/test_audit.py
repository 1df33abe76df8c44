"""Advisories of pinned packages: what names a version fails, what could not be asked does not."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

SPEC = importlib.util.spec_from_file_location("audit", Path(__file__).parent.parent / "tools" / "audit.py")
assert SPEC is not None and SPEC.loader is not None
audit = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(audit)


def verdict(*packages: dict[str, Any]) -> tuple[int, str]:
    return audit.verdict(json.dumps({"dependencies": list(packages), "fixes": []}))


GOOD = {"name": "a", "version": "1.0", "vulns": []}
BAD = {"name": "b", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found"}


def test_an_advisory_fails_and_says_which_version_mends_it() -> None:
    assert verdict(GOOD, BAD, UNKNOWN) == (
        1,
        "b 2.0: PYSEC-1, mended in 2.1\n2 packages audited, 1 advisories. Nothing is known of c.",
    )
    assert verdict(GOOD) == (0, "1 packages audited, 0 advisories.")


def test_what_could_not_be_asked_is_said_and_does_not_fail() -> None:
    """Where no package is known there, pip-audit itself says that there are no vulnerabilities."""
    for code, told in (verdict(UNKNOWN, UNKNOWN), audit.verdict(""), audit.verdict("[]")):
        assert code == 0 and told.startswith("Not audited: ") and "\n" not in told
