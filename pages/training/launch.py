"""How a tab comes to its run: a new one, one that lives on this server already, or one from the store."""

from __future__ import annotations

import dataclasses
import threading
import time
from concurrent.futures import Future

from core.config import DataConfig, RunConfig, suggested_output
from core.data.sources import SOURCES
from core.limits import LIMITS, ConfigError
from core.link import from_query, nested, stop_at
from core.live.client import LiveRun
from core.live.process import TooManyRuns
from core.live.registry import living, put_away
from core.presets import OPENING
from core.settings import Settings
from core.store.store import StoreError
from pages import wording
from pages.shell.identity import store
from pages.shell.tab import is_open

OWN = ("source", "path", "samples")  # of a file's data, what is no matter of how it is read
ENDING = 6.0  # seconds that such a process may take


def linked(settings, run, uploads, person):
    """(configuration, step to train to, id of the stored run to go on with, a sentence about what could not be opened) of a link's settings
    and run; None where there is none. No link, or a broken one, is what the page opens with. A stored run's file goes into the Uploads,
    lent unless this `person` may have it."""
    problem = None
    if run is not None:
        try:
            return _stored(run, uploads, person), 0, run, None
        except StoreError as error:
            problem = f"{error} You see its settings, at step 0." if settings else str(error)
    if not settings:
        return OPENING, 0, None, problem
    try:
        settings, at = stop_at(settings)
        config = from_query(settings)
        uploads.resolved(config)
    except ConfigError as error:
        return OPENING, 0, None, f"This link could not be opened, so you see the default. {wording.complaint(error)}."
    return config, at, None, problem


def may_take(run, person):
    """Whether the stored run of this id is this person's, or shared."""
    try:
        return store().access(run).may_take(person)
    except StoreError:
        return False


def _stored(run, uploads, person):
    config, file = store().settings_of(run)
    try:
        if file is not None:
            config["data"]["path"] = uploads.add(*file, lent=not may_take(run, person))
        return RunConfig.from_dict(config)
    except ConfigError as error:
        raise StoreError(f"What is stored of this run cannot be used: {wording.complaint(error)}.") from error


def started(config, speed, at, stored, owner):
    """A Future of the LiveRun that is started meanwhile, for step `at` of `config`, or for the run `stored`, an id in the store. Of one
    that is somebody else's, or that another server trains, it is a copy to look at, which is not kept."""
    future = Future()
    threading.Thread(target=_start, args=(future, config, speed, at, stored, owner), daemon=True).start()
    return future


def _start(future, config, speed, at, stored, owner):
    try:
        run = living(stored) if stored else None
        if run is None or run.owner != owner:
            run = _in_room(config, stored, owner)
            run.set_speed(speed)
        if at:
            run.step(at)
        future.set_result(run)
    except Exception as error:
        future.set_exception(error)


def _in_room(config, stored, owner):
    """The LiveRun; where there is no room for it, runs that were left, and those that stand idle longest, give way."""
    idle_after = Settings.from_environment().idle_after
    while True:
        try:
            return _begun(config, stored, owner)
        except TooManyRuns as full:
            if not put_away(is_open, idle_after, full.person):
                raise


def _begun(config, stored, owner):
    if stored and not (store().access(stored).owner == owner and _free(stored)):
        return LiveRun(config, run_id=stored, owner=owner)
    try:
        return LiveRun(config, run_id=stored, kept=True, owner=owner)
    except ConfigError:
        if stored is None:
            raise
        return living(stored) or LiveRun(config, run_id=stored, owner=owner)  # another tab or server may have been quicker


def _free(stored):
    """Whether nobody trains the run, or soon nobody will: a process whose server is gone saves its run before it ends."""
    until = time.monotonic() + ENDING
    try:
        while (lock := store().lock_run(stored)) is None:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
    except StoreError:  # it can be read, and no more
        return False
    lock.release()
    return True


def with_suited_output(draft, before, uploads):
    """(the draft {dotted path: value}, the output (layer, loss) that its data suggests, of a file its Description): where that is another
    output than `before`, those of the draft follow. Classes are not scaled. Raises ConfigError when the data cannot be read."""
    draft, described = dict(draft), None
    if (SOURCES[draft["data.source"]].task or draft["data.task"]) == "classification":
        draft["data.target_scaling"] = "none"
    data = uploads.resolved(DataConfig.from_dict(nested(draft)["data"], "data"))
    if data.source == "file":
        described = uploads.describe(draft["data.path"], {name: value for name, value in nested(draft)["data"].items() if name not in OWN})
        draft["data.samples"] = min(described.rows, LIMITS["samples"])
        suggested = described.output, described.loss
    else:
        suggested = suggested_output(data)
    if suggested != before:
        output, loss = suggested
        draft |= {"layers": [*draft["layers"][:-1], dataclasses.asdict(output)], "loss": loss}
    return draft, suggested, described
