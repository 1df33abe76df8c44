"""A data set out of rigs: their people at rest and with every shape, on one topology."""

from __future__ import annotations

from pathlib import Path

from mien.apply.rig_people import rig_set
from mien.data.dataset import FaceDataset
from mien.data.examples import add_examples
from mien.data.writer import DatasetWriter, refuse_existing
from mien.models.base import FaceModel


def prepare_rigs(
    source: Path | str, out: Path | str, table: Path | None = None, *, license: str = "", citation: str = "",
    general: FaceModel | None = None,
) -> FaceDataset:  # fmt: skip
    """Builds a data set of a rig, or of a folder of rigs, for any model to train on.

    All have the topology of one of them: the first of those that share a mesh most often. Neutrals are
    brought to its size and place; each shape is a face at full weight of its ARKit name.

    Args:
        source: A rig, or a folder of rigs: GLB, VRM, FBX, folders of shapes; see
            :func:`mien.data.head_rigs.find_head_rigs`.
        out: Folder of the new data set; must not exist.
        table: A CSV with the columns arkit and shape, for names of no known scheme.
        license: Terms of the rigs, for model cards.
        citation: What to cite, for model cards.
        general: Whose template brings rigs into correspondence; None for
            :func:`mien.apply.default_model.default_model`.

    Raises:
        DataMissing: There is no rig.
        BadSetting: The output exists already, or a rig has no name of a known scheme.
        BadMesh: There is no face on a rig.
    """
    out = Path(out)
    refuse_existing(out)
    found = rig_set([source], table, general)
    facts = {
        "builder": "rigs", "topology_of": found.base.rig.name,
        "notes": [note.rstrip(".") for note in found.notes],
        "units": f"millimeters, at the size and place of {found.base.rig.name}, whose topology all have",
    }  # fmt: skip
    about = {"source": "rigs", "license": license, "citation": citation, "facts": facts}
    with DatasetWriter(out, found.topology, found.names, further=add_examples, **about) as writer:
        for person in found.people():
            writer.append(person.neutral, {}, subject=person.name)
            for name, moved, shown in zip(found.names, person.displacements, person.shown, strict=True):
                if shown:
                    writer.append(person.neutral + moved, {name: 1.0}, subject=person.name)
    return FaceDataset.load(out)
