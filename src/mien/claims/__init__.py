"""The papers' claims, tested again."""

from mien.claims.adversarial_vae import FREE, FULL, PAIRED, PLAIN
from mien.claims.claim import (
    SIMILAR,
    TRAINING_DATA,
    Arm,
    Claim,
    Results,
    Verdict,
    state_of,
    table_of,
    verdicts_of,
)
from mien.claims.retest import ARMS, CLAIMS, chosen, retest, testable

__all__ = [
    "ARMS", "CLAIMS", "FREE", "FULL", "PAIRED", "PLAIN", "SIMILAR", "TRAINING_DATA", "Arm", "Claim",
    "Results", "Verdict", "chosen", "retest", "state_of", "table_of", "testable", "verdicts_of",
]  # fmt: skip
