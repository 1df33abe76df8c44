"""A method of your own, in closed form.

A method is one class in one file: nothing is registered, and Mien needs no change. This one is the
multilinear model, the classic of disentangled faces: all training faces are a tensor of people, expressions
and coordinates, and its higher-order singular value decomposition gives a basis of people, a basis of
expressions and a core that combines them. Once the class speaks the verbs, tables, rigs, clips, the studio
and exports work for it, from here and from the command line:

    python examples/07_closed_form_method.py out
    mien train examples/07_closed_form_method.py:Tucker --data out/faces --out runs/tucker --set people=14
    mien evaluate runs/tucker out/morphable --data out/faces --code examples/07_closed_form_method.py:Tucker
"""

import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

import mien
from mien import Codes, FaceDataset, FaceModel, Reference, Topology

ROUNDS = 10  # of alternating least squares: a and b in turn


class Tucker(FaceModel):
    """Faces are linear in the person and linear in the expression, but not in both together.

    Reference: Vlasic, Brand, Pfister and Popović, "Face transfer with multilinear models", SIGGRAPH 2005.

    Equations, with the tensor X (people, expressions, 3V) of training faces minus their mean m::

        U_id, U_exp = leading left singular vectors of X unfolded by people and by expressions
        C = X x1 U_id^T x2 U_exp^T
        x = m + sum_ij C_ij a_i b_j
        a, b = argmin ||x - m - C a b||^2 + ridge (||a - mean a||^2 + ||b - mean b||^2)

    The rows of U_id and U_exp, scaled to unit variance, are the codes of training people and expressions.

    Departures: cells of the tensor that nobody performed are filled by the model itself, in turn with its
    decomposition; the fit is to corresponding vertices, by alternating least squares. One face leaves a
    common factor of a and 1 / b open; the ridge settles it.

    Args:
        topology: What all faces share.
        expressions: E expression names.
        people: Size of the identity code; no more than there are training people.
        poses: Size of the expression code; no more than there are expressions, rest included.
        ridge: Weight of the codes' distance from their means, square millimeters a vertex.
    """

    name: ClassVar[str] = "tucker"
    reference: ClassVar[Reference] = Reference(
        "vlasic2005face", "Vlasic, Daniel and Brand, Matthew and Pfister, Hanspeter and Popović, Jovan",
        "Face transfer with multilinear models", "ACM Transactions on Graphics (SIGGRAPH)", 2005,
    )  # fmt: skip
    native: ClassVar[frozenset[str]] = frozenset(("reconstruct", "transfer", "interpolate", "fit"))

    mean_face: Tensor
    core: Tensor
    products: Tensor
    who: Tensor
    what: Tensor

    def __init__(
        self, topology: Topology, expressions: tuple[str, ...], people: int = 30, poses: int = 15,
        ridge: float = 1e-2,
    ) -> None:  # fmt: skip
        super().__init__(topology, expressions)
        self.people, self.poses, self.ridge = people, poses, ridge
        size = topology.vertex_count * 3
        # What training measures is a buffer: it is saved with the model. Its size may follow from the data.
        self.register_buffer("mean_face", torch.zeros(size))
        self.register_buffer("core", torch.zeros(0, 0, size))  # (I, J, 3V)
        self.register_buffer("products", torch.zeros(0, 0, 0, 0))  # (I, J, I, J) of the core with itself
        self.register_buffer("who", torch.zeros(0, 0))  # (S, I) codes of training people
        self.register_buffer("what", torch.zeros(0, 0))  # (1 + E, J) codes of expressions, rest first

    def prepare(self, data: FaceDataset) -> None:
        """All of the training: the tensor, its missing cells, its decomposition."""
        self.check_data(data)
        cells, known = tensor_of(data)
        for _ in range(ROUNDS if not known.all() else 1):
            self.mean_face = cells.mean((0, 1))
            centered = cells - self.mean_face
            self.who = basis(centered, self.people)
            self.what = basis(centered.transpose(0, 1), self.poses)
            count = len(self.who) * len(self.what)  # codes of unit variance: their bases are not orthonormal
            self.core = torch.einsum("si,ej,sev->ijv", self.who, self.what, centered) / count
            guess = self.mean_face + torch.einsum("si,ej,ijv->sev", self.who, self.what, self.core)
            cells = torch.where(known[..., None], cells, guess)
        self.products = torch.einsum("ijv,klv->ijkl", self.core, self.core)

    def calibrate(self, data: FaceDataset) -> None:
        """Spreads of codes as for every model; what an expression is, the decomposition knows by itself."""
        super().calibrate(data)
        self.calibration.rest = self.what[0].clone()
        self.calibration.offsets = self.what[1:] - self.what[0]

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """Alternating ridge least squares from the mean codes.

        Args:
            vertices: (B, V, 3) float, millimeters.
            neutral: Not used.
        """
        seen = torch.einsum("bv,ijv->bij", vertices.flatten(1) - self.mean_face, self.core)
        means = self.who.mean(0), self.what.mean(0)
        a, b = (mean.expand(len(vertices), -1) for mean in means)
        for _ in range(ROUNDS):
            matrix = torch.einsum("ijkl,bj,bl->bik", self.products, b, b)
            a = self.solve(matrix, torch.einsum("bij,bj->bi", seen, b), means[0])
            matrix = torch.einsum("ijkl,bi,bk->bjl", self.products, a, a)
            b = self.solve(matrix, torch.einsum("bij,bi->bj", seen, a), means[1])
        return Codes(a, b)

    def solve(self, matrix: Tensor, right: Tensor, mean: Tensor) -> Tensor:
        """(B, K) codes drawn to their mean, of normal matrices (B, K, K) and right sides (B, K)."""
        ridge = self.ridge * self.topology.vertex_count
        eye = ridge * torch.eye(len(mean), device=mean.device)
        return torch.linalg.solve(matrix + eye, right + ridge * mean)

    def decode(self, codes: Codes) -> Tensor:
        """(B, V, 3) float, millimeters."""
        pairs = codes.identity[:, :, None] * codes.expression[:, None, :]
        return (self.mean_face + pairs.flatten(1) @ self.core.flatten(0, 1)).unflatten(1, (-1, 3))

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """Codes from normal distributions with mean and covariance of the training codes."""
        return self.calibration.sample(count, generator)


def tensor_of(data: FaceDataset) -> tuple[Tensor, Tensor]:
    """(S, 1 + E, 3V) millimeters: each person's mean scan of each expression; (S, 1 + E) which were scanned.

    Cells that were not are the person's mean scan until the decomposition knows better.
    """
    people, index = np.unique(data.row_subject, return_inverse=True)
    faces = torch.from_numpy(data[:]).flatten(1)
    cells = torch.stack([faces[index == person].mean(0) for person in range(len(people))])
    cells = cells[:, None].repeat(1, 1 + len(data.expressions), 1)
    known = torch.zeros(cells.shape[:2], dtype=torch.bool)
    usable = data.row_labeled("expression")
    for person in range(len(people)):
        for label in range(-1, len(data.expressions)):
            rows = (index == person) & (data.label == label) & usable
            if rows.any():
                cells[person, label + 1], known[person, label + 1] = faces[rows].mean(0), True
    return cells, known


def basis(tensor: Tensor, size: int) -> Tensor:
    """(N, K) left singular vectors of a tensor (N, ...) unfolded by its first axis, of unit variance."""
    flat = tensor.flatten(1).double()
    values, vectors = torch.linalg.eigh(flat @ flat.T)
    kept = min(size, int((values > 1e-9 * values[-1]).sum()))
    return (vectors.flip(1)[:, :kept] * len(flat) ** 0.5).float()


if __name__ == "__main__":
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    data = mien.build_procedural(out / "faces", subjects=20, vertices=300)
    tucker = mien.train(Tucker, data, out=out / "tucker", people=14, poses=12)
    morphable = mien.train("morphable", data, out=out / "morphable")

    report = mien.evaluate({"tucker": tucker, "morphable": morphable}, data, controls=())
    for system in ("tucker", "morphable"):
        values = [report.value(system, metric) for metric in ("rec_avd_mesh", "neu_avd", "transfer_avd")]
        print(system, "reconstruction {:.2f}, at rest {:.2f}, transfer {:.2f} mm".format(*values))

    # The folder remembers where its class lies. Whoever opens it says that its code may run.
    again = mien.load_model(out / "tucker", trust_code=True)
    person = data.split("test").neutral_of([0])[0]
    rig = mien.rig(again, person)
    mien.write_glb(out / "rig.glb", rig.base, again.topology, rig.targets, rig.names)
    print(f"rig.glb: {len(rig.names)} targets for an unseen person")
