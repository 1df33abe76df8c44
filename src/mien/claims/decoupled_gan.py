"""Claims of Abrevaya et al. (ICCV 2019) about the decoupled GAN: D1 to D13.

Published values are ratios of their tables 1 and 2.
"""

from __future__ import annotations

from mien.claims.claim import TRAINING_DATA, Arm, Claim

GAN, LINEAR = "decoupled GAN", "additive 3DMM"
DEEP, MAE = "DeepFLAME", "multilinear autoencoder"
ROUGH, NO_EXPRESSION = "GAN without mesh regularization", "GAN without expression classifier"
NO_IDENTITY, NO_FEATURE = "GAN without identity classifier", "GAN without feature loss"
SHARES = (0.30, 0.07, 0.03)
ARMS = {
    GAN: Arm("decoupled_gan"),
    LINEAR: Arm("morphable"),
    DEEP: Arm("deep_flame"),
    MAE: Arm("multilinear_autoencoder"),
    ROUGH: Arm("decoupled_gan", {"laplacian": 0.0}),
    NO_EXPRESSION: Arm("decoupled_gan", {"classify": ["identity"]}),
    NO_IDENTITY: Arm("decoupled_gan", {"classify": ["expression"]}),
    NO_FEATURE: Arm("decoupled_gan", {"feature": 0.0}),
    TRAINING_DATA: Arm(""),
} | {
    f"GAN with {100 * share:.0f} % of the expression labels": Arm(
        "decoupled_gan", {"expression_labels": share}
    )
    for share in SHARES
}


def _d(
    id: str, text: str, metric: str, arm: str, against: str, side: str, paper: float | None = None,
    tolerance: float = 0.15,
) -> Claim:  # fmt: skip
    published = {} if paper is None else {"ICCV 2019": paper}
    source = "Abrevaya et al., ICCV 2019"
    return Claim(
        id, source, text, "decoupled_gan", metric, arm, against, side, published, tolerance=tolerance
    )


CLAIMS: tuple[Claim, ...] = (
    _d("D1", "best expression decoupling", "dec_exp", GAN, LINEAR, "higher", 89.7 / 65.6),
    _d("D1", "best expression decoupling", "dec_exp", GAN, DEEP, "higher", 89.7 / 65.5),
    _d("D1", "best expression decoupling", "dec_exp", GAN, MAE, "higher", 89.7 / 53.3),
    _d("D1", "best at equal false accepts", "dec_exp_own", GAN, LINEAR, "higher"),
    _d("D2", "identity decoupling about equal", "dec_id", GAN, LINEAR, "similar", 98.6 / 99.6, 0.02),
    _d("D3", "diversity near the training data", "div_all", GAN, TRAINING_DATA, "similar", 4.74 / 4.89, 0.10),
    _d("D3", "more diverse than an additive model", "div_all", GAN, LINEAR, "higher", 4.74 / 3.53),
    _d("D3", "and than a multilinear autoencoder", "div_all", GAN, MAE, "higher", 4.74 / 3.89),
    _d("D3", "and than DeepFLAME", "div_all", GAN, DEEP, "higher", 4.74 / 3.38),
    _d("D4", "diversity at one expression code best", "div_exp", GAN, LINEAR, "higher", 4.22 / 2.89),
    _d("D4", "diversity at one expression code best", "div_exp", GAN, MAE, "higher", 4.22 / 3.76),
    _d("D4", "diversity at one expression code best", "div_exp", GAN, DEEP, "higher", 4.22 / 2.90),
    _d("D4", "diversity at one identity code equal", "div_id", GAN, LINEAR, "similar", 1.94 / 1.95),
    _d("D5", "samples stay faces", "specificity", GAN, LINEAR, "lower", 2.01 / 2.30),
    _d("D5", "samples stay faces", "specificity", GAN, DEEP, "lower", 2.01 / 2.47),
    _d("D5", "as with a multilinear autoencoder", "specificity", GAN, MAE, "similar", 2.01 / 2.00, 0.05),
    _d("D6", "mesh regularization is crucial", "specificity", ROUGH, GAN, "higher", 3.61 / 2.01),
    _d("D6", "mesh regularization is crucial", "div_all", ROUGH, GAN, "lower", 1.41 / 4.74),
    _d("D7", "without expression classifier it falls", "dec_exp", NO_EXPRESSION, GAN, "lower", 42.8 / 89.7),
    _d("D7", "and a person's expressions collapse", "div_id", NO_EXPRESSION, GAN, "lower", 0.11 / 1.94),
    _d("D8", "without identity classifier it is lost", "dec_id", NO_IDENTITY, GAN, "lower", 7.8 / 98.6),
    _d("D8", "and one code makes many people", "div_id", NO_IDENTITY, GAN, "higher", 4.87 / 1.94),
    _d("D9", "the feature loss helps expressions", "dec_exp", GAN, NO_FEATURE, "higher", 89.7 / 80.3),
    _d("D9", "the feature loss helps identities", "dec_id", GAN, NO_FEATURE, "higher", 98.6 / 96.0),
    _d("D9", "the feature loss helps diversity", "div_all", GAN, NO_FEATURE, "higher", 4.74 / 4.47),
    _d("D10", "best fit to landmarks without prior", "sparse_rmse_0", GAN, LINEAR, "lower", 2.62 / 6.62),
    _d("D10", "best fit to landmarks without prior", "sparse_rmse_0", GAN, DEEP, "lower", 2.62 / 3.05),
    _d("D10", "best fit to landmarks without prior", "sparse_rmse_0", GAN, MAE, "lower", 2.62 / 4.46),
    _d("D11", "needs little prior", "sparse_gain", GAN, LINEAR, "lower", (2.62 / 2.42) / (6.62 / 2.46)),
    _d("D11", "less than a multilinear autoencoder", "sparse_gain", GAN, MAE, "lower",
       (2.62 / 2.42) / (4.46 / 2.78)),
    _d("D11", "as little as DeepFLAME", "sparse_gain", GAN, DEEP, "similar", (2.62 / 2.42) / (3.05 / 2.83)),
    _d("D12", "best fit with a weak prior", "sparse_rmse_0.01", GAN, LINEAR, "lower", 2.55 / 4.64),
    _d("D12", "best fit with a strong prior", "sparse_rmse_10", GAN, LINEAR, "lower", 2.42 / 2.46),
    *(
        _d("D13", f"works with {100 * share:.0f} % of the labels", "dec_exp",
           f"GAN with {100 * share:.0f} % of the expression labels", LINEAR, "higher")
        for share in SHARES
    ),
)  # fmt: skip
