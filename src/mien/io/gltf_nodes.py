"""Where the meshes of a glTF scene stand: node transforms, and skins in their bind pose."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.io.gltf_document import Document

_MOST_NODES = 2**15  # of a scene; no head comes with as many
_STANDING = np.eye(4)
_TRANSFORMS = frozenset(("matrix", "translation", "rotation", "scale"))


class MeshPlace(NamedTuple):
    """A mesh that the scene shows.

    Args:
        node: The node that shows it.
        mesh: The mesh's number.
        matrix: (4, 4) float64 from the mesh's own coordinates to the scene's.
    """

    node: int
    mesh: int
    matrix: NDArray[np.float64]


def shown_meshes(document: Document) -> list[MeshPlace]:
    """The meshes of the default scene, in the order of the node tree.

    The format says of a skinned mesh that only its joints place it, not its own node. It is taken in the pose
    that it was bound in, as one rigid piece; what hangs on a joint follows into that pose.

    Args:
        document: The file.
    """
    nodes = document.json.get("nodes") or []
    rest = _trace(nodes, _roots(document), {})
    bound, skins = _bind_pose(document, rest)
    posed = _trace(nodes, _roots(document), bound) if bound else rest
    return [
        MeshPlace(number, nodes[number]["mesh"], skins.get(nodes[number].get("skin"), matrix))
        for number, matrix in posed.items()
        if "mesh" in nodes[number]
    ]


def scene_note(document: Document) -> str | None:
    """What to say where the file has several scenes."""
    scenes = document.json.get("scenes") or []
    if len(scenes) < 2:
        return None
    number = document.json.get("scene", 0)
    called = scenes[number].get("name") or f"number {number}"
    return f"{document.path.name}: of {len(scenes)} scenes the default one ({called}) is read."


def _roots(document: Document) -> list[int]:
    nodes, scenes = document.json.get("nodes") or [], document.json.get("scenes") or []
    if scenes:
        return list(scenes[document.json.get("scene", 0)].get("nodes") or [])
    children = {child for node in nodes for child in node.get("children") or []}
    return [number for number in range(len(nodes)) if number not in children]


def _trace(
    nodes: list[dict[str, Any]], roots: list[int], fixed: dict[int, NDArray]
) -> dict[int, NDArray[np.float64]]:
    """Node -> (4, 4) matrix to the scene, parents first; some nodes' matrices are given."""
    found: dict[int, NDArray[np.float64]] = {}
    stack = [(node, _STANDING) for node in reversed(roots)]
    while stack:
        if len(found) + len(stack) > _MOST_NODES:
            raise ValueError(f"its scene has more than {_MOST_NODES} nodes")
        number, parent = stack.pop()
        if number in found or number < 0:
            raise ValueError("the node tree has a loop, or a node with two parents")
        found[number] = fixed[number] if number in fixed else _within(parent, nodes[number])
        stack += [(child, found[number]) for child in reversed(nodes[number].get("children") or [])]
    return found


def _bind_pose(
    document: Document, rest: dict[int, NDArray]
) -> tuple[dict[int, NDArray], dict[int | None, NDArray]]:
    """Joint -> matrix in the bind pose, and skin -> matrix of the meshes that it holds.

    In the bind pose all joints of a skin move its vertices alike: as its root does in the file, or as a skin
    before it settled for a joint that both have.
    """
    order = {node: place for place, node in enumerate(rest)}  # parents first
    joints: dict[int, NDArray] = {}
    skins: dict[int | None, NDArray] = {}
    for number, skin in enumerate(document.json.get("skins") or []):
        own = [joint for joint in skin["joints"] if joint in order]
        if not own:
            continue  # a skeleton of another scene
        inverse = _inverse_binds(document, skin)
        lead = next((joint for joint in own if joint in joints), min(own, key=order.__getitem__))
        skins[number] = joints.get(lead, rest[lead]) @ inverse[lead]
        if "inverseBindMatrices" in skin:
            joints |= {
                joint: skins[number] @ np.linalg.inv(inverse[joint])
                for joint in own
                if joint not in joints and np.linalg.det(inverse[joint])
            }
    return joints, skins


def _inverse_binds(document: Document, skin: dict[str, Any]) -> dict[int, NDArray[np.float64]]:
    """Joint -> (4, 4) matrix from the mesh's coordinates to the joint's, when it was bound."""
    if "inverseBindMatrices" not in skin:
        return dict.fromkeys(skin["joints"], np.eye(4))
    stored = document.accessor(skin["inverseBindMatrices"]).astype(np.float64)
    return dict(zip(skin["joints"], stored.reshape(-1, 4, 4).transpose(0, 2, 1), strict=False))  # by columns


def _within(parent: NDArray, node: dict[str, Any]) -> NDArray[np.float64]:
    """(4, 4) matrix of a node to the scene, given its parent's."""
    return parent @ _local_matrix(node) if _TRANSFORMS & node.keys() else parent


def _local_matrix(node: dict[str, Any]) -> NDArray[np.float64]:
    """(4, 4) matrix of a node in its parent's coordinates."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    rotation = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    matrix[:3, :3] = rotation * np.array(node.get("scale", (1, 1, 1)), np.float64)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix
