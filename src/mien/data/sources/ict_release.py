"""Reads the ICT-FaceKit Light release (MIT license) from its archive, its folder or its repository."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from mien.data.archive import archive_members
from mien.data.expressions import SHAPES
from mien.data.sources.moved_regions import moved_regions
from mien.errors import BadFile, DataMissing, UnknownName
from mien.io.obj import read_obj
from mien.progress import track
from mien.temporary import passing_folder
from mien.topology import Landmarks, Polygons, Topology, cache_folder, save_npz

NEUTRAL = "generic_neutral_mesh"
MODES = tuple(f"identity{number:03d}" for number in range(100))
VERTEX_COUNT = 26719
MILLIMETERS = 10.0  # the release is in centimeters

# Last vertex of each region plus one; the release orders its geometries so that regions are prefixes.
REGIONS = {"narrow": 6706, "face": 9409, "head": 11248}

# The 68 Multi-PIE points as listed in the release's README, here in iBUG order.
LANDMARKS = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443,
    268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147,
    4269, 3360, 1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732, 5708, 5695, 2081,
    0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class IctModel:
    """A region of the release, in millimeters.

    Args:
        topology: Mean face, triangles, polygons, uv, landmarks and regions.
        modes: (100, V, 3) float32. Identity modes; coefficients are standard normal.
        shapes: (53, V, 3) float32. Expression displacements, in the order of ``SHAPES``.
    """

    topology: Topology
    modes: NDArray[np.float32]
    shapes: NDArray[np.float32]


def load_ict(source: Path | str, region: str = "narrow") -> IctModel:
    """Reads the release; parsed arrays are cached by the content of the source.

    Args:
        source: ``ict-facekit.tar.xz``, the unpacked folder, or a checkout of the repository.
        region: ``narrow`` (6,706 vertices), ``face`` (9,409) or ``head`` (11,248).
    """
    if region not in REGIONS:
        raise UnknownName("region", region, REGIONS)
    arrays = _parsed(Path(source))
    count = REGIONS[region]
    mean = arrays["neutral"][:count] * np.float32(MILLIMETERS)
    modes = arrays["modes"][:, :count] * np.float32(MILLIMETERS)
    shapes = arrays["shapes"][:, :count] * np.float32(MILLIMETERS)
    return IctModel(_topology(region, mean, shapes, arrays), modes, shapes)


def _parsed(source: Path) -> dict[str, NDArray]:
    """The release as arrays, from the cache when this very content was parsed before."""
    digest = _content_digest(source)
    path = cache_folder() / "sources" / f"ict-{digest[:24]}.npz"
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except Exception:  # zipfile, zlib and numpy each raise their own kinds on a damaged cache
            path.unlink(missing_ok=True)
    arrays = _parse(source)
    save_npz(path, arrays)
    return arrays


def _content_digest(source: Path) -> str:
    digest = hashlib.sha256(b"1")
    if source.is_dir():
        for path in sorted(_model_folder(source).glob("*.obj")):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    elif source.is_file():
        with source.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def _model_folder(source: Path) -> Path:
    """The folder of the OBJ files below an unpacked archive or a checkout."""
    for folder in (source, source / "FaceXModel", source / "ICT-FaceKit" / "FaceXModel"):
        if (folder / f"{NEUTRAL}.obj").is_file():
            return folder
    raise DataMissing(
        "this folder does not hold the ICT-FaceKit Light model",
        received=str(source),
        remedy=f"expected FaceXModel/{NEUTRAL}.obj in it; get it from github.com/ICT-VGL/ICT-FaceKit",
    )


def _parse(source: Path) -> dict[str, NDArray]:
    needed = {NEUTRAL, *MODES, *SHAPES}
    vertices: dict[str, NDArray[np.float32]] = {}
    neutral = None
    for name, content in track(_files(source, needed), "reading ICT-FaceKit", total=len(needed)):
        vertices[name] = _vertices_of(content, name)
        if name == NEUTRAL:
            neutral = content
    missing = sorted(needed - set(vertices))
    if missing or neutral is None:
        raise DataMissing(
            f"{len(missing)} of the {len(needed)} files of ICT-FaceKit Light are missing",
            received=f"{source} without FaceXModel/{missing[0]}.obj",
            remedy="copy the release again from github.com/ICT-VGL/ICT-FaceKit",
        )
    return {
        "neutral": vertices[NEUTRAL],
        "modes": np.stack([vertices[name] - vertices[NEUTRAL] for name in MODES]),
        "shapes": np.stack([vertices[name] - vertices[NEUTRAL] for name in SHAPES]),
        **_connectivity(neutral),
    }


def _files(source: Path, needed: set[str]) -> Iterator[tuple[str, bytes]]:
    """(stem, content) of the needed OBJ files, wherever they are."""
    if source.is_dir():
        folder = _model_folder(source)
        for name in sorted(needed):
            if (folder / f"{name}.obj").is_file():
                yield name, (folder / f"{name}.obj").read_bytes()
        return

    def wanted(name: str) -> bool:
        path = PurePosixPath(name)
        return path.suffix == ".obj" and path.parent.name == "FaceXModel" and path.stem in needed

    for name, content in archive_members(source, wanted):
        yield PurePosixPath(name).stem, content


def _vertices_of(content: bytes, name: str) -> NDArray[np.float32]:
    """(26719, 3) the vertex block of one of the release's OBJ files."""
    start = content.find(b"\nv ")
    end = content.find(b"\nvt ", start)
    block = content[start + 1 : end if end > 0 else None]
    try:
        numbers = np.array(block.replace(b"v", b"").split(), np.float32)
    except ValueError:
        numbers = np.zeros(0, np.float32)
    if start < 0 or len(numbers) != 3 * VERTEX_COUNT or not np.isfinite(numbers).all():
        raise BadFile(
            f"FaceXModel/{name}.obj is not one of the release's {VERTEX_COUNT} vertices",
            received=f"{len(numbers) // 3} vertices",
            remedy="copy the release again from github.com/ICT-VGL/ICT-FaceKit",
        )
    return numbers.reshape(-1, 3)


def _connectivity(content: bytes) -> dict[str, NDArray]:
    """Polygons and uv of the neutral, read by the library's own OBJ reader."""
    with passing_folder() as folder:
        path = folder / f"{NEUTRAL}.obj"
        path.write_bytes(content)
        mesh = read_obj(path)
    assert mesh.polygons is not None and mesh.uv is not None and mesh.polygons.uv_corners is not None
    return {
        "sizes": mesh.polygons.sizes,
        "corners": mesh.polygons.corners,
        "uv_corners": mesh.polygons.uv_corners,
        "uv": mesh.uv,
    }


def _topology(region: str, mean: NDArray, shapes: NDArray, arrays: dict[str, NDArray]) -> Topology:
    sizes, corners, uv_corners = arrays["sizes"], arrays["corners"], arrays["uv_corners"]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    inside = np.ones(len(sizes), bool)
    np.logical_and.at(inside, owner, corners < len(mean))
    kept = inside[owner]
    used, uv_index = np.unique(uv_corners[kept], return_inverse=True)
    polygons = Polygons(
        sizes[inside].astype(np.int32), corners[kept].astype(np.int32), uv_index.reshape(-1).astype(np.int32)
    )
    faces, uv_faces = polygons.triangulate()
    nose = mean[LANDMARKS[27]], mean[LANDMARKS[31]]
    points = {f"ibug_{number}": index for number, index in enumerate(LANDMARKS) if index < len(mean)}
    return Topology(
        f"ict-{region}", faces, mean, polygons, arrays["uv"][used].astype(np.float32), uv_faces,
        Landmarks.at_vertices(points), moved_regions(mean, shapes, *nose), mirror_of(mean),
    )  # fmt: skip


def contact_rings(topology: Topology) -> NDArray[np.int64]:
    """Vertices of the edge rings where lids and lips meet; decimation keeps them.

    On the neutral they lie in folds, where a quadric sees nothing to keep; in a wide open mouth they are the
    outline. They are counted in rings from the rims of the eye and mouth openings.

    Returns:
        (n,) int64 vertices.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import dijkstra

    polygons, count = topology.polygons, topology.vertex_count
    assert polygons is not None
    starts = np.concatenate([[0], np.cumsum(polygons.sizes)[:-1]])
    following = np.arange(1, len(polygons.corners) + 1)
    following[starts + polygons.sizes - 1] = starts
    first, second = polygons.corners, polygons.corners[following]
    edges = csr_matrix((np.ones(len(first)), (first, second)), (count, count))
    one_sided = edges - edges.multiply(edges.T)
    rim_edges = np.stack(one_sided.nonzero(), axis=1)
    kept = []
    for landmark, reach, rings in ((62, 12.0, (4, 6)), (37, 2.0, (2, 3)), (43, 2.0, (2, 3))):
        rim = _rim_near(
            rim_edges, dijkstra(edges, False, np.array(LANDMARKS[landmark]), unweighted=True), reach
        )
        distance = dijkstra(edges, False, rim, unweighted=True, min_only=True)
        kept.append(np.flatnonzero(np.isin(distance, rings)))
    return np.concatenate(kept)


def _rim_near(rim_edges: NDArray, steps: NDArray, reach: float) -> NDArray[np.int64]:
    """All vertices of the rim that is within so many edges of a landmark."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    graph = csr_matrix((np.ones(len(rim_edges)), rim_edges.T), (len(steps), len(steps)))
    label = connected_components(graph, directed=False)[1]
    on_rim = np.unique(rim_edges)
    near = on_rim[steps[on_rim].argmin()]
    if steps[near] > reach:
        raise BadFile(
            "no opening lies where the release has its eyes and mouth", received=f"{steps[near]} edges"
        )
    return np.flatnonzero(label == label[near])


def mirror_of(vertices: NDArray, tolerance: float = 0.5) -> NDArray[np.int32] | None:
    """The mirror image of each vertex in x = 0.

    Args:
        vertices: (V, 3) float, millimeters.
        tolerance: Millimeters between a mirrored vertex and its counterpart.

    Returns:
        (V,) int32 indices, or None when the mesh is not symmetric.
    """
    from scipy.spatial import cKDTree

    found = cKDTree(vertices).query(vertices * [-1, 1, 1])
    distance, index = np.asarray(found[0]), np.asarray(found[1], np.int32)
    symmetric = distance.max() <= tolerance and bool((index[index] == np.arange(len(index))).all())
    return index if symmetric else None
