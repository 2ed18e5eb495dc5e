"""The bar that stays in view: what to do with the run, and where it stands."""

from __future__ import annotations

import html

from core.limits import ConfigError, shown
from core.live.pacing import GROWING
from pages import wording
from pages.shell.components import live
from pages.training.gauge import gauge, stable_rate

STEADY = (1, 10, 100, 1000, 5000, 20_000)  # updates a second
SPEEDS = {
    "Slow, then faster": GROWING,
    **{f"{rate:,} step{'' if rate == 1 else 's'}/s": rate for rate in STEADY},
    "Full speed": None,
}
SPEED = GROWING  # until another is chosen
WAITING = ("play", "step", "epoch", "new_seed")  # what waits while the controls show something that the run does not have
STATES = {"running": "Running", "paused": "Paused", "finished": "Stopped early"}
BUTTONS = [  # each has a letter on the keyboard
    {"name": "play", "label": "Play", "icon": "play", "shortcut": "P", "primary": True, "help": "Trains until you pause it"},
    {"name": "pause", "label": "Pause", "icon": "pause", "shortcut": "P", "primary": True, "help": "Stops training where it is"},
    {"name": "step", "label": "Step", "icon": "step", "shortcut": "S", "help": "One parameter update"},
    {"name": "epoch", "label": "Epoch", "icon": "epoch", "shortcut": "E", "help": "To the end of this epoch"},
    {
        "name": "reset", "label": "Reset", "icon": "reset", "shortcut": "0",
        "help": "Back to step 0 with the same initial weights; this run stays among the runs",
    },
    {"name": "new_seed", "label": "New seed", "icon": "dice", "shortcut": "N", "help": "Step 0 with other initial weights"},
]  # fmt: skip
CHOICES = [{"name": "speed", "label": "Speed", "options": list(SPEEDS), "help": "How fast a run plays; it learns the same at every speed"}]
STABLE_RATE = {
    "name": "use_stable_rate", "label": "",
    "help": "The largest learning rate expected to be stable: at it, or below, a look some hundred steps ahead stays calm.",
}  # fmt: skip


def buttons():
    """Play or Pause, Step, Epoch, Reset, New seed, and the speed."""
    live("buttons", "transport buttons", buttons=BUTTONS, choices=CHOICES)


def status():
    """Where the run stands, and what makes its learning rate stable."""
    live("text", "readings", name="readings")
    live("buttons", "stable rate", buttons=[STABLE_RATE])


def button_states(session, snapshot):
    """{button: how it differs from the table's}; none where the tab only watches, or the run is gone."""
    if session.run.watching or session.run.death:
        return {"use_stable_rate": {"hidden": True}} | {name: {"hidden": True} for name in (*_NAMES, "speed")}
    over, playing, waiting = snapshot.status in ("nonfinite", "finished"), snapshot.status == "running", bool(session.draft.pending)
    rate = stable_rate(session, snapshot)
    return {
        "play": {"disabled": over or waiting, "hidden": playing},
        "pause": {"hidden": not playing},
        "step": {"disabled": over or waiting},
        "epoch": {"disabled": over or waiting},
        "new_seed": {"disabled": waiting},
        "speed": {"value": next(name for name, speed in SPEEDS.items() if speed == session.run.speed)},
        "use_stable_rate": {"hidden": rate is None, "label": f"Use {rate:g}" if rate else ""},
    }


_NAMES = [button["name"] for button in BUTTONS]


def commands(session):
    """{name: what it does, given the value that came with it}."""

    def act(name):
        def pressed(value):
            if name in WAITING and session.draft.pending:  # what was pressed may not be what is shown any more
                return
            session.moment = None
            session.act(name)

        return pressed

    def new_seed(value):
        if not session.draft.pending:
            session.draft.edit("seed", (session.config.seed + 1) % 2**31)

    def set_speed(value):
        if not isinstance(value, str) or value not in SPEEDS:
            raise ConfigError("speed", f"must be one of {', '.join(SPEEDS)}; was {shown(value)}")
        if not session.run.watching:
            session.run.set_speed(SPEEDS[value])

    def use_stable_rate(value):
        rate = stable_rate(session, session.last_snapshot)
        if rate is not None:
            session.draft.edit("optimizer.learning_rate", rate)

    acts = {name: act(name) for name in _NAMES}
    return acts | {"new_seed": new_seed, "speed": set_speed, "use_stable_rate": use_stable_rate}


def readings(session, snapshot):
    """HTML of where the run stands, in figures that keep their places."""
    metric = wording.phrase(snapshot.metric)
    values = [
        ("Step", wording.count(snapshot.step), 10, ""),
        ("Epoch", f"{snapshot.epoch:,.1f}", 8, "epoch"),
        ("Steps/s", wording.rate(snapshot.steps_per_second) if snapshot.status == "running" else "–", 6, "rate"),
        ("Train loss", wording.number(snapshot.train_loss), 8, ""),
        ("Test loss", wording.number(snapshot.test_loss), 8, ""),
        (f"Train {metric}", wording.number(snapshot.train_metric, 3), 8, "part"),
        (f"Test {metric}", wording.number(snapshot.test_metric, 3), 8, ""),
    ]
    cells = "".join(
        f'<div class="reading {kind}" style="min-width:{width}ch"><span>{html.escape(name)}</span><b>{html.escape(value)}</b></div>'
        for name, value, width, kind in values
    )
    kind, word = state(session, snapshot)
    shown = f'<div class="reading state {kind}" role="status"><span>Status</span><b>{word}</b></div>'
    return f'<div class="readings">{cells}{shown}{gauge(snapshot)}</div>'


def state(session, snapshot):
    """(style, words) for what the run is doing."""
    if session.run.death:
        return "trouble", "✕ Stopped"
    if snapshot.moment is not None:
        return "past", f"◷ Step {wording.count(snapshot.step)} of {wording.count(session.now)}"
    if snapshot.nonfinite is not None:
        return "trouble", f"✕ Not a number at step {wording.count(snapshot.nonfinite.step)}"
    if snapshot.status == "paused" and snapshot.step == 0:
        return "ready", "Waiting for the settings" if session.draft.pending else "Ready: press Play"
    return snapshot.status, STATES[snapshot.status]
