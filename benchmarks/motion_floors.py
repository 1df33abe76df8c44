"""What limits models of moving faces: unlearnt or unlearnable?

    python benchmarks/motion_floors.py RUN... --data DIR [--clips 60]

Mean vertex distance in mm on evenly spread frames of clips of training people and of unseen people: where
both are equal, nothing was overfitted, and people's own manner is what is left. For a ``pca_lstm`` also what
is left of unseen movement when it is projected on the first axes of the training movements.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mien.data.clips import Clip, clip_neutral, clips_of
from mien.data.dataset import FaceDataset
from mien.models import load_model
from mien.models.motion import MotionModel
from mien.models.pca_lstm import PcaLSTM


def print_axes(model: PcaLSTM, data: FaceDataset, clips: list[Clip]) -> None:
    moved = np.concatenate([data[clip.rows[clip.known]] - clip_neutral(data, clip) for clip in clips])
    axes, flat = model.axes.numpy(), moved.reshape(len(moved), -1)
    print(f"{np.linalg.norm(moved, axis=-1).mean():.3f}  moved")
    for count in (8, 16, 32, len(axes)):
        left = flat - (flat @ axes[:count].T) @ axes[:count]
        share = 1 - np.square(left).sum() / np.square(flat).sum()
        error = np.linalg.norm(left.reshape(moved.shape), axis=-1).mean()
        print(f"{error:.3f}  left by {count} axes, which hold {100 * share:.2f} % of the squares")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=60)
    options = parser.parse_args()
    data, chosen = FaceDataset.load(options.data), {}
    for part in ("train", "test"):
        view = data.split(part, protocol="seventeen-to-three")
        clips = clips_of(view)
        spread = np.linspace(0, len(clips) - 1, options.clips).astype(int)
        chosen[part] = (view, [clips[k] for k in spread])
    for run in options.runs:
        model = load_model(run)
        assert isinstance(model, MotionModel)
        errors = {part: model.validation_error(*of)["seq_avd_total"] for part, of in chosen.items()}
        print(f"{run.name}: training people {errors['train']:.3f}, unseen people {errors['test']:.3f}")
        if isinstance(model, PcaLSTM):
            print_axes(model, *chosen["test"])


if __name__ == "__main__":
    main()
