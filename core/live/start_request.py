"""What a worker process is told to begin with."""

from __future__ import annotations

from dataclasses import dataclass

from core.config import RunConfig
from core.live.pacing import Speed


@dataclass(frozen=True)
class StartRequest:
    """Step 0 of `config`; or the present of the stored run `run_id`, `config` saying only where its data file was put. `speed` is
    as LiveRun.set_speed has it. `kept` runs are saved in the store, as `owner`'s; a stored one that is not kept is a copy to look at, of
    which `owner` gets no more than the store says (Store.access)."""

    config: RunConfig
    run_id: str | None = None
    speed: Speed = None
    kept: bool = False
    owner: str | None = None
