"""How the report on encoded faces is printed: conditions, and a table for each ability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mien.evaluation.rows import Row
from mien.evaluation.scans import conditions_text
from mien.evaluation.table_cells import (
    DASH,
    center,
    count,
    digits,
    interval,
    mean,
    percent,
    spread,
)
from mien.evaluation.tables import Layout, Table, arranged, published_table

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "Reconstruction",
        "Average vertex distance in mm, lower is better. `per mesh` and `pooled` agree in the mean only: "
        "their spreads measure different things. `detail` is the loss of fine shape that distances hide. "
        "Systems whose expression code is a whole mesh reconstruct exactly by construction.",
        (
            ("rec_avd_mesh", "per mesh: mean ± std / median", spread),
            ("rec_avd_mesh", "95 %", interval), ("rec_avd_mesh_truth", "against the truth", spread),
            ("rec_avd_pooled", "pooled: mean ± std / median", spread), ("rec_detail", "detail", mean),
            ("rec_detail_truth", "detail, truth", mean),
            ("rec_avd_mouth", "mouth", mean), ("rec_avd_eyes", "eyes", mean),
            ("rec_avd_brows", "brows", mean),
        ),
    ),
    Layout(
        "Neutralization",
        "Distance of the predicted neutral to the person's true neutral in mm, lower is better. `triplet` "
        "takes the neutral expression from another person.",
        (
            ("neu_avd", "neu_avd: mean ± std / median", spread), ("neu_avd", "95 %", interval),
            ("neu_avd_truth", "against the truth", spread),
            ("neu_avd_aligned", "rigidly aligned", center), ("neu_avd_triplet", "triplet", center),
            ("neu_avd_triplet_truth", "triplet, truth", center),
        ),
    ),
    Layout(
        "Identity consistency",
        "How far apart one person's predicted neutrals lie, mm, mean / median over persons; lower is better "
        "only beside `neu_avd` and at equal `between`: a model that ignores its input scores 0. The columns "
        "are different quantities: `pooled` and `mesh` give the spread of the error's size, not the error.",
        (
            ("id_mad", "id_mad", center), ("id_mad", "95 %", interval),
            ("id_between_avd", "between people", mean),
            ("id_ratio", "id_ratio", mean), ("neu_avd", "neu_avd", mean),
            ("id_std_pooled", "id_std_pooled", center),
            ("id_std_vertex", "id_std_vertex", center), ("id_std_mesh", "id_std_mesh", center),
            ("id_std_avd", "id_std_avd", center),
        ),
        beside=("neu_avd",),
    ),
    Layout(
        "Identity decomposition",
        "The same for neutrals decoded with the neutral expression code of one other person per person.",
        tuple((f"decomposition_{name}", name, center) for name in
              ("id_mad", "id_std_pooled", "id_std_vertex", "id_std_mesh", "id_std_avd")),
    ),
    Layout(
        "Expression consistency",
        "How far apart different people's expression-only meshes of one expression lie, mm, mean / median "
        "over expressions. People differ in how they perform, so 0 is not the goal.",
        tuple((name, name, center) for name in ("exp_mad", "exp_std_pooled", "exp_std_vertex")),
    ),
    Layout(
        "Expression transfer",
        "Distance in mm to the person's own scan of an expression that was taken from another person, lower "
        "is better; means over all draws. Two people perform an expression differently, and that part cannot "
        "be removed; `self` takes the expression from the person's own scan instead (transfer_floor). "
        "`detail kept` adds what the receiver's codes lost of the neutral (`mien transfer --keep-detail`).",
        (
            ("transfer_avd", "transfer_avd: mean ± std / median", spread), ("transfer_avd", "95 %", interval),
            ("transfer_avd_truth", "against the truth", spread), ("transfer_avd_truth", "95 %", interval),
            ("transfer_avd_detail", "detail kept", spread),
            ("transfer_avd_detail_truth", "detail kept, truth", spread), ("transfer_floor", "self", mean),
            ("transfer_floor_truth", "self, truth", mean),
        ),
    ),
    Layout(
        "Contact",
        "How wrongly mouth and eyes stand open, mm, lower is better: the distance of upper and lower lip, "
        "or lid, against that of the scan. Averages over vertices do not show an eye that stays open.",
        tuple((f"{test}_gap_{part}{end}", f"{says}, {part}{comma}", center)
              for test, says in (("rec", "reconstructed"), ("transfer", "transferred"))
              for part in ("mouth", "eyes") for end, comma in (("", ""), ("_truth", ", truth"))),
    ),
    Layout(
        "Interpolation",
        "From a scan of each person to another expression of the next person in ten steps, one code moving: "
        "length of the way over the distance of its ends (1 is straight), and deviation of the steps over "
        "their mean (0 is even); mean / median over persons.",
        tuple((f"{name}_{factor}", f"{factor}: {says}", center) for factor in ("identity", "expression")
              for name, says in (("path_length", "length"), ("path_step_cv", "unevenness"))),
    ),
    Layout(
        "Recognition",
        "Rank-1 rate in % with the 95 % interval: gallery of neutralized neutrals, probes all other scans.",
        (("rank1_mesh", "by mesh", percent), ("rank1_code", "by identity code", percent)),
    ),
    Layout(
        "Leakage",
        "How often a linear reader names a label from a code, % of held-out scans with the 95 % interval. "
        "Wanted: high for a code's own factor, chance for the other.",
        (
            ("leakage_person_from_identity", "person from identity", percent),
            ("leakage_person_from_expression", "person from expression", percent),
            ("leakage_expression_from_identity", "expression from identity", percent),
            ("leakage_expression_from_expression", "expression from expression", percent),
        ),
    ),
    Layout(
        "Read by an outside judge",
        "What MediaPipe's blendshape network reads off clay pictures of some transferred faces. `shown`: "
        "share of the true scan's rise in scores over the person at rest, 1 is as much, 0 nothing. `error`: "
        "mean difference of the 52 scores to the true scan's, lower is better; the scan turned a little "
        "shows how far the judge disagrees with itself. `left`: share still read off predicted neutrals, 0 "
        "is best. It sees heads without hair or color: compare rows, not single numbers.",
        (
            ("read_share", "shown", center), ("read_share", "95 %", interval),
            ("read_error", "error", center), ("read_error", "95 %", interval), ("read_left", "left", center),
            ("read_found", "face seen (%)", mean),
        ),
    ),
    Layout(
        "Size and speed",
        "Milliseconds per mesh in batches, best of three, on the machine of this report.",
        (
            ("parameters", "parameters", count), ("encode_ms", "encode (ms)", mean),
            ("decode_ms", "decode (ms)", mean),
        ),
    ),
)  # fmt: skip


def face_tables(
    rows: Sequence[Row], sizes: Mapping[str, str], published: Mapping[str, Mapping[str, Any]]
) -> list[Table]:
    """All tables that have something to say.

    Args:
        rows: Of the report.
        sizes: System -> its code sizes, printed beside its name.
        published: System -> metric -> printed value.
    """
    tables = []
    for layout in LAYOUTS:
        tables += arranged(rows, layout, sizes)
        if layout.title == "Expression transfer":
            tables += _by_expression(rows)
    return tables + published_table(published)


def _by_expression(rows: Sequence[Row]) -> list[Table]:
    """Expressions down, systems across."""
    prefix = "transfer_avd/"
    found = [row for row in rows if row.metric.startswith(prefix) and row.mean is not None]
    if not found:
        return []
    systems = list(dict.fromkeys(row.system for row in found))
    values = {(row.system, row.metric): digits(row.mean) for row in found if row.mean is not None}
    body = tuple(
        (name.removeprefix(prefix), *(values.get((system, name), DASH) for system in systems))
        for name in dict.fromkeys(row.metric for row in found)
    )
    note = "transfer_avd in mm, mean over the draws of each expression."
    return [Table("Expression transfer by expression", note, ("expression", *systems), body)]


def face_conditions(facts: Mapping[str, Any]) -> str:
    """The conditions as sentences."""
    return conditions_text(facts, f"Transfer: {facts['transfer_draws']:,} draws.")
