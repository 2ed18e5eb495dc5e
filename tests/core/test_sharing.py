"""A link to a run hands over nothing but pictures: what it is made of is its owner's, and held where runs are kept and trained."""

import pytest

from core.config import RunConfig
from core.limits import ConfigError
from core.live import commands
from core.live.client import LiveRun
from core.live.worker import LOOKING
from core.settings import Settings
from core.store.store import NoSuchRun, Store
from core.training.trainer import Trainer
from tests.core.live_runs import MODEST, children
from tests.core.stored_runs import saved, trained

OWNER, LOOKER = "browser:owner", "browser:looker"
ARGUMENTS = {  # of every method that has a worker do something; refused, it does not matter what they are
    "step": (1,),
    "configure": (MODEST,),
    "change": ({"seed": 1},),
    "edit": (1, 0, 0, 0.0),
    "export": ("weights",),
    "predict": ([],),
    "worst_samples": ("train",),
    "fork": (0,),
    "try_fixes": (),
}


@pytest.fixture
def settings(tmp_path):
    return Settings(checkpoint_folder=tmp_path / "runs", data_folder=tmp_path / "data")


@pytest.fixture
def store(settings):
    return Store(settings.data_folder)


@pytest.fixture
def look(settings, store, tmp_path):
    """Opens a stored run of OWNER's on a file as this person does who only looks at it; `look.id` is the run's."""
    path = tmp_path / "secret.csv"
    path.write_text("a,b,y\n" + "".join(f"{i % 7},{i * i % 11},{i % 2}\n" for i in range(40)))
    config = RunConfig.from_dict({"data": {"source": "file", "path": str(path)}, "layers": [{"units": 1, "activation": "sigmoid"}]})
    digest = store.keep_upload("secret.csv", path.read_bytes())
    runs = []

    def opened(person):
        runs.append(LiveRun(config, settings, run_id=opened.id, owner=person))
        return runs[-1]

    opened.id = saved(store, Trainer(config).run(20), owner=OWNER, upload=digest)
    yield opened
    for run in runs:
        run.close()


def test_who_looks_gets_pictures_and_nothing_else(look, store):
    run = look(LOOKER)
    assert run.snapshot().step == run.snapshot(at=0).moment == 20  # the only moment that there is
    asked = [name for name in commands.COMMANDS if name not in (*LOOKING, "trial_task")] + ["try_fixes", "new_seed"]
    for name in asked:
        with pytest.raises(ConfigError, match="somebody else's: only its charts"):
            getattr(run, name)(*ARGUMENTS.get(name, ()))
    now = run.snapshot()
    assert (now.step, now.status, run.speed) == (20, "paused", None) and store.load(look.id).step == 20
    run.close()
    assert not children()


def test_the_owner_shares_and_takes_back(look, store):
    mine, theirs = look(OWNER), look(LOOKER)
    weights = mine.export("weights")
    store.share(look.id, OWNER, True)
    assert theirs.export("weights") == weights and b"secret" not in weights
    assert theirs.examples() and "a" in str(theirs.examples()[0])
    store.share(look.id, OWNER, False)
    with pytest.raises(ConfigError, match="somebody else's"):
        theirs.export("weights")
    store.delete([look.id])
    with pytest.raises(ConfigError, match="no such run"):
        theirs.export("weights")


def test_only_the_owner_shares_and_a_new_run_is_shared_with_nobody(store):
    id = saved(store, trained(3), owner=OWNER)
    assert store.access(id).may_take(OWNER) and not store.access(id).may_take(LOOKER) and not store.access(id).may_take(None)
    with pytest.raises(NoSuchRun, match="only its owner"):
        store.share(id, LOOKER, True)
    with pytest.raises(NoSuchRun, match="no such run"):
        store.share("none", None, True)
    store.share(id, OWNER, True)
    saved(store, trained(4), id, owner=OWNER)  # it trains on
    assert store.access(id).may_take(LOOKER) and not store.access(saved(store, trained(4), owner=OWNER, parent=id)).may_take(LOOKER)


def test_nobody_trains_on_what_is_somebody_elses(settings, store):
    id = saved(store, trained(3), owner=OWNER)
    store.share(id, OWNER, True)
    with pytest.raises(ConfigError, match="only be looked at"):
        LiveRun(MODEST, settings, run_id=id, kept=True, owner=LOOKER)
    own = LiveRun(MODEST, settings, run_id=id, kept=True, owner=OWNER)
    assert own.snapshot().run_id == id
    own.close()
