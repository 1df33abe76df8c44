# %% [markdown]
# # Judge a model
#
# Every metric of the field, on people whom no model has seen, with the controls that a method has to beat. A small set keeps
# this quick; the numbers mean nothing beyond showing how to read them.

# %%
import tempfile
from pathlib import Path

import mien

folder = Path(tempfile.mkdtemp())
data = mien.build_procedural(folder / "faces", subjects=16, vertices=400)

# %% [markdown]
# ## First, the data
#
# `interaction_fraction` is what no additive model of identity plus expression can explain. Near 0 a linear model is the truth.

# %%
facts = mien.inspect_dataset(data)
for name in ("people", "meshes", "eye_distance_mm", "interaction_fraction"):
    print(f"{name:22s}", facts[name])

# %% [markdown]
# ## Two models
#
# Both closed form, so that this takes seconds: principal components of everything with a linear split, and a morphable model
# with a basis of people and one of expressions. A trained network goes into the same dictionary.

# %%
linear = mien.train("morphable", data, out=folder / "linear", progress=False)
pca = mien.train("pca", data, out=folder / "pca", progress=False)
report = mien.evaluate({"linear": linear, "pca": pca}, data, controls=("nearest_identity",))
print(report.conditions_text)

# %% [markdown]
# ## The numbers
#
# `value` is the mean over test scans, `by_person` what the intervals are made of. All rows are in `report.rows`.

# %%
for metric in ("rec_avd_mesh", "neu_avd", "id_mad", "id_ratio", "transfer_avd"):
    cells = "  ".join(
        f"{system} {report.value(system, metric):6.2f}" for system in ("linear", "pca", "nearest_identity")
    )
    print(f"{metric:14s} {cells}")
print({name: round(value, 2) for name, value in report.by_person("linear", "neu_avd").items()})

# %% [markdown]
# The same as tables for a paper:

# %%
for path in report.save(folder / "tables"):
    print(path.name, path.stat().st_size, "bytes")
print(report.tables[0].latex()[:600])
