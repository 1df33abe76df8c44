"""``mien train`` and ``mien evaluate``."""

import typer


def add_to(app: typer.Typer) -> None:
    """Adds these commands to ``mien``."""
