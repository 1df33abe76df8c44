"""Claims of FaceTuneGAN (Olivier et al., 2021).

Of the methods in its tables this project has deformation transfer, CoMA (here with the linear split), the
additive face model (FLAME's place) and SpiralNet++. F2 (which expressions are hardest) and F7 (content paths
are straighter than style paths) compare numbers of one system: ``mien evaluate`` prints them.
"""

from __future__ import annotations

from mien.claims.claim import Arm, Claim

OURS, ROUGH = "facetunegan", "facetunegan without smoothing"
DEFORMATION, COMA = "deformation transfer", "CoMA with the linear split"
ADDITIVE, PLAIN = "additive face model", "SpiralNet++"
ARMS = {
    OURS: Arm("facetunegan"),
    ROUGH: Arm("facetunegan", {"smoothness": 0.0}),
    DEFORMATION: Arm("deformation_transfer"),
    COMA: Arm("coma"),
    ADDITIVE: Arm("morphable"),
    PLAIN: Arm("spiralnet"),
}


def _claim(id: str, text: str, metric: str, against: str, side: str, **published: float) -> Claim:
    return Claim(id, "Olivier et al., 2021", text, "facetunegan", metric, OURS, against, side, published)


_TRANSFER = {
    "smile": (1.23, 2.11), "jaw_forward": (1.62, 2.43), "anger": (1.32, 3.25), "chin_raiser": (1.65, 2.82),
    "sadness": (1.45, 4.10), "lip_puckerer": (1.56, 2.36), "grin": (1.57, 2.60), "lip_funneler": (1.80, 2.64),
    "mouth_stretch": (2.02, 3.26), "lip_roll": (1.52, 2.50), "mouth_left": (1.61, 2.78),
    "cheek_blowing": (1.77, 3.55), "mouth_right": (1.54, 2.45), "eye_closed": (1.23, 1.86),
    "dimpler": (1.42, 2.20), "brow_raiser": (1.30, 3.06), "jaw_left": (1.53, 2.24),
    "brow_lower": (1.41, 3.27), "jaw_right": (1.63, 2.59),
}  # fmt: skip
"""Expression -> (FaceTuneGAN, deformation transfer), millimeters, as printed."""

CLAIMS: tuple[Claim, ...] = (
    _claim("F1", "its transfer beats deformation transfer", "transfer_avd", DEFORMATION, "lower",
           FaceScape=1.54 / 2.74),
    *(_claim("F1", f"and for {name}", f"transfer_avd/{name}", DEFORMATION, "lower", FaceScape=ours / theirs)
      for name, (ours, theirs) in _TRANSFER.items()),
    _claim("F3", "it neutralizes better than a neutralizing CoMA", "neu_avd_triplet", COMA, "lower",
           FaceScape=1.47 / 2.88, CoMA=0.98 / 3.28),
    _claim("F4", "its neutrals of one person lie nearer together than the additive model's",
           "decomposition_id_std_avd", ADDITIVE, "lower", CoMA=0.018 / 0.599),
    _claim("F4", "beside it: they must not be nearer by being alike for everybody", "neu_avd", ADDITIVE,
           "lower"),
    _claim("F5", "it reconstructs worse than a plain autoencoder", "rec_avd_mesh", PLAIN, "higher",
           CoMA=0.83 / 0.54),
    _claim("F5", "and better than the additive model", "rec_avd_mesh", ADDITIVE, "lower", CoMA=0.83 / 1.45),
    _claim("F6", "Laplacian smoothing lowers the reconstruction error", "rec_avd_mesh", ROUGH, "lower"),
    _claim("F6", "and costs fine detail", "rec_detail", ROUGH, "higher"),
)  # fmt: skip
