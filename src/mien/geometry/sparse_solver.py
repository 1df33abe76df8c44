"""Sparse symmetric systems, factorized once."""

from __future__ import annotations

from scipy.sparse import csr_matrix
from scipy.sparse.linalg import SuperLU, splu


def factored(system: csr_matrix) -> SuperLU:
    """The factors of a symmetric positive definite matrix; ``solve`` of them takes (n,) or (n, k).

    Pivots stay on the diagonal, where such a matrix needs no others: looking for larger ones, which the
    library does by default, fills the factors of meshes with thin triangles and takes minutes.
    """
    return splu(
        system.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
