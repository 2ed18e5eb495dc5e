"""A sweep from the page: the form, cancelled and resumed, its results, and what is refused."""

import collections
import dataclasses
import itertools
import json
from unittest.mock import Mock

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.config import RunConfig
from core.experiments.importance import importance
from core.experiments.sweep import Sweep
from core.experiments.sweep_results import Results
from core.experiments.sweep_runs import sweep_runs
from core.limits import ConfigError
from core.live import sweep_client
from core.live.sweep_client import SweepClient
from core.settings import Settings
from core.store.store import Store
from pages.charts.sweep import importance_chart
from pages.shell import identity
from pages.training import sweep as page

SMALL = {"data": {"source": "circle", "samples": 40}, "layers": [{"units": 2}, {"units": 1, "activation": "sigmoid"}]}


def section():
    from core.config import RunConfig
    from pages.training.sweep import sweep_section
    from tests.app.test_sweep import SMALL

    sweep_section(RunConfig.from_dict(SMALL))


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("DESCENT_DATA_FOLDER", str(tmp_path))
    monkeypatch.setattr(st, "page_link", Mock())  # there are no other pages in these tests
    identity.store.clear()
    page.sweeps_of.clear()
    yield Store(tmp_path)
    page.sweeps_of(None).cancel()
    identity.store.clear()
    page.sweeps_of.clear()


@pytest.fixture
def opened(store):
    return lambda: AppTest.from_function(section, default_timeout=200).run()


class Process:
    """Stands for the process that makes the runs: at its first task it makes five and goes on until it ends, at the next all of them."""

    tasks = 0

    def __init__(self, module):
        assert module == "core.live.sweep_worker"
        self.has_spoken = False

    def start(self, *_):
        pass

    def send(self, task):
        settings, path, values, _ = task
        Process.tasks += 1
        sweep, store = Sweep.from_dict(values, settings.sweep_runs), Store(settings.data_folder)
        with Results(path, values) as results:
            coming = sweep_runs(sweep, results, store.save, processes=1)
            collections.deque(itertools.islice(coming, 5 if Process.tasks == 1 else None), 0)
        self.has_spoken = Process.tasks > 1

    def receive(self, _):
        self.has_spoken = False
        return "ended", None

    def end(self, patience=0.0):
        pass


def test_a_sweep_is_cancelled_resumed_and_shows_what_came_of_it(store, opened, monkeypatch):
    monkeypatch.setattr(sweep_client, "ChildProcess", Process)
    test = opened()
    test.multiselect(key="sweep.fields").set_value(["optimizer.learning_rate", "layers.0.activation"]).run()
    test.selectbox(key="sweep.how optimizer.learning_rate").set_value(page.VALUES).run()
    test.text_input(key="sweep.values optimizer.learning_rate").set_value("0,01, 0.1 1")
    test.multiselect(key="sweep.options layers.0.activation").set_value(["tanh", "relu"])
    test.text_input(key="sweep.seeds").set_value("2")
    test.text_input(key="sweep.steps").set_value("20")
    test.button(key="sweep.start").click().run()
    assert not test.exception and not test.error
    client = page.sweeps_of(None)
    assert client.look().running and client.look().done == 5
    test.run().button(key="sweep.cancel").click().run()
    state = client.look()
    assert not test.exception and not state.running and (state.done, state.sweep.total) == (5, 12)
    page.sweeps_of.clear()  # the server was started anew, and another tab shows it
    test = opened()
    test.button(key="sweep.resume").click().run()
    state = page.sweeps_of(None).look()
    assert state.problem is None and state.done == 12
    test.run()
    assert not test.exception and "12 of 12 runs" in test.get("progress")[0].proto.text
    table = test.dataframe[0].value
    assert len(table) == 6 and set(table["Seeds"]) == {2} and table["Mean"].is_monotonic_decreasing
    assert any("Best so far" in text.value and "over 2 seeds" in text.value for text in test.markdown)
    runs = store.table()
    assert len(runs) == 12 and st.page_link.call_args.kwargs["query_params"]["run"] in set(runs["id"])
    test.button(key="sweep.new").click().run()
    assert test.button(key="sweep.start") and len(store.table()) == 12


def test_what_is_wrong_in_the_form_is_told(opened):
    test = opened()
    test.text_input(key="sweep.low optimizer.learning_rate").set_value("a")
    test.button(key="sweep.start").click().run()
    assert "Learning rate must be a number" in test.error[0].value
    test.text_input(key="sweep.low optimizer.learning_rate").set_value("9")
    test.button(key="sweep.start").click().run()
    assert "Learning rate must be above low" in test.error[0].value
    test.text_input(key="sweep.low optimizer.learning_rate").set_value("1e-3")
    test.text_input(key="sweep.draws").set_value("1000")
    test.button(key="sweep.start").click().run()
    assert "at most 1,000 runs" in test.error[0].value.replace("\\", "")


def test_no_other_file_is_read_and_owners_keep_apart(tmp_path):
    settings = Settings(data_folder=tmp_path)
    base = RunConfig.from_dict(SMALL).to_dict()
    client = SweepClient("a", settings)
    with pytest.raises(ConfigError, match="is not swept here"):
        client.start({"base": base, "grid": {"data": [{"source": "file", "path": "/etc/passwd"}], "batch_size": [5]}})
    assert client.look().sweep is None
    with pytest.raises(ConfigError, match="at most 3 runs"):
        SweepClient("a", dataclasses.replace(settings, sweep_runs=3)).start({"base": base, "seeds": 4})


def test_everything_a_run_has_in_numbers_or_names_is_offered_and_called_by_its_name():
    offered = page.settings_to_vary(RunConfig.from_dict(SMALL))
    assert {"optimizer.learning_rate", "layers.0.units", "layers.1.activation", "loss", "data.noise", "stop.patience"} <= set(offered)
    assert not {"seed", "layers", "data.path", "layers.1.units", "faults"} & set(offered)
    assert page.called("layers.0.units") == "Layer 1: Units"


def test_importance_finds_the_setting_that_matters():
    rng = np.random.default_rng(0)
    rows = [(10 ** rng.uniform(-4, 0), str(rng.choice(["tanh", "relu"])), int(rng.integers(5))) for _ in range(60)]
    results = [
        {"settings": {"optimizer.learning_rate": rate, "layers.0.activation": name}, "seed": seed, "status": "healthy"}
        | {"metric": None if rate > 0.5 else 1 - abs(np.log10(rate) + 2) / 4}
        for rate, name, seed in rows
    ]
    found = importance(results)
    assert next(iter(found.lost)) == "optimizer.learning_rate" and found.explained > 0.5
    assert found.lost["optimizer.learning_rate"] > 10 * max(found.lost["layers.0.activation"], found.lost["seed"])
    assert importance(results[:10]) is None and importance([result | {"metric": 1.0} for result in results]) is None
    names = {"optimizer.learning_rate": "Learning rate", "layers.0.activation": "<b>Activation</b>", "seed": "Seed"}
    chart = importance_chart(names, found, "dark")
    assert json.dumps(chart, allow_nan=False) and chart["data"][0]["y"][0] == "Learning rate" and "<b>" not in str(chart["data"][0]["y"])
