"""The studio without its browser: every request as a method, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.apply import OpenedFace, open_face, refusal, report_rig
from mien.apply.like import model_beside
from mien.data.arkit import gaze_of
from mien.data.dataset import FaceDataset
from mien.data.head_rigs import HeadRig
from mien.data.rig_sizes import is_sizes_table
from mien.errors import BadSetting, MienError, WrongTopology
from mien.figures.heat import nice_maximum
from mien.io.worker import Worker
from mien.models.base import FaceModel
from mien.viewer import actions
from mien.viewer.about import about
from mien.viewer.appearance import OwnMesh, appearance_of, painted_appearance, skin, slits
from mien.viewer.engine import Engine
from mien.viewer.export import MENU, Download, export
from mien.viewer.jobs import Jobs
from mien.viewer.materials import MODEL, WORN
from mien.viewer.people import first_people
from mien.viewer.picking import (
    FEWEST,
    LoadedHead,
    Picking,
    Unplaced,
    guide_of,
    named_shapes_of,
    unfactorized,
)
from mien.viewer.session import History, Person, State
from mien.viewer.uploads import (
    COMPANIONS,
    MEGABYTE,
    SIZE_TABLES,
    TAKES,
    companion,
    plain_name,
    read_landmark_upload,
    read_size_upload,
    read_take,
    read_upload,
)  # fmt: skip
from mien.viewer.wire import pack, state_json

MOST_LOADED = 40
MOST_REPORTS = 32  # that are kept
LONGEST_WATCH = 20.0  # seconds
MOST_MODELS = 12  # side by side or hidden, those like heads included
LARGEST_CLIP = 512 * MEGABYTE  # bytes of vertices sent for one clip


class Studio:
    """One session: models side by side, people, sliders, a time line.

    Requests come from several connections; a lock lets one at a time touch the models. What takes its time
    (reading files, registration) waits in a queue that can be watched, and does not keep the others.

    Args:
        engines: The models; the first one decides on people and sliders.
        data: A data set whose training people can be picked, or None.
        limit: The largest file that may be loaded, bytes.
        worker: The process that reads and registers heads; None does it in this one.
    """

    def __init__(
        self, engines: Sequence[Engine], data: FaceDataset | None = None, *, limit: int = 64 * MEGABYTE,
        worker: Worker | None = None,
    ) -> None:  # fmt: skip
        self.engines = list(engines)
        self.limit = limit
        self.topology = engines[0].model.topology
        for engine in engines[1:]:
            if engine.model.topology.fingerprint != self.topology.fingerprint:
                raise WrongTopology(
                    "models side by side need one topology",
                    received=f"{engine.model.topology.name!r} against {self.topology.name!r}",
                    remedy="open them in two studios",
                )
            engine.lender = engines[0]
        first = engines[0]
        shown = tuple(range(min(len(engines), 3)))
        people = first_people(first.model, data)
        self.history = History(
            State(
                first.model.expressions,
                len(first.axes),
                people,
                people[0].key,
                models=tuple(range(len(engines))),
                shown=shown,
                heat="texture" if first.model.makes_textures else "none",
            )  # fmt: skip
        )
        self._lock = threading.RLock()
        self._news = threading.Condition()
        self._waiting = 0
        self.jobs = Jobs(worker, self._news)
        self._rims = np.concatenate([*slits(self.topology)[0], np.zeros(0, np.int64)]).astype(np.int64)
        self._loaded = 0
        self._meshes: dict[str, OwnMesh] = {}
        self._reports: dict[tuple[object, ...], dict[str, Any]] = {}
        self._picking: Picking | None = None
        self._beside: dict[str, bytes] = {}  # material libraries and pictures for heads that come after them

    def close(self) -> None:
        """Ends the process that reads heads, if there is one."""
        if self.jobs.worker is not None:
            self.jobs.worker.close()

    # ---- what the page asks for

    def describe(self) -> bytes:
        """Models, sliders, limits, triangles and appearance: what does not change."""
        arrays, layout = appearance_of(self.topology)
        textured = any(engine.model.makes_textures for engine in self.engines)
        can = {
            "load": True, "sizes": True, "pick": len(self.topology.landmarks) >= FEWEST,
            "random": not refusal(type(self.engines[0].model), "generate"),
            "styles": any(engine.has_styles for engine in self.engines),
            "varied": any(engine.varies for engine in self.engines),
            "heats": [kind for kind in actions.HEATS if kind != "texture" or textured],
            "exports": [list(item) for item in MENU],
        }  # fmt: skip
        head = {**self._about(), "limit": self.limit, "layout": layout, "can": can}
        return pack(head, arrays)

    def sliders(self) -> bytes:
        """Models and sliders as they are now: a model like a head may have brought some."""
        return pack(self._about())

    def _about(self) -> dict[str, Any]:
        with self._lock:
            return about(self.engines, self.history.state.expressions)

    def act(self, name: str, arguments: Mapping[str, Any], merge: str = "") -> bytes:
        """Does a named action, ``undo`` or ``redo`` and shows what comes of it."""
        with self._in_line():
            if name in ("undo", "redo"):
                getattr(self.history, name)()
            elif name != "refresh":
                self.history.do(lambda state: self._checked(actions.act(state, name, arguments)), merge)
            return self._frame()

    @contextmanager
    def _in_line(self) -> Iterator[None]:
        """The lock; who waits for it is counted."""
        with self._news:
            self._waiting += 1
        try:
            with self._lock:
                yield
        finally:
            with self._news:
                self._waiting -= 1
                self._news.notify_all()

    def watch(self, revision: int, queue: int, seconds: float = LONGEST_WATCH) -> bytes:
        """Revision, jobs and waiting actions, as soon as something is new, or when nothing was for long.

        Args:
            revision: Of the state that is known.
            queue: Version of the jobs that are known.
            seconds: The longest wait.
        """
        with self._news:
            self._news.wait_for(
                lambda: (self.history.revision, self.jobs.version) != (revision, queue), seconds
            )
            head = {"revision": self.history.revision, "queue": self.jobs.version, "waiting": self._waiting}
            return pack({**head, "jobs": self.jobs.listed()})

    def cancel(self, number: Any) -> bytes:
        """Ends a job.

        Args:
            number: As :meth:`watch` tells it.
        """
        self.jobs.cancel(number)
        return pack({})

    @cached_property
    def _guide(self) -> FaceModel:
        """What lays the template on heads, in this process or another one."""
        with self._lock:
            return guide_of(self.engines[0].model)

    def load(self, name: str, data: bytes) -> bytes:
        """Adds a head from the bytes of a mesh file and shows it, or a recording to the time line.

        A table of sizes sets these. Material libraries and pictures are kept for the meshes after them.
        """
        if is_sizes_table(data) and Path(name).suffix.lower() in SIZE_TABLES:
            with self._lock:
                sizes = read_size_upload(name, data, self.history.state.expressions, limit=self.limit)
                self.history.do(lambda state: actions.set_sizes(state, sizes))
                return self._frame({"told": f"Sizes of {len(sizes)} expressions are set."})
        if name.lower().endswith(TAKES):
            return self._load_take(name, data)
        if Path(name).suffix.lower() in COMPANIONS:
            with self._lock:
                self._beside[companion(name, data, self.limit)] = data
                while sum(map(len, self._beside.values())) > self.limit:
                    del self._beside[next(iter(self._beside))]
                return self._frame()
        # Outside the lock: a mesh of another topology is registered, and sliders go on meanwhile.
        with self.jobs.begin(_titled(name)) as job:
            head = job.run(read_upload, name, data, self.limit, dict(self._beside))
            try:
                face = job.run(LoadedHead.opened, head, self._guide)
            except Unplaced:
                self._picking = Picking(head, self.topology, _called(name))
                raise
        return self._opened(name, face, head.rig)

    def load_soon(self, find: Callable[[], Path | None]) -> threading.Thread:
        """Adds a head of this machine as soon as it is ready; the page is there meanwhile.

        Args:
            find: What gives its file, or None where there is none.

        Returns:
            The thread that does so.
        """

        def load() -> None:
            if (path := find()) is not None:
                self.load(path.name, path.read_bytes())

        thread = threading.Thread(target=load, daemon=True)
        thread.start()
        return thread

    def _load_take(self, name: str, data: bytes) -> bytes:
        state = self.history.state
        with self.jobs.begin(_titled(name)) as job:
            take = job.run(read_take, name, data, state.expressions, state.fps, self.limit)
        with self._lock:
            self.history.do(lambda state: actions.add_take(state, take))
            return self._frame()

    def open(
        self, path: Path, landmarks: Path | None = None, pieces: Mapping[str, str] | None = None
    ) -> bytes:
        """Adds a head from a file of this machine, and shows it.

        Args:
            path: A mesh file.
            landmarks: A table of landmarks on it.
            pieces: What pieces of it are, see :func:`mien.open_face`.
        """
        face = open_face(path, self.engines[0].model, landmarks, pieces=pieces).with_materials()
        rig, told = named_shapes_of(path)
        return self._opened(path.name, replace(face, notes=(*face.notes, *told)), rig)

    def _opened(self, name: str, face: OpenedFace, rig: HeadRig | None) -> bytes:
        note = _note(face)
        _factorize(face)
        with self._lock:
            self.add_head(_called(name), face.vertices, note, face, rig)
            return self._frame()

    def add_head(
        self, name: str, vertices: NDArray[np.float32], note: str = "", face: OpenedFace | None = None,
        rig: HeadRig | None = None,
    ) -> Person:  # fmt: skip
        """Adds a head of the studio's topology, (V, 3) millimeters, and shows it."""
        loaded = sum(person.kind == "loaded" for person in self.history.state.people)
        if loaded >= MOST_LOADED:
            raise BadSetting(f"the studio holds {MOST_LOADED} loaded heads", received=loaded + 1)
        person = self._person(name, vertices, note, face, rig)
        self.history.do(lambda state: actions.add_person(state, person))
        return person

    def _person(
        self, name: str, vertices: NDArray, note: str, face: OpenedFace | None, rig: HeadRig | None
    ) -> Person:
        self._loaded += 1
        key = f"loaded-{self._loaded}"
        return Person(key, name, "loaded", vertices=vertices, note=note, face=face, rig=rig)

    def move_like(self, key: str) -> bytes:
        """Adds a model that moves everybody as a loaded head with named shapes moves, beside the first one.

        Args:
            key: Of the person.
        """
        person, first = self.history.state.find(key), self.engines[0].model
        if person.rig is None:
            raise BadSetting(
                "this head brought no named shapes", received=person.name,
                remedy="load a GLB, VRM or FBX with its morph targets (blendshapes, shape keys)",
            )  # fmt: skip
        with self.jobs.begin(f"Moving like {person.name}") as job:
            if len(self.engines) >= MOST_MODELS:
                raise BadSetting(
                    f"the studio holds {MOST_MODELS} models", received=len(self.engines) + 1,
                    remedy="start it again",
                )  # fmt: skip
            model, notes = job.run(model_beside, self._guide, [replace(person.rig, name=person.name)])
            engine = Engine(f"like {person.name}", model.to(first.device), self.engines[0])
        with self._lock:
            self.engines.append(engine)
            number, names = len(self.engines) - 1, model.expressions
            self.history.do(lambda state: actions.add_model(state, number, names))
            return self._frame({"told": " ".join(notes)})

    # ---- landmarks that are picked

    def pick_on(self, key: str) -> bytes:
        """Begins to pick landmarks on a loaded head, or without a key on the last one that was refused."""
        with self._lock:
            if key:
                person = self.history.state.find(key)
                if person.face is None or not len(person.face.mesh.faces):
                    raise BadSetting("landmarks are picked on the triangles of a loaded head", received=key)
                head, turn = LoadedHead.of_face(person.face, person.rig), person.face.decision.rotation
                self._picking = Picking(head, self.topology, person.name, key, turn)
            return self._picked.describe()

    def register_picked(self, pairs: Any) -> bytes:
        """Registers the head by the pairs that were picked, and shows it."""
        picking = self._picked
        with self.jobs.begin(picking.name) as job:
            face = job.run(LoadedHead.opened, picking.head, self._guide, picking.enough(pairs))
        note = _note(face)
        _factorize(face)
        with self._lock:
            old = picking.person
            if old in [person.key for person in self.history.state.people]:
                person = self._person(picking.name, face.vertices, note, face, picking.head.rig)
                self.history.do(lambda state: actions.replace_person(state, str(old), person))
            else:
                person = self.add_head(picking.name, face.vertices, note, face, picking.head.rig)
            self._picking = replace(picking, person=person.key)
            return self._frame({"laid": picking.laid(face)})

    def landmark_table(self, pairs: Any) -> Download:
        """The pairs as a table that ``mien register --landmarks`` reads."""
        picking = self._picked
        return Download(f"{picking.name.replace(' ', '_')}_landmarks.csv", "text/csv", picking.table(pairs))

    def read_landmark_table(self, name: str, data: bytes) -> bytes:
        """Pairs from a landmark file in any common form."""
        picking = self._picked
        with self.jobs.begin(_titled(name)) as job:
            found = job.run(read_landmark_upload, name, data, picking.head.mesh, self.limit)
        return pack(picking.pairs(*found))

    @property
    def _picked(self) -> Picking:
        if self._picking is None:
            raise BadSetting("there is no head to pick landmarks on", remedy="drop one first")
        return self._picking

    # ---- what became of the rig on a head

    def report(self, model: str) -> bytes:
        """How large, how far off and how well closed each target of a model is on the head shown.

        Args:
            model: Its number.
        """
        with self._lock:
            state = self.history.state
            person, face = state.somebody, state.somebody.face
            if face is None or not person.foreign:
                raise BadSetting(
                    "a rig is measured on a head with a mesh of its own", received=person.name,
                    remedy="load one of another topology than the model's",
                )  # fmt: skip
            number = int(model) if model.isdecimal() and int(model) < len(self.engines) else state.shown[0]
            parts = number, person.key, person.rest, state.identity, state.intensity, state.style
            key = (*parts, state.variation, state.own, state.detail)
            rig = None if key in self._reports else self.engines[number].rig(state)
        if rig is not None:
            with self.jobs.begin(f"Measuring {person.name}") as job:
                found = job.run(report_rig, unfactorized(face), rig)
            while len(self._reports) >= MOST_REPORTS:
                del self._reports[next(iter(self._reports))]
            self._reports[key] = found.as_dict()
        return pack({"model": number, "person": person.key, **self._reports[key]})

    def appearance(self, key: str) -> bytes:
        """Triangles and appearance of a head's own mesh, or of the model's with pictures on it."""
        with self._lock:
            if key == MODEL:
                arrays, layout = painted_appearance(self.topology, self.topology, WORN)
                return pack({"layout": layout}, arrays)
            person = self.history.state.find(key)
            if person.foreign:
                own = self._own_mesh(person)
                return pack({"layout": own.layout}, own.arrays)
            if person.face is None:
                raise BadSetting("this person has no mesh of its own", received=person.name)
            arrays, layout = painted_appearance(self.topology, person.face.mesh, person.face.materials or {})
            return pack({"layout": layout}, arrays)

    def texture(self, model: str) -> Download:
        """The texture that a model makes for the person shown, as a PNG."""
        with self._lock:
            number = int(model) if model.isdigit() and int(model) < len(self.engines) else 0
            return Download("texture.png", "image/png", self.engines[number].picture(self.history.state))

    def portrait(self, key: str) -> bytes:
        """The vertices of somebody at rest, or of a head as it came, for a small picture."""
        with self._lock:
            state = self.history.state
            person = state.find(key)
            if person.vertices is not None:
                return pack({"key": key}, [person.vertices])
            shown = State(state.expressions, state.axes, state.people, key)
            return pack({"key": key}, [self.engines[0].rest(shown)])

    def clip(self) -> bytes:
        """The frames of the time line, model after model: (M, T, V, 3)."""
        with self._lock:
            state = self.history.state
            frames = len(state.curves())
            size = frames * self.topology.vertex_count * 12 * len(state.shown)
            if size > LARGEST_CLIP:
                raise BadSetting(
                    "the clip is too large to be played here", received=f"{size / MEGABYTE:.0f} MB",
                    remedy="make it shorter or show fewer models",
                )  # fmt: skip
            own = self._own_mesh_shown(state)
            gaze = gaze_of(state.expressions, state.sized(state.curves()))
            clips, panes = [], []
            for number in state.shown:
                made, problem = _try(self.engines[number].clip, state)
                if own is not None and made is not None:
                    engine = self.engines[number]
                    weights = engine.known(state, state.curves()).numpy(force=True)
                    made = own.shown(made, gaze, own.touching(engine.model, weights))
                panes.append({"model": number, "problem": problem, "size": 0 if made is None else made.size})
                clips += [] if made is None else [made]
            head = {"frames": frames, "fps": state.fps, "panes": panes}
            return pack(head, clips)

    def export(self, kind: str) -> Download:
        """The first shown model's face as a file."""
        with self._lock:
            state = self.history.state
            return export(kind, self.engines[state.shown[0]], state)

    # ---- what it shows

    def _checked(self, state: State) -> State:
        if not set(state.shown) <= set(state.models):
            raise BadSetting(f"models are numbered {', '.join(map(str, state.models))}", received=state.shown)
        return state

    def _frame(self, further: Mapping[str, Any] | None = None) -> bytes:
        with self._news:
            self._news.notify_all()
        state = self.history.state
        panes: list[dict[str, Any]] = []
        arrays: list[NDArray] = []
        first: NDArray | None = None
        own = self._own_mesh_shown(state)
        gaze = gaze_of(state.expressions, state.sized(state.weights()))
        for number in state.shown:
            engine = self.engines[number]
            face, problem = _try(engine.face, state)
            pane: dict[str, Any] = {"model": number, "problem": problem, "arrays": []}
            if face is not None:
                first = face if first is None else first
                neutral = engine.neutral(state)
                if own is None:
                    sent = {"vertices": face, "rims": neutral[self._rims]}
                    pane |= self._worn(state, engine)
                else:
                    pane["appearance"] = state.person
                    weights = engine.known(state, state.weights()[None])[0].numpy(force=True)
                    shown = own.shown(face, gaze, own.touching(engine.model, weights))
                    sent = {"vertices": shown, "rims": own.rims_of(neutral)}
                if (heat := self._heat(state, engine, face, first, own)) is not None:
                    pane |= {"maximum": max(1.0, nice_maximum(heat)), "mean": float(heat.mean())}
                    sent["heat"] = heat
                pane["arrays"] = [[name, int(array.size)] for name, array in sent.items()]
                arrays += sent.values()
            panes.append(pane)
        return pack({"state": state_json(self.history), "panes": panes, **(further or {})}, arrays)

    def _worn(self, state: State, engine: Engine) -> dict[str, Any]:
        """What the model's mesh wears: the texture that the model makes, or that of a loaded head's file."""
        if state.heat == "texture" and engine.model.makes_textures:
            return {"appearance": MODEL, "picture": engine.picture_key(state)}
        face = state.somebody.face
        wears = state.heat == "none" and face is not None and not face.registered and face.materials
        return {"appearance": state.person} if wears else {}

    def _own_mesh_shown(self, state: State) -> OwnMesh | None:
        """The head's own mesh, if that is what is to be seen; heat maps lie on the model's."""
        person = state.somebody
        wanted = state.heat == "leak" or (state.mesh and state.heat in ("none", "texture"))
        return self._own_mesh(person) if wanted and person.foreign else None

    def _own_mesh(self, person: Person) -> OwnMesh:
        face = person.face
        if face is None or face.head is None:
            raise BadSetting("this head has no mesh of its own", received=person.name)
        if person.key not in self._meshes:
            self._meshes[person.key] = OwnMesh(face.head, face.materials, self._template_colors)
        return self._meshes[person.key]

    @cached_property
    def _template_colors(self) -> NDArray[np.float32]:
        return skin(self.topology, slits(self.topology)[1])

    def _heat(
        self,
        state: State,
        engine: Engine,
        face: NDArray[np.float32],
        first: NDArray[np.float32],
        own: OwnMesh | None,
    ) -> NDArray[np.float32] | None:
        """(V,) millimeters that are shown as colors, or None."""
        if state.heat in ("none", "texture"):
            return None
        if state.heat == "leak":
            return None if own is None else own.leak(engine.neutral(state), face)
        if state.heat == "scan":
            scan = state.somebody.vertices
            # With its detail added back a head equals its scan, and there would be nothing to see.
            plain = engine.face(state, detail=False)
            return np.linalg.norm(plain - np.asarray(scan), axis=1)
        if state.heat == "rest":
            return np.linalg.norm(face - engine.neutral(state), axis=1)
        return np.linalg.norm(face - first, axis=1)


def _note(face: OpenedFace) -> str:
    """What a user should know of a head that was opened."""
    return " ".join(dict.fromkeys([face.decision.sentence, *face.notes]))


def _factorize(face: OpenedFace) -> None:
    """Prepares what carries results to a mesh of its own, before anybody waits for it."""
    if face.registration is not None:
        face.registration.carrier  # noqa: B018, kept by the registration


def _titled(name: str) -> str:
    """What a job about a file is called."""
    return plain_name(name)


def _called(name: str) -> str:
    """What a person of this file is called."""
    return Path(name).stem.replace("_", " ")


def _try(make: Callable[[State], NDArray], state: State) -> tuple[NDArray | None, str]:
    """The result, or the sentence why a model has none: it is shown in its place."""
    try:
        return make(state), ""
    except MienError as error:
        return None, str(error)
