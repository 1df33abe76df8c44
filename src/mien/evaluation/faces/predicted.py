"""What other programs predicted, measured like what models make."""

from __future__ import annotations

import numpy as np

from mien.evaluation.faces import metrics
from mien.evaluation.faces.measured import Measured, contact
from mien.evaluation.predictions import Predictions
from mien.evaluation.scans import TestScans, TransferDraws

BATCH = 64


def measure_predictions(scans: TestScans, draws: TransferDraws | str, predictions: Predictions) -> Measured:
    """Reconstruction, neutralization, consistency, recognition by mesh, and transfer.

    Args:
        scans: The test scans.
        draws: The transfer test, or the sentence why there is none.
        predictions: Of these scans and draws.
    """
    found = Measured(scans)
    if predictions.reconstructions is None:
        found.refuse(("rec_avd_mesh", "rec_avd_pooled", "rec_detail"), "no reconstructions were given")
    else:
        for start in range(0, len(scans.data), BATCH):
            rows = np.arange(start, min(start + BATCH, len(scans.data)))
            found.put_reconstruction(rows, predictions.reconstructions[rows])
    if predictions.neutrals is None:
        found.refuse(("neu_avd", "neu_avd_aligned", "id_mad", "rank1_mesh"), "no neutrals were given")
    else:
        _measure_neutrals(found, predictions)
    _measure_transfers(found, draws, predictions)
    found.refuse(("neu_avd_triplet", "rank1_code", "exp_mad", "path_length_identity"), "it takes codes")
    return found


def _measure_neutrals(found: Measured, predictions: Predictions) -> None:
    scans, neutrals = found.test, predictions.neutrals
    assert neutrals is not None
    person, first = np.unique(scans.person[scans.label == -1], return_index=True)
    gallery = np.flatnonzero(scans.label == -1)[first]
    for number, rows in scans.by_person():
        found.put_neutrals(number, rows, neutrals[rows])
        found.put_mean(number, neutrals[rows])
        if len(rows) > 1:
            found.put_person(number, metrics.consistency(neutrals[rows]))
        probes = rows[~np.isin(rows, gallery)]
        if len(gallery) > 1 and number in person and len(probes):
            who = np.full(len(probes), number)
            right = metrics.rank1_mesh(neutrals[gallery], person, neutrals[probes], who)
            found.put_scans(probes, {"rank1_mesh": right})
    found.compare_people()
    if not scans.with_neutral.any():
        found.refuse(("neu_avd", "neu_avd_aligned"), "no person has a neutral scan")
    if len(gallery) < 2:
        found.refuse(("rank1_mesh",), "it takes two people with a neutral scan")


def _measure_transfers(found: Measured, draws: TransferDraws | str, predictions: Predictions) -> None:
    if isinstance(draws, str) or predictions.transfers is None:
        reason = draws if isinstance(draws, str) else "no transfers were given"
        return found.refuse(("transfer_avd",), reason)
    for start in range(0, len(draws.target), BATCH):
        part = slice(start, start + BATCH)
        for end, true in found.test.compared(draws.target[part]).items():
            errors = found.draws.setdefault(f"transfer_avd{end}", np.empty(len(draws.target)))
            errors[part] = metrics.transfer_avd(true, predictions.transfers[part])
            gaps = contact(true, predictions.transfers[part], found.test.data.topology, "transfer")
            for metric, error in gaps.items():
                found.draws.setdefault(f"{metric}{end}", np.empty(len(draws.target)))[part] = error
    return None
