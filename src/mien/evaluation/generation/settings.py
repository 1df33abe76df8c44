"""How much is drawn for the generation metrics, and how the similarity networks are trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from mien.errors import BadSetting, UnknownName
from mien.evaluation.generation.similarity import Training

LEAST = {"samples": 2, "pairs": 2, "batch": 2, "picture_steps": 10, "lite_steps": 10}
"""Smallest values of settings that 1 is too little for; networks train by one cycle of the learning rate."""
NETWORKS = ("pictures", "lite")
"""Kinds of similarity networks: on pictures of normals, as published, and on principal components."""


@dataclass(frozen=True)
class GenerationSettings:
    """How many faces are drawn, and how the similarity networks are trained.

    Args:
        pairs: Pairs of each kind for diversity.
        faces: n of decoupling: random faces.
        resamples: m of decoupling: faces that share a code with each of them.
        samples: Faces for specificity.
        networks: Kinds of similarity networks: ``pictures`` and ``lite``.
        image_size: Side of the pictures in pixels; the paper takes 224.
        picture_steps: Updates of each picture network.
        components: Principal components that lite networks see.
        lite_steps: Updates of each lite network.
        people: People for the control of expressions.
        sparse_scans: Test scans fitted to landmarks.
        sparse_steps: Updates of a fit.
        silhouette_scans: Test scans whose codes are grouped; models without encoder take long for each.
        batch: Faces decoded at once.
        seed: Of all draws.
        device: Where networks are trained and run; ``auto`` is a GPU if there is one.
    """

    pairs: int = 10_000
    faces: int = 100
    resamples: int = 100
    samples: int = 1000
    networks: tuple[str, ...] = NETWORKS
    image_size: int = 64
    picture_steps: int = 350
    components: int = 128
    lite_steps: int = 600
    people: int = 20
    sparse_scans: int = 36
    sparse_steps: int = 100
    silhouette_scans: int = 2000
    batch: int = 100
    seed: int = 0
    device: str = "auto"

    def training(self, kind: str) -> Training:
        """How networks of a kind are trained."""
        if kind == "pictures":
            return Training(kind, self.image_size, self.picture_steps, seed=self.seed)
        return Training(kind, self.components, self.lite_steps, seed=self.seed)


PROFILES: Mapping[str, Mapping[str, Any]] = {
    "smoke": {
        "networks": ("lite",),
        "pairs": 200, "faces": 10, "resamples": 10, "samples": 50, "image_size": 32, "picture_steps": 20,
        "components": 64, "lite_steps": 100, "people": 4, "sparse_scans": 4, "sparse_steps": 40,
    },
    "standard": {},
    "full": {
        "image_size": 224, "picture_steps": 20_000, "lite_steps": 5000, "people": 100, "sparse_scans": 144,
    },
}  # fmt: skip
"""``smoke`` has no picture networks; ``standard`` costs minutes of one processor core; ``full`` takes the
paper's picture size, on a GPU."""


def settings_of(profile: str, overrides: Mapping[str, Any] | None = None) -> GenerationSettings:
    """The settings of a profile with some changed.

    Raises:
        UnknownName: No such profile, setting or kind of network.
        BadSetting: A value that cannot be.
    """
    if profile not in PROFILES:
        raise UnknownName("profile", profile, PROFILES)
    known = {field.name for field in fields(GenerationSettings)}
    for name in overrides or {}:
        if name not in known:
            raise UnknownName("setting of the generation metrics", name, known)
    chosen = {**PROFILES[profile], **(overrides or {})}
    if isinstance(chosen.get("networks"), str):
        chosen["networks"] = (chosen["networks"],)
    chosen = {name: tuple(value) if isinstance(value, list) else value for name, value in chosen.items()}
    result = replace(GenerationSettings(), **chosen)
    for name, value in asdict(result).items():
        least = LEAST.get(name, 1)
        if isinstance(value, int) and not isinstance(value, bool) and name != "seed" and value < least:
            raise BadSetting(f"{name} must be at least {least}", received=value)
    for kind in result.networks:
        if kind not in NETWORKS:
            raise UnknownName("kind of similarity network", kind, NETWORKS)
    return result
