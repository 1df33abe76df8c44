"""What a generative model makes, in the pictures of FaceCAM's appendix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from PIL import Image as Pictures

from mien.errors import UnknownName
from mien.figures import embeddings, styles, textures
from mien.models.base import FaceModel

PICTURES = (
    "expressions",
    "intensity",
    "blends",
    "people",
    "styles",
    "style-transfer",
    "clusters",
    "levels",
    "textures",
    "texture-people",
    "texture-intensity",
    "texture-walk",
)
Silhouettes = Mapping[str, Mapping[str, float]]
_PEOPLE = 8
_EXPRESSIONS = 6


def drawable(model: FaceModel) -> list[str]:
    """The pictures that a model can fill."""
    styled = type(model).restyle is not FaceModel.restyle
    able = [name for name in PICTURES if styled or not name.startswith("style")]
    return [name for name in able if model.makes_textures or not name.startswith("texture")]


def gallery(
    model: FaceModel, wanted: Sequence[str] = (), expressions: Sequence[str] = (), *, people: int = 250,
    seed: int = 0,
) -> Iterator[tuple[str, Pictures.Image, Silhouettes]]:  # fmt: skip
    """Draws sampled people: expressions, intensities, styles, textures, and where codes lie.

    Args:
        model: A generative model.
        wanted: Some of :data:`PICTURES`; all that the model can fill without.
        expressions: Names to show; six of the model's without.
        people: In the pictures of codes (t-SNE).
        seed: The same seed gives the same pictures.

    Yields:
        The name of a picture, the picture, and of pictures of codes how distinct clusters are: what is
        clustered -> by what -> mean silhouette, -1 to 1.
    """
    for name in wanted:
        if name not in PICTURES:
            raise UnknownName("picture", name, PICTURES)
    sheets = _sheets(model, expressions, seed)
    codes = {"clusters": partial(_clusters, model, people, seed), "levels": partial(_levels, model, seed)}
    for name in wanted or drawable(model):
        picture, scores = codes[name]() if name in codes else (sheets[name](), {})
        yield name, picture, scores


def _sheets(model: FaceModel, expressions: Sequence[str], seed: int) -> Mapping[str, partial[Pictures.Image]]:
    """What draws each sheet of sampled people."""
    shown = list(expressions) or spread_names(model.expressions, _EXPRESSIONS)
    people = styles.people_at_rest(model, _PEOPLE, seed)
    some, rest_and_two = people[: len(shown)], [None, *shown[:2]]
    first = expressions[0] if expressions else None
    seven = (list(expressions) or list(model.expressions))[:7]
    return {
        "expressions": partial(styles.expressions_sheet, model, people),
        "intensity": partial(styles.intensity_sheet, model, some, shown),
        "blends": partial(styles.blend_sheet, model, people, shown[:5]),
        "people": partial(styles.people_sheet, model, people, rest_and_two),
        "styles": partial(styles.style_sheet, model, people[:3], shown[0], people[3:]),
        "style-transfer": partial(styles.style_transfer_sheet, model, people, shown[:4]),
        "textures": partial(textures.expressions_of_one, model, people, seven),
        "texture-people": partial(textures.people_in_color, model, people, first),
        "texture-intensity": partial(textures.intensities_in_color, model, some, shown),
        "texture-walk": partial(textures.walk_beyond, model, people, rest_and_two),
    }


def spread_names(names: Sequence[str], count: int) -> list[str]:
    """So many of the names, evenly spread over their list."""
    count = min(count, len(names))
    return [names[round(k * (len(names) - 1) / max(1, count - 1))] for k in range(count)]


def _clusters(model: FaceModel, people: int, seed: int) -> tuple[Pictures.Image, Silhouettes]:
    found = embeddings.embedded(model, people, [1.0], neutral=True, seed=seed)
    scores = embeddings.silhouettes(found)
    return embeddings.cluster_picture(found, model.expressions, scores, seed=seed), {"clusters": scores}


def _levels(model: FaceModel, seed: int) -> tuple[Pictures.Image, Silhouettes]:
    found = embeddings.embedded(model, 10, embeddings.LEVELS, neutral=False, seed=seed)
    scores = embeddings.silhouettes_by_level(found)
    named = {"expression by level": {f"{level:.2f}": value for level, value in scores.items()}}
    return embeddings.level_picture(found, model.expressions, scores, seed=seed), named
