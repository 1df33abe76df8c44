"""What a piece of a head can be, and what the names of its groups, objects and materials say of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mien.errors import UnknownName

KINDS = {
    "skin": "moves with the face",
    "eye": "rests, and turns where it looks",
    "tear film": "follows the lids",
    "upper teeth": "rests",
    "lower teeth": "turns rigidly with the jaw",
    "teeth": "above the line of the mouth rests, below it turns with the jaw",
    "gums": "above the line of the mouth rests, below it turns with the jaw",
    "tongue": "turns with the jaw, and comes out in tongueOut",
    "brows": "follows the skin",
    "lashes": "turns with its lid",
    "hair": "follows the skin",
    "glasses": "stays rigid with the head",
    "hat": "stays rigid with the head",
    "clothes": "stays at rest",
    "other": "stays at rest",
}
"""Kind -> what such a piece does when the face moves."""

FOLLOWS_SKIN = frozenset({"tear film", "brows", "lashes", "hair"})
WITH_HEAD = frozenset({"glasses", "hat"})
COVERS = frozenset({"hair", "clothes", "other"}) | WITH_HEAD
"""What may hide a face that is looked for."""

# In this order: an eyelash is no eye, and a hair band no hair. Words as names are split into, singular.
_WORDS = (
    ("other", "joint skirt tights genital helper cube locator bone marker"),
    ("glasses", "glass glasses spectacles eyewear sunglasses eyeglasses goggles monocle facewear"),
    ("lashes", "lash eyelash eyeline eyeliner"),
    ("brows", "brow eyebrow"),
    ("tear film", "tear tearline lacrimal occlusion film meniscus"),
    ("teeth", "tooth teeth denture dentures incisor molar"),
    ("gums", "gum gums gingiva"),
    ("tongue", "tongue"),
    ("hat", "hat cap helmet headwear headphone headphones crown tiara headband hairband beanie hood earring"),
    ("hair", "hair beard mustache moustache ponytail bang bangs fringe sideburn stubble haircut"),
    ("clothes", "cloth clothes clothing shirt tshirt outfit pants trousers shoe shoes footwear jacket dress "
                "collar scarf necktie coat sweater hoodie suit uniform vest"),
    ("eye", "eye eyeball iris pupil cornea sclera"),
)  # fmt: skip
_MEANS = {word: kind for kind, words in reversed(_WORDS) for word in words.split()}
_ORDER = {kind: number for number, (kind, _) in enumerate(_WORDS)}
_UPPER, _LOWER = {"upper", "up", "top", "maxilla"}, {"lower", "low", "bottom", "mandible", "jaw"}
# A helper that says what it stands for (MakeHuman's ``helper-l-eye``) is that; and lids, sockets, the skin
# around the mouth are named after what they surround.
_WEAK, _SURROUND = {"helper", "marker", "cube"}, {"lid", "lids", "socket", "sockets", "area", "skin", "bag"}


def kinds_of_names(pieces: Sequence[Iterable[str]]) -> list[str | None]:
    """What pieces are by their names, the first of each that says anything; None where none does.

    Args:
        pieces: Of each piece the names of its object, groups and materials, as the file spells them. Words
            that all pieces share are the file's, and say nothing: a ``hat_man_eye`` is an eye.
    """
    words = [[_words(name) for name in names] for names in pieces]
    shared = (
        set.intersection(*({word for name in names for word in name} for names in words)) if words else set()
    )
    return [next((kind for name in names if (kind := _kind_of(name, shared))), None) for names in words]


def _kind_of(words: Sequence[str], shared: set[str]) -> str | None:
    words = [word for word in words if word not in shared]
    found = [word for word in words if word in _MEANS]
    strong = [word for word in found if word not in _WEAK]
    if not found or _SURROUND & set(words):
        return None
    kind = min((_MEANS[word] for word in strong or found), key=_ORDER.__getitem__)
    if kind == "teeth":
        return _row_of_teeth(set(words))
    return kind


def _row_of_teeth(words: set[str]) -> str:
    upper, lower = bool(words & _UPPER), bool(words & _LOWER)
    return "teeth" if upper == lower else "upper teeth" if upper else "lower teeth"


def _words(name: str) -> list[str]:
    """Lower-case words: ``Wolf3D_TeethUpper.001`` is ``wolf d teeth upper``; plurals lose their s."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+", name)
    found = []
    for part in (item.lower() for item in parts):
        singular = part.removesuffix("es") if part.endswith("shes") else part.removesuffix("s")
        found.append(singular if part not in _MEANS and singular in _MEANS else part)
    return found


def kind_of_word(word: str) -> str:
    """The kind that a user means: ``Upper-Teeth`` or ``eyes`` as well as ``upper teeth``."""
    plain = " ".join(word.strip().lower().replace("-", " ").replace("_", " ").split())
    fitting = [kind for kind in KINDS if plain in (kind, f"{kind}s", kind.removesuffix("s"))]
    if fitting:
        return fitting[0]
    raise UnknownName("kind of piece", word, list(KINDS))
