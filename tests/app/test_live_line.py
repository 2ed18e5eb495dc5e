"""The live line: who may have one, what it takes, and what it sends when."""

import gc
import json
import secrets

import pytest
import streamlit as st
from starlette.websockets import WebSocketDisconnect

from core.presets import PRESETS
from pages.shell import live_line, tab
from pages.shell.identity import COOKIE
from pages.shell.live_line import LONGEST, PATH, REFUSED, UNKNOWN
from pages.training.session import ELSEWHERE
from tests.app.conftest import CLIENT, ORIGIN, Page, line
from tests.app.test_kept import trained
from tests.core.live_runs import until


@pytest.fixture
def page(open_page):
    return open_page()


def hello(page, **changes):
    return {"key": page.tab.key, "theme": "light", "hidden": False} | changes


def connected(**headers):
    return CLIENT.websocket_connect(PATH, headers=ORIGIN | headers)


def picture(socket):
    """The next picture: (head, {figure's name: its line})."""
    while not (message := socket.receive_bytes()):
        pass
    head, *figures = message.decode().split("\n")
    head = json.loads(head)
    return head, dict(zip(head["names"], figures, strict=True))


def next_picture(socket):
    """The picture that comes once the last one has been drawn."""
    socket.send_json({"do": "drawn"})
    return picture(socket)


def closed(socket):
    """The code with which the server closes the line."""
    with pytest.raises(WebSocketDisconnect) as end:
        for _ in range(3):  # pictures and signs of life that were on their way
            socket.receive_bytes()
    return end.value.code


def state(page):
    """What a command may change of a page and its run."""
    of_run, session = page.live_run.snapshot(), page.session
    return (
        (page.live_run.config, of_run.step, of_run.status, of_run.events, of_run.run_id),
        (session.config, session.draft.pending, session.picked, session.moment, session.run.speed, page.live_run.speed),
        page.tab.theme,
    )


# Who may have one


@pytest.mark.parametrize(
    "origin", ["", "null", "testserver", "http://elsewhere", "http://testserver.elsewhere", "http://elsewhere/testserver", "http://["]
)
def test_another_page_gets_none(page, origin):
    with pytest.raises(WebSocketDisconnect) as refusal, connected(origin=origin):
        pass
    assert refusal.value.code == REFUSED and not page.tab.connections


def test_who_names_no_page_gets_none(page):
    with pytest.raises(WebSocketDisconnect) as refusal, CLIENT.websocket_connect(PATH):
        pass
    assert refusal.value.code == REFUSED


@pytest.mark.parametrize("key", ["", "unknown", "\ud800", None, 7, True, ["key"], {"key": 1}])
def test_a_key_that_there_is_not_is_told(key):
    with connected() as socket:
        socket.send_json({"key": key, "theme": "light", "hidden": False})
        assert closed(socket) == UNKNOWN


def test_a_tab_is_its_browsers_alone(page):
    page.tab.browser = secrets.token_urlsafe(32)
    for cookie in ("", f"{COOKIE}=", f"{COOKIE}={secrets.token_urlsafe(32)}", f"other={page.tab.browser}"):
        with connected(cookie=cookie) as socket:
            socket.send_json(hello(page))
            assert closed(socket) == UNKNOWN
    with connected(cookie=f"{COOKIE}={page.tab.browser}") as socket:
        socket.send_json(hello(page))
        assert "network" in picture(socket)[1]


def test_a_tab_that_is_gone_has_none():
    page = Page()
    message = hello(page)
    page.close()
    del page
    gc.collect()
    with connected() as socket:
        socket.send_json(message)
        assert closed(socket) == UNKNOWN


def test_the_pages_of_origins_that_are_allowed_may_ask(page, monkeypatch):
    monkeypatch.setattr(st, "get_option", {"server.corsAllowedOrigins": ["https://allowed.example"]}.get)
    with connected(origin="https://allowed.example") as socket:
        socket.send_json(hello(page))
        assert "network" in picture(socket)[1]
    with pytest.raises(WebSocketDisconnect), connected(origin="https://other.example"):
        pass


# What it takes

NO_MESSAGE = ["", "{", "drawn", "3", "null", "true", '"drawn"', '["do", "play"]', "[" * LONGEST, "NaN"]


@pytest.mark.parametrize("text", [*NO_MESSAGE, json.dumps({"do": "play", "value": "x" * LONGEST})])
def test_what_is_no_message_ends_the_line(page, text):
    before = state(page)
    with connected() as socket:
        socket.send_text(text)
        assert closed(socket) == REFUSED
    with line(page.tab.key) as (socket, _, _):
        socket.send_text(text)
        assert closed(socket) == REFUSED
    assert state(page) == before and not page.tab.connections


def test_bytes_end_the_line(page):
    with connected() as socket:
        socket.send_bytes(json.dumps(hello(page)).encode())
        assert closed(socket) == REFUSED
    with line(page.tab.key) as (socket, _, _):
        socket.send_bytes(b'{"do":"play"}')
        assert closed(socket) == REFUSED
    assert page.live_run.snapshot().status == "paused"


@pytest.mark.parametrize("theme", [None, "", "blue", "Light", 1, ["light"], {}])
def test_a_theme_that_there_is_not_ends_the_line(page, theme):
    before = state(page)
    with connected() as socket:
        socket.send_json(hello(page, theme=theme))
        assert closed(socket) == REFUSED
    with line(page.tab.key) as (socket, _, _):
        socket.send_json({"do": "theme", "value": theme})
        assert closed(socket) == REFUSED
    assert state(page) == before and page.tab.theme == "light" and not page.tab.connections


@pytest.mark.parametrize(
    "message",
    [
        {}, {"do": None}, {"do": ["play"]}, {"do": {}}, {"do": 1}, {"do": "Play"}, {"do": "\ud800"}, {"do": "close"}, {"do": "command"},
        {"do": "__class__"}, {"do": "page", "value": "3"}, {"do": "page", "value": 1.5}, {"do": "page"}, {"do": "hidden", "value": 1},
        {"do": "hidden"}, {"key": "play"},
    ],
)  # fmt: skip
def test_a_command_that_there_is_not_ends_the_line(page, message):
    before = state(page)
    with line(page.tab.key) as (socket, _, _):
        socket.send_json(message)
        assert closed(socket) == REFUSED
    assert state(page) == before and page.tab.drawn is None and not page.tab.connections


HOSTILE = {
    "speed": ["1e9", "full speed", None, 0, True, ["Full speed"], {"Full speed": 1}, "x" * 900, "<script>alert(1)</script>", "\ud800"],
    "look": ["99999", "-1", "1.0", "past", None, 0, True, ["0"], {}, "\ud800"],
    "pick": [
        [99, 0], [0, 0], [-1, 0], [1, -1], [1, 8], [1, 10**300], [1.0, 0], [1, None], [1], [1, 0, 0], ["1", "0"], [True, False], [[1], [0]],
        None, 1, "10", {"0": 1, "1": 0}, [float("nan"), 0],
    ],
    "healthy": [None, "0"],
    "replay": [None, "0"],
    "continue": [None, 1, "0"],
    "continue_changed": [None, {"optimizer": {"learning_rate": 9}}],
    "use_stable_rate": [None, 9.0],
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_value_that_there_is_not_leaves_the_run_as_it_was(page, name):
    page.press("step")
    until(lambda: not page.live_run.snapshot().forecast_due and page.live_run.snapshot().run_id)
    before = state(page.run())
    for value in HOSTILE[name]:
        assert state(page.press(name, value)) == before, value
        assert "<script>" not in page.words


def test_who_looks_does_not_drive(open_page):
    first = open_page()
    id = trained(first)
    before = state(first.run())
    second = open_page(run=id)
    assert second.live_run is first.live_run and second.session.run.watching
    for name, value in [
        ("play", None), ("pause", None), ("step", None), ("epoch", None), ("reset", None), ("new_seed", None), ("use_stable_rate", None),
        ("speed", "1 step/s"), ("healthy", None), ("look", "0"), ("continue", None), ("continue_changed", None),
    ]:  # fmt: skip
        second.send(name, value)
        assert state(first)[0] == before[0] and first.live_run.speed is None, name
    assert second.session.notice == ELSEWHERE and state(first.run()) == before
    first.press("step")
    assert first.step == 301


def test_settings_that_wait_keep_the_run_from_training(page):
    page.set("text_input", "optimizer.learning_rate", "0")
    for name in ("play", "step", "epoch", "new_seed"):
        assert not page.can(name)
        page.press(name)
        assert page.step == page.session.config.seed == 0 and page.live_run.snapshot().status == "paused"
    assert page.can("reset")


def test_what_fails_does_not_end_the_line(page, monkeypatch):
    with line(page.tab.key) as (socket, _, _):
        with monkeypatch.context() as broken:
            broken.setitem(page.view.commands, "epoch", lambda value: 1 / 0)
            broken.setattr(page.view, "picture", lambda theme: 1 / 0)
            socket.send_json({"do": "epoch"})
            socket.send_json({"do": "drawn"})
            socket.send_json({"do": "page", "value": 5})
            until(lambda: page.tab.drawn == 5)
        socket.send_json({"do": "step"})
        until(lambda: "<b>1</b>" in next_picture(socket)[0]["text"]["readings"])


# What it sends


def test_the_first_picture_is_whole(page):
    with line(page.tab.key) as (_, head, figures):
        assert list(figures) == head["names"] and {"network", "output", "loss", "gradients", "histograms"} <= figures.keys()
        assert all(figure["data"] is not None for figure in figures.values())
        assert head["drawing"] == page.tab.drawing and head["slider"]["options"] == ["start", "now"]
        assert "Ready: press Play" in head["text"]["readings"] and "Nothing to look back at yet" in head["text"]["time"]


def test_a_figure_that_has_not_changed_is_an_empty_line(page):
    with line(page.tab.key) as (socket, _, before):
        socket.send_json({"do": "pick", "value": [1, 0]})
        _, figures = next_picture(socket)
        assert page.session.picked == (1, 0) and {"unit_weights", "unit_map"} <= figures.keys() - before.keys()
        assert json.loads(figures["network"]) != before["network"] and json.loads(figures["unit_weights"])
        assert figures["loss"] == figures["histograms"] == ""
    assert page.figures["loss"] == before["loss"]  # of a new line everything


def test_both_themes_are_drawn(page):
    with line(page.tab.key) as (socket, _, light):
        socket.send_json({"do": "theme", "value": "dark"})
        _, dark = next_picture(socket)
        assert page.tab.theme == "dark" and all(json.loads(dark[name]) != light[name] for name in light)
    with line(page.tab.key, theme="dark") as (_, _, again):
        assert again == {name: json.loads(figure) for name, figure in dark.items()}


def test_no_picture_comes_before_the_last_one_has_been_drawn(page):
    with line(page.tab.key) as (socket, head, _):
        assert "<b>0</b>" in head["text"]["readings"]
        for step in (1, 2, 3):
            socket.send_json({"do": "step"})
            until(lambda step=step: page.step == step)
        head, _ = next_picture(socket)
        assert "<b>3</b>" in head["text"]["readings"]


def test_the_next_picture_is_made_while_the_last_one_is_being_drawn(page, monkeypatch):
    looks, look = [], page.session.look
    monkeypatch.setattr(page.session, "look", lambda: looks.append(1) or look())
    with line(page.tab.key) as (socket, _, _):
        assert len(looks) == 1
        socket.send_json({"do": "play"})
        until(lambda: len(looks) > 1)


def test_a_picture_says_how_many_commands_it_knows_of(page):
    with line(page.tab.key) as (socket, head, _):
        assert head["heard"] == 0
        for name, value in {"step": None, "pick": [1, 0], "look": "nonsense"}.items():
            socket.send_json({"do": name, "value": value})
        until(lambda: page.session.picked)
        while head["heard"] < 3:
            head, _ = next_picture(socket)
        assert "<b>1</b>" in head["text"]["readings"]


def test_a_run_that_plays_sends_picture_after_picture(page):
    with line(page.tab.key) as (socket, _, _):
        socket.send_json({"do": "play"})
        readings = [next_picture(socket)[0]["text"]["readings"] for _ in range(5)]
        assert len(set(readings)) == 5 and all("Running" in text for text in readings[1:])


def test_a_line_with_nothing_to_say_gives_signs_of_life(page, monkeypatch):
    monkeypatch.setattr(live_line, "BEAT", 0.05)
    with line(page.tab.key) as (socket, _, _):
        assert socket.receive_bytes() == socket.receive_bytes() == b""


def test_a_run_that_is_worked_on_behind_the_scenes_gives_signs_of_life(page, monkeypatch):
    monkeypatch.setattr(live_line, "BEAT", 0.05)
    monkeypatch.setattr(live_line, "RESTING", 0.01)
    monkeypatch.setattr(type(page.tab.view), "needs_updates", True)
    with line(page.tab.key) as (socket, _, _):
        for _ in range(3):
            socket.send_json({"do": "drawn"})
            while socket.receive_bytes():  # the forecast comes
                socket.send_json({"do": "drawn"})


def test_an_open_line_keeps_a_standing_run_alive(page, monkeypatch):
    monkeypatch.setattr(live_line, "STANDING", 0.01)
    looks, look = [], page.session.look
    monkeypatch.setattr(page.session, "look", lambda: looks.append(1) or look())
    with line(page.tab.key) as (socket, _, _):
        until(lambda: socket.send_json({"do": "drawn"}) or len(looks) > 5)


# When the page is drawn anew


def test_the_outline_changes_when_a_finding_comes(open_page):
    page = open_page(**dict(item.split("=") for item in PRESETS["explosion"].link.split("&")))
    with line(page.tab.key) as (socket, head, _):
        socket.send_json({"do": "page", "value": page.tab.drawing})
        socket.send_json({"do": "play"})
        outlines = [head["outline"]]
        while "Not a number" not in head["text"]["readings"]:
            head, _ = next_picture(socket)
            outlines.append(head["outline"])
    assert outlines[-1] != outlines[0] and page.session.last_snapshot.findings
    page.run()
    assert page.tab.outline() == page.head["outline"] == outlines[-1]


def test_the_outline_stays_while_a_drawing_is_on_its_way(page, monkeypatch):
    with line(page.tab.key) as (socket, head, _):
        socket.send_json({"do": "page", "value": page.tab.drawing})
        until(lambda: not page.tab.behind(page.tab.drawing))
        page.tab.begin()
        before = page.tab.outline()
        page.session.notice = "Something else."
        while head["drawing"] != page.tab.drawing:
            head, _ = next_picture(socket)
        assert head["outline"] == before == page.tab.outline()
        socket.send_json({"do": "page", "value": page.tab.drawing})
        while head["outline"] == before:
            head, _ = next_picture(socket)
        page.tab.begin()
        page.session.notice = None
        assert page.tab.outline() == head["outline"]
        monkeypatch.setattr(tab, "PATIENCE", 0)  # a browser that never shows it
        assert page.tab.outline() != head["outline"]


def test_a_tab_is_open_while_it_has_a_line_or_is_about_to(page, monkeypatch):
    monkeypatch.setattr(tab, "GRACE", 0)
    assert not tab.is_open(page.tab.key) and not tab.is_open("unknown")
    with line(page.tab.key):
        assert tab.is_open(page.tab.key)
        with line(page.tab.key):  # the same tab, connected again before the old connection is found dead
            pass
        assert tab.is_open(page.tab.key)
    assert not tab.is_open(page.tab.key)
    monkeypatch.setattr(tab, "GRACE", 60)
    assert tab.is_open(page.tab.key)
