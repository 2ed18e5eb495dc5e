"""One run as a single file, for another Descent to open: a zip of config.json, run.json, history.npz, one NPZ a checkpoint, the upload.

Nothing in a file is believed: names and sizes are checked before anything is unpacked, arrays are read by core/data/npz_archive.py,
nothing is unpickled, nothing is written by a name from inside, and the run must pass core/store/validation.py like any stored one.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
import zipfile
from dataclasses import replace

import numpy as np

from core.config import RunConfig
from core.data import load
from core.data.npz_archive import DAMAGE, ENTRY, NUMBERS, TEXT, Archive
from core.data.sources import SOURCES
from core.fit import parameter_count
from core.limits import LIMITS, ConfigError, NotJSON, listed, parsed_json, shown
from core.store.budget import MOST_MOMENTS
from core.store.record import Moment, RunRecord, StoredRun, spark
from core.store.store import HISTORY_BYTES, NAME_LENGTH, NOTE_LENGTH, Store
from core.store.validation import LATEST, InvalidRun, validate_text, validated, vectors_carried

FORMAT = 2  # of files that are written; all formats up to it can be read: in format 1 the columns of a history had no names
FIELD = "file"  # what errors are filed under
ROOM = LIMITS["file_bytes"] * 3 // 4  # bytes of checkpoints in a file, so that it can be uploaded again
TEXT_BYTES = 4 << 20  # of config.json and of run.json
MEMBER = re.compile(r"config\.json|run\.json|history\.npz|upload|checkpoints/(0|[1-9][0-9]{0,15})\.npz")
PLAIN = ("name", "note", "status", "step", "epoch", "seconds", "figures", "interventions", "findings")
MOST_HISTORY = HISTORY_BYTES // 4  # bytes: twice the tables of the deepest network and their texts
BESIDE = 4096  # bytes of a checkpoint that are not of its large arrays: names, headers, position
CHECKPOINTS = ROOM + MOST_MOMENTS * BESIDE  # bytes of all of them
UNPACKED = CHECKPOINTS + LIMITS["file_bytes"] + MOST_HISTORY + 2 * TEXT_BYTES  # bytes of all members together
HISTORY = {"samples": NUMBERS, "frames": NUMBERS, "events": TEXT}
COLUMNS = {"layer_metrics": TEXT, "frame_columns": TEXT}
FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the same run gives the same file


def export(run: StoredRun) -> bytes:
    """The bytes of the file for a StoredRun. Of its moments, as many as fit into what can be uploaded again."""
    moments = _that_fit(run.moments)
    told = {name: getattr(run, name) for name in PLAIN} | {
        "format": FORMAT,
        "checkpoints": [[moment.step, moment.spent, moment.done, moment.pinned] for moment in moments],
        "upload": run.file and run.file[0],
    }
    members = {"config.json": _json(run.config), "run.json": _json(told)}
    if run.history:
        members["history.npz"] = _npz(run.history)
    members |= {f"checkpoints/{moment.step}.npz": _npz(moment.state) for moment in moments}
    if run.file:
        members["upload"] = run.file[1]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, FIXED_TIME), content, zipfile.ZIP_DEFLATED, 1)
    return packed.getvalue()


def _that_fit(moments):
    """The present, the first, the pinned ones and then the newest, while there is room; in order."""
    wanted = sorted(moments[:-1], key=lambda moment: (moment is not moments[0], not moment.pinned, -moment.step))
    kept, room = [], ROOM
    for moment in [*moments[-1:], *wanted]:
        room -= sum(array.nbytes for array in moment.state.values())
        if room < 0:
            break
        kept.append(moment)
    return sorted(kept, key=lambda moment: moment.step)


def _json(value):
    return json.dumps(value, indent=1).encode()


def _npz(arrays):
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    return packed.getvalue()


def read(raw: bytes) -> StoredRun:
    """The StoredRun in a file's bytes, with an id of its own. Raises ConfigError, and nothing else, whatever the bytes are."""
    try:
        with _Members(raw) as members:
            return _read(members)
    except ConfigError:
        raise
    except InvalidRun as error:
        raise ConfigError(FIELD, f"must be a sound run; in this one {error}") from None
    except Exception as error:  # parsers fed with hostile bytes raise what they like
        raise ConfigError(FIELD, f"must be a run exported by Descent; reading it failed ({type(error).__name__})") from error


def import_run(store: Store, run: StoredRun, owner: str | None = None) -> str:
    """Save a run that was read as a new one of this owner's, with all that it brings or not at all; its id. Raises StoreError."""
    record = RunRecord(
        **{name: getattr(run, name) for name in RunRecord.__dataclass_fields__ if hasattr(run, name)}
        | {"owner": owner, "spark": _spark(run)}
    )
    store.save(record)
    return run.id


def _spark(run):
    return spark(run.history["frames"]) if run.history else np.empty(0, np.float32)


def _read(members):
    told = members.json("run.json")
    if not isinstance(told, dict) or type(told.get("format")) is not int:
        raise ConfigError(FIELD, "must say its format in run.json; it does not")
    if not 1 <= told["format"] <= FORMAT:
        raise ConfigError(
            FIELD, f"must be of a format up to {FORMAT}; this one is of {shown(told['format'])}, written by another version of Descent"
        )
    if missing := [name for name in (*PLAIN, "checkpoints", "upload") if name not in told]:
        raise ConfigError(FIELD, f"must have {listed(missing)} in run.json; there is none")
    validate_text("its name", told["name"], NAME_LENGTH)
    validate_text("its note", told["note"], NOTE_LENGTH, lines=True)
    file = None
    if told["upload"] is not None:
        validate_text("its upload's name", told["upload"], NAME_LENGTH)
        file = told["upload"], members.bytes("upload", LIMITS["file_bytes"])
    kinds = HISTORY if told["format"] == 1 else HISTORY | COLUMNS
    values = members.json("config.json")
    config = _validated_config(values, file)
    parameters = _parameters(config, file)
    most = parameters * (1 + vectors_carried(config)) * np.dtype(config.dtype).itemsize + 4 * members.size("config.json") + BESIDE
    run = StoredRun(
        id=Store.new_id(),
        owner=None,
        parent=None,
        forked_at=None,
        starred=False,
        created=0.0,
        updated=0.0,
        config=values,
        file=file,
        **{name: told[name] for name in ("name", "note", "status", "step", "epoch", "seconds", "figures")},
        interventions=_list(told, "interventions"),
        findings=_list(told, "findings"),
        history=members.arrays("history.npz", MOST_HISTORY, kinds) if "history.npz" in members.names else {},
        moments=tuple(_moment(members, entry, most) for entry in _list(told, "checkpoints")),
    )
    if run.status == "running":
        run = replace(run, status="paused")
    if any(moment.state["vector"].size != parameters for moment in run.moments if "vector" in moment.state):
        raise ConfigError(FIELD, f"must have {parameters:,} weights in each checkpoint, as its data and layers ask for")
    return validated(replace(run, upload=file and config.data.path))


def _list(told, name):
    if not isinstance(told[name], list):
        raise ConfigError(FIELD, f"must have a list of {name}; was {shown(told[name])}")
    return tuple(told[name])


def _moment(members, entry, most):
    well_formed = isinstance(entry, list) and len(entry) == 4 and type(entry[0]) is int and isinstance(entry[3], bool)
    if not well_formed or not 0 <= entry[0] <= LATEST:
        raise ConfigError(FIELD, f"must describe each checkpoint by step, seconds, interventions and pin; was {shown(entry)}")
    step, spent, done, pinned = entry
    return Moment(step, members.arrays(f"checkpoints/{step}.npz", most), spent, done, pinned)


def _validated_config(values, file):
    config = RunConfig.from_dict(values)
    digest = hashlib.sha256(file[1]).hexdigest() if file else None
    if config.data.path != digest:
        raise ConfigError(FIELD, "must hold the very data that its run was trained on, or none; it holds something else")
    if (config.data.source == "file") != (file is not None):
        raise ConfigError(FIELD, "must hold a data file just when its run was trained on one")
    return config


def _parameters(config, file):
    """How many the network has, on the data that the file brings."""
    if not file:
        return parameter_count(config, SOURCES[config.data.source].inputs or len(config.data.features))
    with tempfile.NamedTemporaryFile(prefix="descent-import-") as place:
        place.write(file[1])
        place.flush()
        return parameter_count(config, load(replace(config.data, path=place.name)).inputs)


def _bytes(size):
    return f"{size >> 20:,} MiB" if size >= 1 << 20 else f"{size / 1024:,.0f} KiB"


class _Members:
    """The members of the zip in `raw`, once their names and sizes are sure to be harmless."""

    def __init__(self, raw):
        if len(raw) > LIMITS["file_bytes"]:
            raise ConfigError(FIELD, f"must be at most {LIMITS['file_bytes'] >> 20} MiB; had {len(raw) >> 20:,} MiB")
        if raw.count(ENTRY) > 8 * MOST_MOMENTS:
            raise ConfigError(FIELD, "must be a run exported by Descent; holds too many members")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(raw))
        except DAMAGE:
            raise ConfigError(FIELD, "must be a run exported by Descent; this is not a zip archive, or it is cut short") from None
        infos = self._zip.infolist()
        self.names = [info.filename for info in infos]
        if strange := [name for name in self.names if not MEMBER.fullmatch(name)]:
            raise ConfigError(FIELD, f"must be a run exported by Descent; holds {listed(strange)}")
        if len(set(self.names)) < len(self.names):
            raise ConfigError(FIELD, "must hold each member once")
        if any(info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
            raise ConfigError(FIELD, "must be a plain zip archive; this one is encrypted or compressed in another way")
        if sum(info.file_size for info in infos) > UNPACKED:
            raise ConfigError(FIELD, f"must unpack to at most {UNPACKED >> 20} MiB; this one says it is larger")
        self._sizes = {info.filename: info.file_size for info in infos}
        if sum(size for name, size in self._sizes.items() if name.startswith("checkpoints/")) > CHECKPOINTS:
            raise ConfigError(FIELD, f"must have at most {CHECKPOINTS >> 20} MiB of checkpoints; says it has more")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._zip.close()

    def size(self, name):
        """How many bytes a member was declared to have."""
        return self._sizes[name]

    def bytes(self, name, most):
        """A member's bytes, which were declared to be no more than `most`."""
        if name not in self._sizes:
            raise ConfigError(FIELD, f"must be a run exported by Descent; {name} is missing")
        if self._sizes[name] > most:
            raise ConfigError(
                FIELD, f"must have at most {_bytes(most)} in {name}, as its run needs; says it has {_bytes(self._sizes[name])}"
            )
        try:
            with self._zip.open(name) as member:
                return member.read(most)
        except DAMAGE:
            raise ConfigError(FIELD, f"must be a complete run; {name} is damaged or cut short") from None

    def json(self, name):
        """A member's JSON value."""
        try:
            return parsed_json(self.bytes(name, TEXT_BYTES))
        except NotJSON as error:
            raise ConfigError(FIELD, f"must have JSON in {name}; {error}") from None

    def arrays(self, name, most, kinds=None):
        """The arrays of an NPZ member, at most so many bytes: those of `kinds` (name -> NumPy kinds); without it numbers, and the text
        `config`."""
        with Archive(self.bytes(name, most), FIELD, "arrays of numbers", 64) as archive:
            archive.check_packing()
            if kinds is not None and sorted(archive.names) != sorted(kinds):
                raise ConfigError(FIELD, f"must have {listed(kinds)} in {name}; has {listed(archive.names)}")
            wanted = kinds or {array: TEXT if array == "config" else NUMBERS for array in archive.names}
            headers = {array: archive.header(array, kind) for array, kind in wanted.items()}
            if sum(header.cells * header.dtype.itemsize for header in headers.values()) > most:
                raise ConfigError(FIELD, f"must have at most {_bytes(most)} of arrays in {name}; says it has more")
            return {array: archive.array(array, header) for array, header in headers.items()}
