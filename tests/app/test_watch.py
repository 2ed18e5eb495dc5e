"""The door for what probes send, and the page that shows it."""

import json

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.watch.modules import modules
from pages.charts.watch import watch_panels
from pages.watching import door, keeping
from pages.watching.view import WatchView
from tests.app.conftest import Page, line
from tests.watched import PROBE, descent_probe, perceptron, watched

HEADERS = {"x-descent-probe": "1", "host": "127.0.0.1"}


@pytest.fixture
def client(monkeypatch):
    """A caller on this machine."""
    monkeypatch.setattr(door, "runs", door.WatchedRuns())
    monkeypatch.setattr("pages.watching.view.runs", door.runs)
    monkeypatch.setattr(keeping, "AFTER", 1e9)
    return TestClient(Starlette(routes=door.routes()), client=("::ffff:127.0.0.1", 50000))


def batch(tmp_path, name="mine", **settings):
    path = tmp_path / "run.probe"
    watched(perceptron, path, name=name, **settings)
    return path.read_bytes()


def test_a_batch_is_taken_and_shown(client, tmp_path):
    answer = client.post(door.DOOR, content=batch(tmp_path, bug="sign", steps=60), headers=HEADERS)
    assert answer.status_code == 204
    view = WatchView(None)
    head, figures = view.picture("light")
    assert "mine" in head["text"]["readings"] and "60" in head["text"]["readings"] and view.playing
    assert list(figures) == ["loss", "twin", "gradients", "ratio", "map", "histograms"]
    json.dumps([head, figures], allow_nan=False)
    code, severity, tensor, step = view.outline[2][0]
    assert (code, severity, tensor, step) == ("gradient_fault", "critical", "W1", 1)
    view.command("look", "2")
    head, figures = view.picture("dark")
    assert view.moment == 2 and head["slider"]["options"][head["slider"]["index"]] == "2" and "step 2" in figures["histograms"]["alt"]
    view.command("look", ["nonsense"])
    assert view.moment is None and WatchView("another").picture("light")[1] == {}


@pytest.mark.parametrize(("headers", "status"), [
    ({"host": "127.0.0.1"}, 403),
    (HEADERS | {"origin": "http://127.0.0.1"}, 403),
    (HEADERS | {"host": "evil.example"}, 401),
    (HEADERS | {"x-forwarded-for": "1.2.3.4"}, 401),
    (HEADERS | {"content-length": "99999999999"}, 413),
])  # fmt: skip
def test_who_may_not_send_is_told_so_in_a_sentence(client, tmp_path, headers, status):
    answer = client.post(door.DOOR, content=batch(tmp_path), headers=headers)
    assert answer.status_code == status and answer.text.endswith(".") and not door.runs.of(None)


def test_what_is_no_batch_is_refused_and_leaves_nothing_behind(client, tmp_path):
    for raw in (b"", b"\x80\x04", b"x" * 1000, batch(tmp_path).replace(b'"W1"', b'"W1\\u0000"')):
        answer = client.post(door.DOOR, content=raw, headers=HEADERS)
        assert answer.status_code == 400 and answer.text.startswith("What a probe sends must ")
    assert not door.runs.of(None)
    assert client.get(door.DOOR, headers=HEADERS).status_code == 405


def test_a_caller_from_elsewhere_needs_the_key(monkeypatch, client, tmp_path):
    away = TestClient(Starlette(routes=door.routes()), client=("10.0.0.7", 50000))
    raw = batch(tmp_path)
    assert away.post(door.DOOR, content=raw, headers=HEADERS).status_code == 401
    monkeypatch.setenv("DESCENT_PROBE_KEY", "secret")
    assert away.post(f"{door.DOOR}?key=wrong", content=raw, headers=HEADERS).status_code == 401
    assert away.post(f"{door.DOOR}?key=secret", content=raw, headers=HEADERS).status_code == 204


def test_on_a_shared_server_the_key_says_whose_run_it_is(monkeypatch, client, tmp_path):
    monkeypatch.setenv("DESCENT_SHARED", "1")
    raw, key = batch(tmp_path), door.key_of("browser:ada")
    for wrong in ("", "?key=", "?key=%00", f"?key={key}x"):
        assert client.post(door.DOOR + wrong, content=raw, headers=HEADERS).status_code == 401
    assert client.post(f"{door.DOOR}?key={key}", content=raw, headers=HEADERS).status_code == 204
    assert len(door.runs.of("browser:ada")) == 1 and not door.runs.of(None) and not door.runs.of("browser:eve")
    other = client.post(f"{door.DOOR}?key={door.key_of('browser:eve')}", content=raw, headers=HEADERS)
    assert other.status_code == 400 and "another person's" in other.text


def test_the_probe_is_served_as_it_is(client):
    answer = client.get(door.SCRIPT)
    assert answer.status_code == 200 and answer.content == PROBE.read_bytes()


def test_old_runs_make_room(client, tmp_path):
    for _ in range(12):
        assert client.post(door.DOOR, content=batch(tmp_path, steps=3), headers=HEADERS).status_code == 204
    assert len(door.runs.of(None)) == 8


def test_names_with_markup_stay_text(client, tmp_path):
    client.post(door.DOOR, content=batch(tmp_path, name="<img src=x onerror=alert(1)>"), headers=HEADERS)
    head, _ = WatchView(None).picture("light")
    assert "<img" not in head["text"]["readings"] and "&lt;img" in head["text"]["readings"]


def test_hundreds_of_tensors_stay_readable(tmp_path):
    def program(probe):
        params = {f"layer{block}.{part}.weight": descent_probe.np.ones((4, 3)) * block for block in range(60) for part in ("conv", "bn")}
        for step in range(30):
            probe.step(loss=1 / (step + 1), params=params, grads=params)

    run = watched(program, tmp_path / "run.probe")
    figures = watch_panels(run, door.runs.take((tmp_path / "run.probe").read_bytes(), "x").look()[1], "light")
    assert len(figures["map"]["data"][0]["y"]) <= 40 and len(figures["gradients"]["data"]) <= 8
    assert len(json.dumps(figures)) < 300_000


def test_the_worst_of_hundreds_of_tensors_come_first(client, tmp_path):
    def program(probe):
        params = {f"layer{at}.conv.{kind}": descent_probe.np.ones((4, 3)) for at in range(60) for kind in ("weight", "scale")}
        for step in range(30):
            grads = {name: descent_probe.np.full((4, 3), 10.0 if name == "layer31.conv.scale" else 1e-3) for name in params}
            probe.step(loss=1 / (step + 1), params=params, grads=grads)
            params = {name: params[name] - grads[name] for name in params}

    run = watched(program, tmp_path / "run.probe")
    groups = modules(run, (), 40)
    assert len(groups) == 40 and next(iter(groups)) == "layer31"
    assert [run.names[at] for at in groups["layer31"]] == ["layer31.conv.scale", "layer31.conv.weight"]
    client.post(door.DOOR, content=(tmp_path / "run.probe").read_bytes(), headers=HEADERS)
    figures = WatchView(None).picture("light")[1]
    assert figures["map"]["data"][0]["y"][:2] == ["layer0", "layer31"]  # a finding names the first: all of its entries move alike
    page = Page()
    page.test.switch_page("watch.py")
    page.run()
    shown = next(element.proto.body for element in page.test.get("html") if "<details>" in element.proto.body)
    assert shown.index("layer0 ·") < shown.index("layer31 ·") < shown.index("layer1 ·") and "layer31.conv.scale" in shown


def test_the_page_waits_and_then_shows_the_run(client, tmp_path):
    page = Page()
    page.test.switch_page("watch.py")
    page.run()
    assert not page.test.exception
    assert any("probe.step(" in code.value for code in page.test.code) and any("probe.keras()" in code.value for code in page.test.code)
    client.post(door.DOOR, content=batch(tmp_path, bug="scalar_bias"), headers=HEADERS)
    with line(page.test.session_state["tab"].key) as (_, head, figures):
        assert head["view"] == "watch" and "loss" in figures
    page.run()
    shown = " ".join(element.proto.body for element in page.test.get("html"))
    assert not page.test.exception and "b1" in shown
    assert any(folded.label.startswith("Preflight: ") and "1 failed" in folded.label for folded in page.test.expander)
    assert "parts from a right copy" in shown and 'title="failed"' in shown and 'title="passed"' in shown
    page.selectbox(key="twin start").set_value(3)
    page.run()
    shown = " ".join(element.proto.body for element in page.test.get("html"))
    with line(page.test.session_state["tab"].key) as (_, _, figures):
        assert "started from the weights of step 3" in shown and page.view.start == 3 and "twin" in figures


def test_a_watched_program_opens_in_the_playground(client, tmp_path):
    client.post(door.DOOR, content=batch(tmp_path, say=True, rate=0.25, hidden="relu", sizes=(3, 5, 1)), headers=HEADERS)
    page = Page()
    page.test.switch_page("watch.py")
    page.run()
    with line(page.tab.key):  # the run is looked at
        page.run()
    page.button(key="rebuilt").click()
    page.run()
    here = page.test.session_state["session"]
    assert [(layer.units, layer.activation) for layer in here.config.layers] == [(5, "relu"), (1, "sigmoid")]
    assert (here.config.data.source, here.config.optimizer.learning_rate, here.config.batch_size) == ("file", 0.25, 40)
