"""What the tests of the store share."""

from pathlib import Path

import numpy as np

from core.config import RunConfig
from core.store.record import Moment, record_of
from core.store.store import Store
from core.training.recorder import FlightRecorder
from core.training.trainer import Trainer

FILES = Path(__file__).parent.parent / "files" / "version_1"  # see test_earlier_formats.py
SMALL = {"data": {"source": "circle", "samples": 60}, "layers": [{"units": 3, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}]}


def trained(steps=100, **values):
    """A Trainer of a small run after so many updates."""
    return Trainer(RunConfig.from_dict(SMALL | values)).run(steps)


def saved(store, trainer, id=None, **details):
    """The id of a run that is saved as this Trainer has it."""
    id = id or Store.new_id()
    store.save(record_of(trainer, id, **{"status": "paused", "seconds": 1.0} | details))
    return id


def restored(run, path=None):
    """A Trainer that goes on from the present of a StoredRun."""
    run = run.placed(path) if path else run
    trainer = Trainer(RunConfig.from_dict(run.config))
    trainer.restore(run.moments[-1].state | run.history)
    return trainer


def recorded(store, steps, every, id=None, pin=None, **details):
    """(id, recorder) of a run that was recorded and saved every so many updates."""
    trainer, id = Trainer(RunConfig.from_dict(SMALL)), id or Store.new_id()
    recorder, last = FlightRecorder(trainer), -1
    for step in range(every, steps + 1, every):
        trainer.advance(every)
        recorder.record()
        kept = [recorder.at(at) for at in recorder.steps if at > last]
        moments = [Moment(*moment, moment.step == pin) for moment in kept]
        saved(store, trainer, id, moments=moments, interventions=recorder.interventions, **details)
        last = step
    return id, recorder


def same_arrays(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype and array.tobytes() == np.asarray(theirs[name]).tobytes(), name
