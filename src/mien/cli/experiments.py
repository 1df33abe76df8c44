"""``mien bench`` and ``mien compare``."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.shell import Stopped, existing, say, show, show_json, show_table


def bench(
    file: str = typer.Argument(
        ..., metavar="BENCH", help="A bench by name (field, field_small) or a YAML file."
    ),
    out: Path = typer.Option(..., "--out", help="Folder of data sets, runs, results and the table."),
    status: bool = typer.Option(False, "--status", help="Say what is done and stop."),
    workers: int | None = typer.Option(None, min=1, help="Runs at a time; default: one a core."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
) -> None:
    """Compares every system of a bench file on its data sets: one queue, one table with intervals.

    Stop it whenever you like: finished runs are kept, and the same command goes on. A failed run is one row.
    """
    from mien.experiments.bench import bench_result, run_bench
    from mien.experiments.bench_file import read_bench

    asked = read_bench(file)
    try:
        result = bench_result(asked, out) if status else run_bench(asked, out, workers=workers)
    except KeyboardInterrupt as error:
        raise Stopped(f"finished runs are kept in {out}; the same command goes on.") from error
    if as_json:
        return show_json(result.as_dict())
    if status:
        lines = [
            (name, s["state"], s.get("processor_seconds", ""), s.get("sentence", ""))
            for name, s in result.states.items()
        ]
        return show_table(("run", "state", "processor s", ""), lines)
    show(result.to_markdown())
    say(f"Written: {out / 'table.md'} and .csv")
    return None


def compare(
    runs: list[Path] = typer.Argument(
        None, metavar="[RUN...]", help="Runs, finished or not; folders of seeds."
    ),
    out: Path = typer.Option(Path("compared"), "--out", help="Where the curves and tables go."),
    report: Path | None = typer.Option(None, help="report.json of evaluate --out: person by person."),
    log_to: str | None = typer.Option(None, help="Copy logs for tensorboard or wandb (offline) instead."),
) -> None:
    """Draws the logs of runs side by side, and the systems of a report person by person: PNG and CSV."""
    from mien.experiments.compare import compare_runs, send_logs

    folders = [existing(run, "run folder") for run in runs or ()]
    written = send_logs(folders, log_to) if log_to else compare_runs(folders, out, report=report)
    for path in written:
        show(str(path))
