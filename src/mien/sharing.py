"""Models that others can load: ``save_pretrained``, ``from_pretrained``, ``push_to_hub``.

The network is asked only where the caller writes ``owner/name`` of a repository, and never when the variable
``HF_HUB_OFFLINE`` is set. Of a repository only a model's own files are fetched, none of which holds code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mien.errors import BadSetting, DataMissing, require
from mien.io.atomic import write_bytes
from mien.models.base import FaceModel
from mien.models.files import FACE_POINTS, load_model, save_model
from mien.training.card import write_card
from mien.version import __version__

NEEDED = ("model.safetensors", "topology.npz", "config.json")
SHARED = (FACE_POINTS, "metrics.json", "README.md", *NEEDED)
"""What of a model folder is shared; logs and checkpoints of training are not."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def save_pretrained(model: FaceModel | Path | str, folder: Path | str) -> Path:
    """Writes a model and its card into a folder, without what only training needs.

    Args:
        model: A model; or a finished run, whose card states data, license, protocol and what was measured.
        folder: Created if needed.

    Returns:
        The folder.

    Raises:
        DataMissing: The run is absent or not finished.
    """
    folder = Path(folder)
    if isinstance(model, FaceModel):
        save_model(model, folder)
        write_card(folder, type(model))
        return folder
    run = Path(model)
    _check_whole(run, "finish the run, or give the folder of another")
    if not (run / "README.md").is_file():
        write_card(run)
    for name in SHARED:  # the configuration comes last: without it a folder is no model
        if (run / name).is_file():
            write_bytes(folder / name, (run / name).read_bytes())
    return folder


def from_pretrained(
    name: Path | str, *, revision: str | None = None, method: str | type[FaceModel] | None = None,
    trust_code: bool = False,
) -> FaceModel:  # fmt: skip
    """Opens a model of a folder, or of a repository on the Hugging Face Hub.

    Args:
        name: A folder; or, where there is none of this name, ``owner/name`` of a repository.
        revision: Branch, tag or commit of a repository.
        method: The model's class for a method of your own, as for :func:`mien.load_model`.
        trust_code: As there.

    Raises:
        DataMissing: Neither a folder nor a repository; or there is no connection, or no Mien model in it.
        MissingPackage: A repository is named and the extra ``hub`` is not installed.
        BadFile: The model's files are damaged.
    """
    folder = Path(name) if Path(name).is_dir() else fetched(str(name), revision=revision)
    return load_model(folder, method=method, trust_code=trust_code)


def fetched(repository: str, *, revision: str | None = None) -> Path:
    """The folder in which a repository's model lies after it was fetched; what is there is not fetched again.

    Args:
        repository: ``owner/name``.
        revision: Branch, tag or commit.

    Raises:
        DataMissing: There is no such repository, no connection, or no Mien model in it.
        MissingPackage: The extra ``hub`` is not installed.
    """
    if not _NAME.fullmatch(repository):
        raise DataMissing(
            "there is no such model folder, and it is no name of a repository", received=repository,
            remedy="give a folder, or owner/name",
        )  # fmt: skip
    hub = require("huggingface_hub", "hub")
    with _told(hub, repository):
        folder = Path(
            hub.snapshot_download(
                repository,
                revision=revision,
                allow_patterns=list(SHARED),
                library_name="mien",
                library_version=__version__,
            )  # fmt: skip
        )
    _check_whole(folder, f"{repository} holds no Mien model; give another repository")
    return folder


def push_to_hub(folder: Path | str, repository: str, *, private: bool = True) -> str:
    """Uploads a finished run to a repository on the Hugging Face Hub, which is made if needed.

    The card goes along: data and its license, protocol, the table of what was measured. Faces of a licensed
    set stand in no model, but its license may still bind what was learned from it: read it first.

    Args:
        folder: A finished run, or what :func:`save_pretrained` wrote.
        repository: ``owner/name``; you are to be logged in (``hf auth login``).
        private: Whether a new repository is seen by its owner alone.

    Returns:
        The address of the upload.

    Raises:
        BadSetting: No name of a repository.
        DataMissing: The run is absent or not finished; or the upload was refused.
        MissingPackage: The extra ``hub`` is not installed.
    """
    folder = Path(folder)
    if not _NAME.fullmatch(repository):
        raise BadSetting("a repository is named owner/name", received=repository)
    _check_whole(folder, "finish the run, or give the folder of another")
    if not (folder / "README.md").is_file():
        write_card(folder)
    hub = require("huggingface_hub", "hub")
    with _told(hub, repository):
        api = hub.HfApi(library_name="mien", library_version=__version__)
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository, folder_path=folder, allow_patterns=list(SHARED),
            commit_message=f"Model of Mien {__version__}",
        )  # fmt: skip
    return str(done)


def _check_whole(folder: Path, remedy: str) -> None:
    for name in NEEDED:
        if not (folder / name).is_file():
            raise DataMissing(f"the model folder has no {name}", received=str(folder), remedy=remedy)


@contextmanager
def _told(hub: Any, repository: str) -> Iterator[None]:
    """Turns what goes wrong between here and a repository into one sentence."""
    errors = hub.errors
    try:
        yield
    except (errors.RevisionNotFoundError, errors.RepositoryNotFoundError) as error:
        raise DataMissing(
            "there is no such repository on the hub, or it is private or lacks that revision",
            received=repository, remedy="check the name; log in with `hf auth login` for your own",
        ) from error  # fmt: skip
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise DataMissing(
            "the model was not fetched before, and the hub cannot be asked", received=repository,
            remedy="connect, unset HF_HUB_OFFLINE, or give a folder",
        ) from error  # fmt: skip
    except (errors.HfHubHTTPError, OSError, ValueError) as error:
        raise DataMissing(
            "the hub refused or broke off",
            received=f"{repository} ({' '.join(str(error).split())[:200] or type(error).__name__})",
            remedy="try again; what was there before is unchanged",
        ) from error
