"""Claims of Taherkhani et al. (WACV 2023) about FaceCAM: C1 to C6; they printed pictures, no numbers."""

from __future__ import annotations

from typing import Any

from mien.claims.claim import Arm, Claim

FACECAM, NO_STYLE = "FaceCAM", "FaceCAM without identity in the expression generator"
UNITS = "FaceCAM from intensities"
ARMS = {
    FACECAM: Arm("facecam"),
    NO_STYLE: Arm("facecam", {"g_exp_identity": False}),
    UNITS: Arm("facecam", {"labels": "intensities"}),
}


def _c(id: str, text: str, metric: str, side: str, arm: str = FACECAM, **other: Any) -> Claim:
    settings: dict[str, Any] = {"against": FACECAM} | other
    return Claim(id, "Taherkhani et al., WACV 2023", text, "facecam", metric, arm, side=side, **settings)


CLAIMS: tuple[Claim, ...] = (
    _c("C1", "identity in the expression generator gives varied styles", "style_spread", "higher",
       against_metric="style_spread_noise"),
    _c("C2", "while the identity is kept", "dec_id", "not lower", against=NO_STYLE, tolerance=0.02),
    _c("C2", "and the expression is kept", "dec_exp", "not lower", against=NO_STYLE, tolerance=0.05),
    _c("C3", "identity codes group by person, not by expression", "silhouette_person_in_identity", "higher",
       against_metric="silhouette_expression_in_identity", difference=True),
    _c("C3", "expression codes group by expression, not by person", "silhouette_expression_in_expression",
       "higher", against_metric="silhouette_person_in_expression", difference=True),
    _c("C4", "the label's scale controls every expression up to 1.5", "intensity_rho_disp_least", "higher",
       against=None, constant=0.9),
    _c("C4", "and its probability", "intensity_rho_prob_least", "higher", against=None, constant=0.9),
    _c("C4", "also above 1", "disp_ratio_1_5", "higher", against=None, constant=1.0),
    _c("C5", "strong expressions are distinct, weak ones alike", "generated_silhouette_expression", "higher",
       against_metric="generated_silhouette_expression_weak", difference=True),
    _c("C6", "labels of action units can train it", "dec_exp_lite", "higher", arm=UNITS, against=UNITS,
       against_metric="dec_exp_lite_random"),
)  # fmt: skip
