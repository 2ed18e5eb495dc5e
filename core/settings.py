"""What the server's owner sets: one frozen table, read from the environment."""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

SWITCH = {"1": True, "0": False, "true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}


@dataclass(frozen=True)
class Settings:
    """Limits and times of live runs, and where runs are kept. Each is read from DESCENT_ and its name in capitals: DESCENT_MAX_RUNS=8."""

    max_runs: int = 32  # live runs of one server
    pause_after: float = 150.0  # seconds without a look until a run pauses: a hidden tab still looks about once a minute
    exit_after: float = 900.0  # seconds without a look until its process writes a checkpoint and leaves
    sweep_runs: int = 1000  # runs that one sweep of the page may ask for
    sweep_seconds: float = 3600.0  # that it may take until it is stopped; what it has found is kept, and it can be resumed
    sweep_processes: int = field(default_factory=lambda: max(1, (os.cpu_count() or 1) - 1))  # that train it, each with worker_memory_bytes
    sweep_scheduler: str = ""  # the address of a Dask scheduler whose workers train it instead: tcp://host:8786
    checkpoint_every: float = 5.0  # seconds: the most that is lost when a process is killed
    reply_timeout: float = 30.0  # seconds after which a process that does not answer counts as dead
    trial_niceness: int = 14  # how far tried fixes, preflights and range tests give way to live runs and pages: 19 is furthest
    map_runs: int = 16_384  # runs that one map of divergence of the page may ask for
    worker_memory_bytes: int = 6 << 30  # address space of one worker: the largest run, and more to look ahead with
    checkpoint_folder: Path = field(default_factory=lambda: Path(tempfile.gettempdir()) / f"descent-{os.getuid()}")
    data_folder: Path = field(default_factory=lambda: _data_home() / "descent")  # where runs are kept
    run_bytes: int = 32 << 20  # moments kept of one run, for its time slider
    store_bytes: int = 2 << 30  # all runs together: beyond, the oldest healthy ones are thinned
    probe_key: str = ""  # opens the probe's door to programs on other machines; they have it in their url, as ?key=...
    frame_ancestors: str = "'self'"  # pages that may show this one in a frame, as a content security policy has it: 'none', https://...
    idle_after: float = 120.0  # seconds without a press after which a run that stands still gives way when the server is full
    memory_bytes: int = field(default_factory=lambda: int(0.8 * machine_memory()))  # all workers together
    visitor_runs: int = 6  # live runs, trials and experiments of one visitor of a shared server at the same time
    visitor_processor_seconds: float = 1800.0  # of a processor that one visitor's runs may take within an hour
    visitor_upload_bytes: int = 256 << 20  # that one visitor may upload within an hour
    visitor_store_bytes: int = 256 << 20  # one visitor's runs and files that are kept: beyond, their oldest healthy runs are thinned
    visitor_experiments: int = 60  # preflights, range tests and trials of fixes that one visitor may begin within an hour
    shared: bool = False  # open to others: each person sees their own runs only; app.py turns it on where others can come in

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The defaults with what the environment says laid over them; ValueError names a variable that is no good."""
        values = dataclasses.asdict(cls())
        for name, default in values.items():
            variable = f"DESCENT_{name.upper()}"
            if variable in environment:
                values[name] = _value(variable, environment[variable], type(default))
        return cls(**values)


@cache
def machine_memory(groups: Path = Path("/proc/self/cgroup"), limits: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of memory that this process and its children may use: the machine's, or the least that a control group of theirs allows
    (version 2, and 1)."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError):  # there are none
        for line in groups.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                root, name = (limits / "memory", "memory.limit_in_bytes") if controllers else (limits, "memory.max")
                group = root / path.lstrip("/")
                for folder in (group, *group.parents):  # what is above a container's own group is not to be seen in it
                    with suppress(OSError, ValueError):  # there it is not bounded
                        most = min(most, int((folder / name).read_text()))
    return most


def _data_home():
    """The user's folder for data (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_DATA_HOME", "")
    return Path(home) if os.path.isabs(home) else Path.home() / ".local" / "share"


def _value(variable, text, kind):
    if issubclass(kind, Path):
        return kind(text).absolute()
    if kind is str:
        if not text.isascii() or not text.isprintable() or ";" in text:
            raise ValueError(f"{variable} must be printable ASCII without a semicolon; was {text!r}")
        return text
    if kind is bool:
        if text.lower() not in SWITCH:
            raise ValueError(f"{variable} must be one of {', '.join(SWITCH)}; was {text!r}")
        return SWITCH[text.lower()]
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"{variable} must be a {'whole ' if kind is int else ''}number above 0; was {text!r}")
    return value
