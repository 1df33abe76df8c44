"""Train and judge.

The adversarial VAE learns who and what from scans. Here it gets a handful of steps, enough to see the
loop run: one call names the method, the profile and the settings that differ from it; the run folder can be
resumed whenever it was stopped.

Judging happens on people that training never saw. Beside the model stand controls that cost nothing:
the mean face, PCA of the same size, the nearest training person. A number that does not beat them is no
result.

    python examples/05_train_and_judge.py out
"""

import sys
from pathlib import Path

import mien

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
data = mien.build_procedural(out / "faces", subjects=12, vertices=400)

# A few steps only; leave the settings out for a real run, or take profile="standard".
steps = {"steps": 5, "pretraining_steps": 2, "closed_form_finish": 4, "batch_size": 8}
vae = mien.train("adversarial_vae", data, out=out / "vae", profile="smoke", seed=1, progress=False, **steps)
linear = mien.train("morphable", data, out=out / "morphable")

report = mien.evaluate({"vae": vae, "linear": linear}, data, controls=("nearest_identity",))
print(report.conditions_text)
for system in ("vae", "linear", "mean face"):
    print(f"{system:10s} reconstruction {report.value(system, 'rec_avd_mesh'):.2f} mm")

# The same table as Markdown, CSV, LaTeX and JSON.
for path in report.save(out / "tables"):
    print(f"written: {path}")
