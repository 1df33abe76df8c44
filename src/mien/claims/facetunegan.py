"""Claims of FaceTuneGAN (Olivier et al., 2021).

Of the methods in its tables everything but FLAME, which takes the user's own file, is here; the additive face
model stands in FLAME's place. What the paper compares with "Ranjan" is a CoMA that learns to neutralize.
"""

from __future__ import annotations

from mien.claims.claim import Arm, Claim

OURS, ROUGH, NAMED = "facetunegan", "facetunegan without smoothing", "facetunegan, styles named"
DEFORMATION, RANJAN, KACEM = "deformation transfer", "neutralizing CoMA", "Kacem et al."
ADDITIVE, PLAIN, ZHANG, JIANG = "additive face model", "SpiralNet++", "DI-MeshEncoder", "Jiang et al."
ARMS = {
    OURS: Arm("facetunegan"),
    ROUGH: Arm("facetunegan", {"smoothness": 0.0}),
    NAMED: Arm("facetunegan", {"style_pooled": False, "style_first": 500, "label": 1.0, "swap": True}),
    DEFORMATION: Arm("deformation_transfer"),
    RANJAN: Arm("conv_mesh_ae"),
    KACEM: Arm("kacem"),
    ADDITIVE: Arm("morphable"),
    PLAIN: Arm("spiralnet"),
    ZHANG: Arm("di_meshencoder"),
    JIANG: Arm("jiang"),
}


def _claim(
    id: str, text: str, metric: str, against: str, side: str, *, arm: str = OURS, beside: str | None = None,
    **published: float,
) -> Claim:  # fmt: skip
    return Claim(
        id, "Olivier et al., 2021", text, "facetunegan", metric, arm, against, side, published,
        against_metric=beside,
    )  # fmt: skip


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
    _claim("F1", "and with styles named first, which is not in the paper", "transfer_avd", DEFORMATION,
           "lower", arm=NAMED),
    _claim("F2", "a stretched mouth is harder to transfer than a smile", "transfer_avd/mouth_stretch", OURS,
           "higher", beside="transfer_avd/smile", FaceScape=2.02 / 1.23),
    _claim("F2", "and than closed eyes", "transfer_avd/mouth_stretch", OURS, "higher",
           beside="transfer_avd/eye_closed", FaceScape=2.02 / 1.23),
    _claim("F3", "it neutralizes better than a neutralizing CoMA", "neu_avd_triplet", RANJAN, "lower",
           FaceScape=1.47 / 2.88, CoMA=0.98 / 3.28),
    _claim("F3", "and than Kacem's", "neu_avd_triplet", KACEM, "lower",
           FaceScape=1.47 / 2.02, CoMA=0.98 / 2.73),
    _claim("F4", "its neutrals of one person lie as near together as DI-MeshEncoder's",
           "decomposition_id_std_avd", ZHANG, "similar", CoMA=0.018 / 0.019),
    _claim("F4", "nearer than Jiang's", "decomposition_id_std_avd", JIANG, "lower", CoMA=0.018 / 0.102),
    _claim("F4", "and than the additive model's", "decomposition_id_std_avd", ADDITIVE, "lower",
           CoMA=0.018 / 0.599),
    _claim("F4", "beside it: they must not be nearer by being alike for everybody", "neu_avd", ADDITIVE,
           "lower"),
    _claim("F5", "it reconstructs worse than a plain autoencoder", "rec_avd_mesh", PLAIN, "higher",
           CoMA=0.83 / 0.54),
    _claim("F5", "and than DI-MeshEncoder", "rec_avd_mesh", ZHANG, "higher", CoMA=0.83 / 0.67),
    _claim("F5", "better than Jiang's", "rec_avd_mesh", JIANG, "lower", CoMA=0.83 / 1.41),
    _claim("F5", "and than the additive model", "rec_avd_mesh", ADDITIVE, "lower", CoMA=0.83 / 1.45),
    _claim("F6", "Laplacian smoothing lowers the reconstruction error", "rec_avd_mesh", ROUGH, "lower"),
    _claim("F6", "and costs fine detail", "rec_detail", ROUGH, "higher"),
    _claim("F7", "a path between contents is straighter than one between styles", "path_length_identity",
           OURS, "lower", beside="path_length_expression"),
    _claim("F7", "and more even", "path_step_cv_identity", OURS, "lower", beside="path_step_cv_expression"),
)  # fmt: skip
