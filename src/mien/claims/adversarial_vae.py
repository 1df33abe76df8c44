"""Claims of the adversarial VAE (Gu, Pears and Sun, FG 2023).

G1 to G5 compare arms of one table of the paper, so all four are trained as published: nothing but the
discriminator tells the factors apart, neither a rest that is found nor a linear model. G5 to G9 are tested on
Mien's short schedule, too, which is what ``adversarial_vae`` is by default.
"""

from __future__ import annotations

from collections.abc import Mapping

from mien.claims.claim import Arm, Claim

PLAIN, FREE = "without neutrals, without discriminator", "without neutrals, with discriminator"
PAIRED, FULL = "with neutrals, without discriminator", "with neutrals, with discriminator"
SHORT, FOUND = "with neutrals, Mien's schedule", "without neutrals, rest found, Mien's schedule"
PERMUTED, NEUTRALIZER, BANK = "DI-MeshEncoder", "neutralizing CoMA", "neutral bank"
PUBLISHED = {
    "rest": "none", "closed_form_start": False, "closed_form_finish": 0, "decoder_rate": 1.0,
}  # fmt: skip
ARMS = {
    PLAIN: Arm("adversarial_vae", PUBLISHED | {"neutrals": False, "identity_discriminator": False}),
    FREE: Arm("adversarial_vae", PUBLISHED | {"neutrals": False, "identity_discriminator": True}),
    PAIRED: Arm("adversarial_vae", PUBLISHED | {"neutrals": True, "identity_discriminator": False}),
    FULL: Arm("adversarial_vae", PUBLISHED | {"neutrals": True, "identity_discriminator": True}),
    SHORT: Arm("adversarial_vae"),
    FOUND: Arm("adversarial_vae", {"neutrals": False, "rest": "found"}),
    PERMUTED: Arm("di_meshencoder"),
    NEUTRALIZER: Arm("conv_mesh_ae"),
    BANK: Arm("neutral_bank"),
}


def _gu(
    id: str, text: str, metric: str, arm: str, against: str, side: str,
    published: Mapping[str, float] | None = None,
) -> Claim:  # fmt: skip
    source = "Gu et al., FG 2023" if id[0] == "G" else "across papers"
    return Claim(id, source, text, "adversarial_vae", metric, arm, against, side, published or {})


def _beside_others(arm: str, ending: str) -> tuple[Claim, ...]:
    """G6, G8 and G9 of the arm with neutrals."""
    return (
        _gu("G6", f"its neutrals are more consistent than DI-MeshEncoder's{ending}", "id_std_pooled", arm,
            PERMUTED, "lower", {"CoMA": 0.014 / 0.019, "BU3DFE": 0.348 / 0.361}),
        _gu("G6", f"beside it: they must not be alike for everybody{ending}", "neu_avd", arm, PERMUTED,
            "lower"),
        _gu("G6", f"and it reconstructs better{ending}", "rec_avd_mesh", arm, PERMUTED, "lower",
            {"CoMA": 0.651 / 0.665, "BU3DFE": 1.500 / 1.551}),
        _gu("G8", f"it neutralizes better than a neutralizing CoMA{ending}", "neu_avd", arm, NEUTRALIZER,
            "lower", {"FaceScape": 1.93 / 2.00}),
        _gu("G8", f"and more consistently{ending}", "id_std_pooled", arm, NEUTRALIZER, "lower",
            {"FaceScape": 0.57 / 0.64}),
        _gu("G9", f"people are recognized about as well as by others{ending}", "rank1_mesh", arm, PERMUTED,
            "similar"),
    )  # fmt: skip


def _price(arm: str, against: str, ending: str) -> Claim:
    return _gu("G5", f"having no neutrals has a price{ending}", "neu_avd", arm, against, "higher",
               {"FaceScape": 3.112 / 1.927, "BU3DFE": 2.429 / 1.894, "CoMA": 1.528 / 0.065})  # fmt: skip


def _free_beside_others(arm: str, ending: str) -> tuple[Claim, ...]:
    """G7 and X2 of an arm without neutrals."""
    return (
        _gu("G7", f"without neutrals it still reconstructs better than DI-MeshEncoder{ending}",
            "rec_avd_mesh", arm, PERMUTED, "lower", {"BU3DFE": 1.421 / 1.551}),
        _gu("G7", f"at a larger spread of the identity{ending}", "id_std_pooled", arm, PERMUTED, "higher",
            {"BU3DFE": 0.443 / 0.361}),
        _gu("X2", f"without neutrals it neutralizes better than a neutral bank{ending}", "neu_avd", arm, BANK,
            "lower"),
    )  # fmt: skip


CLAIMS: tuple[Claim, ...] = (
    _gu("G1", "without neutrals the identity discriminator cuts the neutralization error", "neu_avd",
        FREE, PLAIN, "lower",
        {"FaceScape": 3.112 / 12.020, "BU3DFE": 2.429 / 4.108, "CoMA": 1.528 / 2.775}),
    _gu("G2", "and the spread of the identity", "id_std_pooled",
        FREE, PLAIN, "lower",
        {"FaceScape": 0.765 / 1.791, "BU3DFE": 0.443 / 1.211, "CoMA": 0.176 / 1.439}),
    _gu("G2", "and the spread of the identity", "id_mad", FREE, PLAIN, "lower"),
    _gu("G3", "at little cost in reconstruction", "rec_avd_mesh",
        FREE, PLAIN, "similar",
        {"FaceScape": 1.157 / 1.187, "BU3DFE": 1.421 / 1.469, "CoMA": 0.783 / 0.686}),
    _gu("G4", "with neutrals the discriminator changes little", "neu_avd",
        FULL, PAIRED, "similar",
        {"FaceScape": 1.927 / 1.927, "BU3DFE": 1.894 / 1.885, "CoMA": 0.065 / 0.071}),
    _gu("G4", "with neutrals the discriminator changes little", "id_std_pooled",
        FULL, PAIRED, "similar",
        {"FaceScape": 0.569 / 0.582, "BU3DFE": 0.348 / 0.345, "CoMA": 0.014 / 0.016}),
    _price(FREE, FULL, ""),
    _price(FOUND, SHORT, " (Mien's schedule, rest found)"),
    *_beside_others(FULL, ""),
    *_beside_others(SHORT, " (Mien's schedule)"),
    *_free_beside_others(FREE, ""),
    *_free_beside_others(FOUND, " (Mien's schedule, rest found)"),
)  # fmt: skip
