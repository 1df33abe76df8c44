"""How the report on generated faces is printed, in the form of the paper's tables 1 and 2; its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mien.evaluation.rows import Row
from mien.evaluation.scans import conditions_text
from mien.evaluation.table_cells import Column, count, interval, one_decimal, two_decimals, worst
from mien.evaluation.tables import Layout, Table, arranged, published_table

DIVERSITY: tuple[Column, ...] = (
    ("div_all", "Div", two_decimals), ("div_id", "Div-Id", two_decimals),
    ("div_exp", "Div-Exp", two_decimals), ("specificity", "Sp.", two_decimals),
    ("specificity", "Sp. 95 %", interval),
)  # fmt: skip


def _beside_chance(kind: str) -> tuple[Column, ...]:
    """Decoupling by one kind of similarity network, and what it is worth."""
    columns: list[Column] = []
    for metric, title in (("dec_id", "Dec-Id"), ("dec_exp", "Dec-Exp")):
        name, lite = metric + kind, " lite" if kind else ""
        columns += [
            (name, f"{title}{lite}", one_decimal), (name, f"{title} 95 %", interval),
            (f"{name}_random", f"{title} random", one_decimal),
            (f"{name}_lift", f"{title} lift", one_decimal),
            (f"{name}_own", f"{title} at 10 %", one_decimal),
        ]  # fmt: skip
    return tuple(columns)


CHANCE = (
    "random: the same percentage of random pairs of the model, which share nothing. Lift: what is left "
    "without it. At 10 %: the percentage when every model's threshold lets 10 % of its own random pairs "
    "pass, the most that the paper allows a network. A model whose random faces look alike passes "
    "many pairs that only chance made the same: compare models by the last columns."
)

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "Decoupling, diversity, specificity",
        "Dec-: % of faces with the same identity (expression) code that an embedding network takes for the "
        "same person (expression). Div-: mean vertex distance in mm of random pairs, of pairs with the same "
        "identity code, of pairs with the same expression code. Sp.: distance in mm to the nearest training "
        "face. Higher is better except for Sp.; never read decoupling without diversity: faces that hardly "
        "differ are easily the same.",
        (("dec_id", "Dec-Id", one_decimal), ("dec_exp", "Dec-Exp", one_decimal), *DIVERSITY),
    ),
    Layout("Decoupling beside chance", f"Dec- as above; {CHANCE}", _beside_chance("")),
    Layout(
        "Decoupling by the lite networks",
        "The same percentages by small networks on principal components: not comparable with those above. "
        f"{CHANCE[0].upper()}{CHANCE[1:]}",
        _beside_chance("_lite"),
    ),
    Layout(
        "Similarity networks",
        "Faces nearer than tau count as the same. Accuracy and false accepts (at most 10 %) on equally many "
        "held-out real pairs of both kinds; ceiling: further real pairs with the same label; floor: random "
        "real pairs. A model cannot be told from perfect above the ceiling, nor from chance at the floor.",
        (
            ("judge_tau", "tau", two_decimals),
            ("judge_accuracy", "accuracy (%)", one_decimal),
            ("judge_far", "FAR (%)", one_decimal),
            ("judge_ceiling", "ceiling (%)", one_decimal),
            ("judge_floor", "floor (%)", one_decimal),
            ("judge_pairs", "pairs of each kind", count),
        ),
    ),
    Layout(
        "Faces from landmarks",
        "RMSE in mm of fitted faces to the true surface, mean over scans, for three weights of the prior; "
        "lower is better. Residual: what the landmarks themselves are off at weight 0. "
        "0 : 10: how much worse it is without the prior.",
        (
            ("sparse_rmse_0", "lambda = 0", two_decimals),
            ("sparse_rmse_0.01", "lambda = 0.01", two_decimals),
            ("sparse_rmse_10", "lambda = 10", two_decimals),
            ("sparse_rmse_0", "95 % at 0", interval),
            ("sparse_residual_0", "residual", two_decimals),
            ("sparse_gain", "0 : 10", two_decimals),
        ),
    ),
    Layout(
        "Control of expressions",
        "Every expression by name, on people that the model makes up (on test people, where it cannot). "
        "Named: % that a classifier of real faces names as asked, new people for each expression or one "
        "person through all. Kept: % of one person's expressions that the lite network takes for the person "
        "at rest. rho: rank correlation of asked intensity (15 values from 0 to 1.5) with displacement and "
        "with the classifier's probability, and its worst expression; of held-out people, their own "
        "expressions scaled from rest: beyond what the classifier has seen, an expression may come to look "
        "like another one. 1.5 : 1: their displacements' ratio.",
        (
            ("cls_exp_held", "named, expression held", one_decimal),
            ("cls_id_held", "named, identity held", one_decimal),
            ("id_kept", "kept", one_decimal),
            ("intensity_rho_disp", "rho displacement", two_decimals),
            ("intensity_rho_disp_worst", "worst", worst),
            ("intensity_rho_prob", "rho probability", two_decimals),
            ("intensity_rho_prob_worst", "worst", worst),
            ("disp_ratio_1_5", "1.5 : 1", two_decimals),
            ("style_spread", "style spread (mm)", two_decimals),
            ("style_spread_noise", "noise alone (mm)", two_decimals),
        ),
    ),
    Layout(
        "Silhouettes",
        "Of held-out real faces in the model's codes, and of generated faces in the lite networks' "
        "embeddings: 1 is tight and apart, 0 mixed, below 0 crossed. Wanted: identity high by person and "
        "near 0 by expression, and the reverse.",
        (
            ("silhouette_person_in_identity", "identity code by person", two_decimals),
            ("silhouette_expression_in_identity", "by expression", two_decimals),
            ("silhouette_expression_in_expression", "expression code by expression", two_decimals),
            ("silhouette_person_in_expression", "by person", two_decimals),
            ("generated_silhouette_person", "generated by person", two_decimals),
            ("generated_silhouette_expression", "by expression", two_decimals),
            ("generated_silhouette_expression_weak", "at intensity 0.3", two_decimals),
        ),
    ),
)

FURTHER = (
    "Further factors",
    "Decoupling (%, by the networks of that factor) and diversity (mm) at one code of each.",
)
"""Title and note of the table of factors beside identity and expression, whatever they are called."""


def generation_tables(
    rows: Sequence[Row], sizes: Mapping[str, str], published: Mapping[str, Mapping[str, Any]]
) -> list[Table]:
    """All tables that have something to say.

    Args:
        rows: Of the report.
        sizes: System -> its code sizes, printed beside its name.
        published: System -> column -> printed value.
    """
    known = {metric for layout in LAYOUTS for metric, _, _ in layout.columns}
    further = dict.fromkeys(
        row.metric for row in rows if row.metric.startswith(("dec_", "div_")) and row.metric not in known
    )
    factors = Layout(*FURTHER, [(metric, metric, two_decimals) for metric in further])
    tables = [table for layout in (*LAYOUTS, factors) for table in arranged(rows, layout, sizes)]
    return tables + published_table(published)


def generation_conditions(facts: Mapping[str, Any]) -> str:
    """The conditions as sentences."""
    return conditions_text(facts, facts["drawn"])


_TABLE_1 = {
    "training data": (None, None, 4.89, 3.30, 5.04, None),
    "w/o mesh reg.": (99.6, 99.1, 1.41, 0.65, 1.25, 3.61),
    "w/o exp. class.": (100.0, 42.8, 4.81, 0.11, 4.87, 2.01),
    "w/o id. class.": (7.8, 98.9, 5.28, 4.87, 2.05, 2.22),
    "w/o feat. loss": (96.0, 80.3, 4.47, 1.75, 4.01, 2.00), "3DMM": (99.6, 65.6, 3.53, 1.95, 2.89, 2.30),
    "MAE": (99.5, 53.3, 3.89, 0.92, 3.76, 2.00), "CoMA": (97.5, 65.5, 3.38, 1.71, 2.90, 2.47),
    "decoupled GAN": (98.6, 89.7, 4.74, 1.94, 4.22, 2.01),
}  # fmt: skip
_TABLE_2 = {"3DMM": (6.62, 4.64, 2.46), "MAE": (4.46, 4.06, 2.78), "CoMA": (3.05, 3.02, 2.83),
            "decoupled GAN": (2.62, 2.55, 2.42)}  # fmt: skip
_COLUMNS = ("Dec-Id", "Dec-Exp", "Div", "Div-Id", "Div-Exp", "Sp.")


def paper_values() -> Mapping[str, Mapping[str, str]]:
    """Tables 1 and 2 of Abrevaya et al. (ICCV 2019): system -> column -> value."""
    result: dict[str, dict[str, str]] = {}
    for system, values in _TABLE_1.items():
        found = {
            name: f"{value:.1f}" if name.startswith("Dec") else f"{value:.2f}"
            for name, value in zip(_COLUMNS, values) if value is not None
        }  # fmt: skip
        sparse = {
            f"lambda = {weight:g}": f"{value:.2f}"
            for weight, value in zip((0, 0.01, 10), _TABLE_2.get(system, ()))
        }
        result[f"{system} (paper)"] = found | sparse
    return result
