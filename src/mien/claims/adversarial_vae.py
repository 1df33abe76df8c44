"""Claims of the adversarial VAE (Gu, Pears and Sun, FG 2023)."""

from __future__ import annotations

from mien.claims.claim import Arm, Claim

PLAIN, FREE = "without neutrals, without discriminator", "without neutrals, with discriminator"
PAIRED, FULL = "with neutrals, without discriminator", "with neutrals, with discriminator"
#: As published: nothing but the discriminator tells the factors apart, neither found rest nor a linear model.
PUBLISHED = {
    "neutrals": False, "rest": "none", "closed_form_start": False, "closed_form_finish": 0,
    "decoder_rate": 1.0,
}  # fmt: skip
ARMS = {
    PLAIN: Arm("adversarial_vae", PUBLISHED | {"identity_discriminator": False}),
    FREE: Arm("adversarial_vae", PUBLISHED | {"identity_discriminator": True}),
    PAIRED: Arm("adversarial_vae", {"neutrals": True, "identity_discriminator": False}),
    FULL: Arm("adversarial_vae", {"neutrals": True, "identity_discriminator": True}),
}


def _gu(id: str, text: str, metric: str, arm: str, against: str, side: str, **published: float) -> Claim:
    return Claim(id, "Gu et al., FG 2023", text, "adversarial_vae", metric, arm, against, side, published)


CLAIMS: tuple[Claim, ...] = (
    _gu("G1", "without neutrals the identity discriminator cuts the neutralization error", "neu_avd",
        FREE, PLAIN, "lower", FaceScape=0.259, BU3DFE=0.591, CoMA=0.551),
    _gu("G2", "and the spread of the identity", "id_std_pooled",
        FREE, PLAIN, "lower", FaceScape=0.427, BU3DFE=0.366, CoMA=0.122),
    _gu("G2", "and the spread of the identity", "id_mad", FREE, PLAIN, "lower"),
    _gu("G3", "at little cost in reconstruction", "rec_avd_mesh",
        FREE, PLAIN, "similar", FaceScape=0.975, BU3DFE=0.967, CoMA=1.141),
    _gu("G4", "with neutrals the discriminator changes little", "neu_avd",
        FULL, PAIRED, "similar", FaceScape=1.000, BU3DFE=1.005, CoMA=0.915),
    _gu("G4", "with neutrals the discriminator changes little", "id_std_pooled",
        FULL, PAIRED, "similar", FaceScape=0.978, BU3DFE=1.009, CoMA=0.875),
    _gu("G5", "having no neutrals has a price", "neu_avd",
        FREE, FULL, "higher", FaceScape=1.615, BU3DFE=1.283, CoMA=23.5),
)  # fmt: skip
