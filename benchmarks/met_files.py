"""Runs what people do with files that they really have, and holds the outcome against what they would expect.

MIEN_CASES names a folder whose sub-folders are the cases of ``CASES`` below. Models are made in the work
folder where they are missing. For each case: the exit code, the sentence, the Khronos validator's errors
(where Node and the validator are installed), how far the rig's targets lie from those of the control, and,
for glTF files, whether Blender finds the same nodes, skins, materials and tracks before and after (where
``MIEN_BPY_PYTHON`` names a Python that has it). Prints a table and writes it as CSV after every case:

    python benchmarks/met_files.py WORK_DIR [--only TEXT] [--out FILE.csv]
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mien.cli import command
from mien.data.head_rigs import read_head_rig
from mien.io.mesh import read_mesh

TESTS = Path(__file__).parent.parent / "tests"
COLUMNS = ("case", "as_expected", "exit", "seconds", "errors", "off_control_mm", "blender", "said")
TARGET_MM = 0.5  # farther from the control's targets than this is another rig


@dataclass(frozen=True)
class Case:
    """One thing that somebody does with a file.

    Args:
        words: The command; ``IN`` is the case's folder, ``OUT`` a file of the work folder, ``DT``, ``MORPH``
            and ``AU`` are models.
        exit: The expected exit code.
        says: A pattern that the output holds, in any case of letters.
        like: The case whose rig this one equals.
        holds: What must be true of the file written: a sentence, or nothing.
    """

    name: str
    words: str
    exit: int = 0
    says: str = ""
    like: str = ""
    holds: Callable[[Path], str] = field(default=lambda path: "")

    @property
    def folder(self) -> str:
        return self.name.split("/")[0]


def rig(name: str, file: str, **more) -> Case:
    return Case(name, f"rig DT IN/{file} --names arkit -o OUT.glb", **more)


def placed(file: str, **more) -> Case:
    words = f"rig DT IN/head.obj --landmarks IN/{file} --names arkit -o OUT.glb"
    return Case(f"landmarks_variants/{file}", words, **more)


def clip(name: str, file: str = "c.csv", model: str = "MORPH", **more) -> Case:
    return Case(name, f"animate {model} NEUTRAL --curves IN/{file} -o OUT.npz", **more)


def prepare(name: str, **more) -> Case:
    return Case(name, "data prepare folder IN/scans --out OUT", **more)


def colors(least: int) -> Callable[[Path], str]:
    def check(path: Path) -> str:
        found = read_mesh(path)
        count = 0 if found.colors is None else len(np.unique(np.asarray(found.colors), axis=0))
        return "" if count >= least else f"{count} colors of vertices, expected {least}"

    return check


def materials(*bases: tuple[float, float, float]) -> Callable[[Path], str]:
    """A check: the GLB has materials of these base colors (within a rounding to bytes)."""

    def check(path: Path) -> str:
        data = path.read_bytes()
        size = int.from_bytes(data[12:16], "little")
        document = json.loads(data[20 : 20 + size])
        found = [
            item.get("pbrMetallicRoughness", {}).get("baseColorFactor", [1, 1, 1, 1])[:3]
            for item in document.get("materials", ())
        ]
        lacking = [base for base in bases if not any(near(base, other) for other in found)]
        return f"no material of {lacking}; received {found}" if lacking else ""

    def near(base, other) -> bool:
        """Files may hold the color itself or its linear form."""
        linear = [value**2.2 for value in base]
        return any(np.allclose(form, other, atol=0.03) for form in (base, linear))

    return check


def has_picture(path: Path) -> str:
    data = path.read_bytes()
    document = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    return "" if document.get("images") else "no picture"


def seconds_of(length: float) -> Callable[[Path], str]:
    def check(path: Path) -> str:
        with np.load(path) as file:
            frames = max(len(value) for value in file.values() if value.ndim == 3)
            rate = float(file["frames_per_second"]) if "frames_per_second" in file else 30.0
        found = (frames - 1) / rate
        return "" if abs(found - length) < 0.1 else f"{found:.2f} s, expected {length}"

    return check


CASES = (
    rig("glb_control", "head.glb"),
    rig("glb_flat_shaded", "head.glb", like="glb_control"),
    rig("glb_whole_control", "head.glb"),
    rig("glb_split_control", "head.glb"),
    rig("glb_negative_scale", "head.glb", like="glb_control"),
    rig("glb_node_weights", "head.glb"),
    rig("glb_existing_morph_animation", "head.glb"),
    rig("glb_required_khr_materials_unlit", "head.glb", like="glb_control"),
    rig("glb_required_khr_mesh_quantization", "head.glb", like="glb_control"),
    rig("glb_required_khr_texture_transform", "head.glb", like="glb_control"),
    rig("glb_skinned_node_transform", "head.glb", like="glb_split_control"),
    rig("glb_already_has_arkit_names", "head.glb", exit=2, says="--existing"),
    Case("glb_already_has_arkit_names/keep", "rig DT IN/head.glb --names arkit --existing keep -o OUT.glb"),
    Case("glb_already_has_arkit_names/replace",
         "rig DT IN/head.glb --names arkit --existing replace -o OUT.glb"),
    rig("obj_bom_first_vertex", "head.obj"),
    rig("obj_hash_in_name", "head.obj", holds=materials((0.1, 0.9, 0.1), (0.9, 0.1, 0.1))),
    rig("obj_huge_coordinates_m", "head.obj"),
    rig("obj_inside_out", "head.obj", says="inside out|inward"),
    Case("obj_inside_out/landmarks",
         "rig DT IN/head.obj --landmarks IN/../landmarks_variants/ok.csv --names arkit -o OUT.glb",
         says="inside out|inward"),
    rig("obj_no_newline_unused_vertex", "head.obj"),
    rig("obj_two_mtllibs/one", "one_line.obj"),
    rig("obj_two_mtllibs/two", "two_lines.obj", like="obj_two_mtllibs/one"),
    rig("obj_vertex_colors", "head.obj", holds=colors(1)),
    Case("obj_vertex_colors/rest", "neutralize MORPH IN/head.obj -o OUT.obj", holds=colors(1)),
    rig("obj_locale_commas", "head.obj", exit=2, says="decimal point"),
    rig("obj_mixed_vertex_colors", "head.obj"),
    rig("obj_offset_1e6_mm", "head.obj"),
    rig("obj_utf16", "head.obj"),
    *(rig(f"ply_variants/{name}", f"{name}.ply")
      for name in ("dark_scan", "crlf", "big_endian", "obj_info", "float_255")),
    rig("ply_variants/wedge", "wedge.ply", holds=has_picture),
    rig("ply_variants/quality", "quality.ply"),
    Case("usd_material_names", "rig DT IN/head.obj --names arkit -o OUT.usda"),
    *(rig(f"wrl_variants/{name}", f"{name}.wrl") for name in ("plain", "use", "transform")),
    placed("ok.csv"),
    *(placed(file, like="landmarks_variants/ok.csv")
      for file in ("comma.csv", "meshlab.pp", "upper.csv", "vertex.csv")),
    placed("swapped.csv", says="left and right"),
    clip("curves_percent", says="percent|100"),
    clip("curves_repeated_time", exit=2),
    clip("curves_semicolon_commas"),
    clip("curves_semicolon_commas/dots", "semi_dot.csv"),
    clip("curves_utf16"),
    clip("livelink_control"),
    clip("livelink_30fps", holds=seconds_of(2)),
    clip("livelink_lost_face", says="lost"),
    clip("openface_au_csv", model="AU"),
    clip("openface_au_csv/plain", "plain.csv", model="AU"),
    clip("audio2face_json", "c.json"),
    *(prepare(f"folder_{name}") for name in (
        "backslash_paths", "case_of_extension", "control", "cp1252_names", "neutral_case", "trailing_columns",
        "two_csv", "utf16_table")),
    prepare("folder_merged_vertices", exit=2),
    prepare("folder_percent_weight", exit=2, says="weight"),
    Case("facescape_mac_zip", "data prepare facescape IN/FS --out OUT"),
)  # fmt: skip


def models(work: Path) -> dict[str, str]:
    """The three models that the cases name, made where they are missing."""
    made = {"DT": "deformation_transfer", "MORPH": "morphable", "AU": "morphable"}
    for word, method in made.items():
        names = "emotion6_units" if word == "AU" else "arkit"
        data, run = work / f"set_{names}", work / f"model_{word}"
        if not data.is_dir():
            build = f"data build procedural --subjects 30 --expressions {names} --vertices 1500 --out {data}"
            assert command(build.split()) == 0
        if not (run / "config.json").is_file():
            assert command(["train", method, "--data", str(data), "--out", str(run)]) == 0
    found = {word: str(work / f"model_{word}") for word in made}
    found["NEUTRAL"] = str(next((work / "set_arkit" / "examples").glob("*_neutral.obj")))
    return found


def perform(case: Case, words: dict[str, str], cases: Path, work: Path) -> dict[str, Any]:
    out = work / "out" / case.name.replace("/", "_").replace(".", "_")
    text = case.words.replace("IN", str(cases / case.folder)).replace("OUT", str(out))
    argv = [words.get(word, word) for word in text.split()]
    for old in out.parent.glob(f"{out.name}.*"):
        old.unlink()
    started, said = time.process_time(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = command(argv)
    row: dict[str, Any] = {"case": case.name, "exit": code, "seconds": time.process_time() - started}
    row["said"] = " ".join(said.getvalue().replace(str(work), "WORK").replace(str(cases), "CASES").split())
    result = Path(argv[-1])
    row["failed"] = failures(case, row, result, work)
    if code == 0 and result.suffix == ".glb":
        row |= judged(case, result, cases / case.folder / Path(argv[2]).name, work)
    return row


def failures(case: Case, row: dict[str, Any], result: Path, work: Path) -> list[str]:
    found = []
    if row["exit"] != case.exit:
        found.append(f"exit {row['exit']}, expected {case.exit}")
    if case.says and not re.search(case.says, str(row["said"]), re.I):
        found.append(f"does not say {case.says}")
    if row["exit"] == 0 and not result.exists():
        found.append("nothing written")
    if row["exit"] == 0 and result.exists() and (sentence := case.holds(result)):
        found.append(sentence)
    return found


def judged(case: Case, result: Path, source: Path, work: Path) -> dict[str, Any]:
    """What the validator, the control and Blender say of a rig."""
    row: dict[str, Any] = {}
    done = subprocess.run(
        ["node", str(TESTS / "validate_glb.mjs"), str(result)], capture_output=True, text=True
    )
    if done.returncode == 0:
        row["errors"] = sum(item["severity"] == 0 for item in json.loads(done.stdout)["messages"])
    if case.like:
        control = work / "out" / (case.like.replace("/", "_").replace(".", "_") + ".glb")
        ours, theirs = sizes(result), sizes(control)
        off = [abs(ours[name] - theirs[name]) for name in theirs if set(ours) == set(theirs)]
        row["off_control_mm"] = max(off, default=np.nan)
    if source.suffix == ".glb" and os.environ.get("MIEN_BPY_PYTHON"):
        row["blender"] = blender(source, result, work)
    return row


def sizes(path: Path) -> dict[str, float]:
    """How far each target of a GLB moves its farthest vertex, in millimeters."""
    rig = read_head_rig(path)
    return dict(zip(rig.names, np.linalg.norm(rig.displacements, axis=-1).max(axis=1).tolist()))


def blender(before: Path, after: Path, work: Path) -> str:
    report = work / "blender.json"
    words = [os.environ["MIEN_BPY_PYTHON"], str(TESTS / "blender_contents.py"), report, before, after]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        return "cannot import: " + done.stderr.strip().splitlines()[-1]
    old, new = json.loads(report.read_text())
    keys = [{name: item.pop("keys") for name, item in side["meshes"].items()} for side in (old, new)]
    added = sum(len(keys[1][name]) - len(keys[0].get(name, ())) for name in keys[1])
    differing = [part for part in old if old[part] != new[part]]
    return f"same, {added} keys more" if not differing else f"differs in {', '.join(differing)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if "MIEN_CASES" not in os.environ:
        sys.exit("MIEN_CASES names no folder of cases")
    (options.work / "out").mkdir(parents=True, exist_ok=True)
    words, rows = models(options.work), []
    for case in CASES:
        if options.only and options.only not in case.name:
            continue
        row = perform(case, words, Path(os.environ["MIEN_CASES"]), options.work)
        failed = faults(case, row)
        rows.append(dict.fromkeys(COLUMNS, "") | row | {"as_expected": not failed})
        print(f"{case.name:44} {'; '.join(failed) or 'as expected':40} {row['seconds']:6.1f} s")
        print(f"    {str(row['said'])[:300]}", flush=True)
        if options.out:
            write(options.out, rows)
    print(f"{sum(bool(row['as_expected']) for row in rows)} of {len(rows)} end as expected")


def faults(case: Case, row: dict[str, Any]) -> list[str]:
    """Sentences on what did not end as expected."""
    found = list(row.pop("failed"))
    if row.get("errors"):
        found.append(f"{row['errors']} errors of the validator")
    if not row.get("off_control_mm", 0) <= TARGET_MM:  # true of NaN, too
        found.append(f"targets differ from {case.like}")
    if not row.get("blender", "same").startswith("same"):
        found.append("Blender: " + row["blender"])
    return found


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """The rows of this run, in place of those of the same cases that the file has from another one."""
    if path.is_file():
        with path.open(newline="") as file:
            ours = {row["case"]: row for row in rows}
            rows = [ours.pop(row["case"], row) for row in csv.DictReader(file)] + list(ours.values())
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in rows:
            kept = {key: f"{value:.2f}" if isinstance(value, float) else value for key, value in row.items()}
            writer.writerow(kept | {"said": str(row["said"])[:200]})


if __name__ == "__main__":
    main()
