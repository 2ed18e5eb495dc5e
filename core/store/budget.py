"""Room in the store: which moments of a run are kept within its budget, and which older runs are thinned to keep to that of the file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from core.store.database import StoreError
from core.training.recorder import least_missed

if TYPE_CHECKING:
    import sqlite3

    from core.store.record import Moment, RunRecord

MOST_MOMENTS = 200  # of one run: more than the time slider shows
LIVING = 60.0  # seconds since the last saving for which a run may still be training
THINNED_AT_ONCE = 50  # runs that one saving makes room from


def chosen_moments(record: RunRecord, stored: list[tuple[int, int, bool]], run_bytes: int) -> tuple[list[Moment], set[int]]:
    """(the RunRecord's moments to be kept, the stored steps to be dropped), so that all keep to `run_bytes`; `stored` are the (step, size
    in bytes, whether it is pinned) of the moments that the store has of the run."""
    new = {moment.step: moment for moment in record.moments}
    sizes = {step: (size, pinned) for step, size, pinned in stored if step <= record.step}
    sizes |= {step: (sum(array.nbytes for array in moment.state.values()), moment.pinned) for step, moment in new.items()}
    kept = np.array(sorted(sizes))
    lasting = [step for step in kept.tolist() if sizes[step][1]][-1:]
    total = sum(size for size, _ in sizes.values())
    fewest = 2 + len(set(lasting) - {*kept[:1], *kept[-1:]})
    while len(kept) > fewest and (total > run_bytes or len(kept) > MOST_MOMENTS):
        index = least_missed(kept, lasting)
        total -= sizes[int(kept[index])][0]
        kept = np.delete(kept, index)
    steps = set(kept.tolist())
    return [moment for step, moment in new.items() if step in steps], sizes.keys() - steps - new.keys()


def keep_to_budgets(connection: sqlite3.Connection, number: int, owner: str | None, store_bytes: int, visitor_bytes: int) -> None:
    """Make room for run `number` in the store, and among what its `owner`, a visitor of a shared server, keeps (None: nobody in
    particular). Raises StoreError when the owner's budget does not do."""
    make_room(connection, number, store_bytes)
    if owner is not None and not make_room_of(connection, number, owner, visitor_bytes):
        raise StoreError(
            f"Your runs and their files take more than the {visitor_bytes >> 20:,} MiB that each visitor may keep here; "
            "delete some under Runs."
        )


def make_room(connection: sqlite3.Connection, number: int, store_bytes: int) -> None:
    """Thin the oldest healthy runs, then the others, until all keep to `store_bytes`: to their present, then to their figures.

    Starred ones are spared, so are run `number` and those that may be training."""
    if used_bytes(connection) <= store_bytes:
        return
    spared = "starred = 0 AND number != ? AND updated < ?", (number, time.time() - LIVING)
    for thinnable, thin in THINNING:
        query = f"SELECT number FROM runs WHERE {spared[0]} AND {thinnable} {EARLIEST} LIMIT ?"
        victims = connection.execute(query, (*spared[1], THINNED_AT_ONCE)).fetchall()
        for (victim,) in victims:
            thin(connection, victim)
            if used_bytes(connection) <= store_bytes:
                return
        if len(victims) == THINNED_AT_ONCE:
            return  # the next saving goes on


def make_room_of(connection: sqlite3.Connection, number: int, owner: str, visitor_bytes: int) -> bool:
    """Thin this owner's runs in the same way, run `number` spared, until all that they keep is `visitor_bytes`; whether it is now."""
    spared = "starred = 0 AND number != ? AND updated < ?"
    for thinnable, thin in THINNING:
        query = f"SELECT number FROM runs WHERE owner = ? AND {spared} AND {thinnable} {EARLIEST} LIMIT 1"
        while used_bytes_of(connection, owner) > visitor_bytes:
            victim = connection.execute(query, (owner, number, time.time() - LIVING)).fetchone()
            if victim is None:
                break
            thin(connection, victim[0])
    return used_bytes_of(connection, owner) <= visitor_bytes


def used_bytes_of(connection: sqlite3.Connection, owner: str) -> int:
    """Bytes of the states, histories and files of an owner's runs."""
    of_runs = "IN (SELECT number FROM runs WHERE owner = ?)"
    queries = (
        f"SELECT SUM(size) FROM checkpoints WHERE run {of_runs}",
        f"SELECT SUM(LENGTH(arrays)) FROM histories WHERE run {of_runs}",
        "SELECT SUM(LENGTH(bytes)) FROM uploads WHERE digest IN (SELECT upload FROM runs WHERE owner = ? AND deleted IS NULL)",
    )
    return sum(connection.execute(query, (owner,)).fetchone()[0] or 0 for query in queries)


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    pages, free, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
    return (pages - free) * size


def _thin_to_present(connection, number):
    connection.execute(
        "DELETE FROM checkpoints WHERE run = ? AND step < (SELECT MAX(step) FROM checkpoints WHERE run = ?)", (number, number)
    )


def _thin_to_figures(connection, number):
    connection.execute("DELETE FROM checkpoints WHERE run = ?", (number,))
    connection.execute("DELETE FROM histories WHERE run = ?", (number,))


EARLIEST = "ORDER BY deleted IS NULL, healthy DESC, updated"
THINNING = (  # which runs can be thinned, and how, the mildest first
    ("(SELECT COUNT(*) FROM checkpoints WHERE run = number) > 1", _thin_to_present),
    ("EXISTS (SELECT 1 FROM histories WHERE run = number)", _thin_to_figures),
)
