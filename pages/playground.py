"""The playground: choose data, a network and how to train it; press Play; see what it learns, or what goes wrong."""

from pages.frame import guard

guard()

from pages.shell.live_figures import live_figures  # noqa: E402
from pages.training.session import session  # noqa: E402

session()  # its training process starts meanwhile, too

import streamlit as st  # noqa: E402

from core.link import RUN  # noqa: E402
from pages.charts import panels  # noqa: E402
from pages.shell.echoes import answered  # noqa: E402
from pages.shell.pace import pace  # noqa: E402
from pages.shell.requests import draw_next, uninterrupted  # noqa: E402
from pages.training.findings import findings  # noqa: E402
from pages.training.fixes import fixes  # noqa: E402
from pages.training.notices import no_room, not_kept, notice, worker_died  # noqa: E402
from pages.training.sidebar import sidebar  # noqa: E402
from pages.training.thumbnails import thumbnails  # noqa: E402
from pages.training.timebar import timebar  # noqa: E402
from pages.training.transport import buttons, status  # noqa: E402
from pages.training.unit_editor import unit_editor  # noqa: E402
from pages.training.view_menu import view_options  # noqa: E402

WAIT = 0.3  # seconds from one look to the next at a run that stands, and that something is being worked out for


@st.fragment(key="live")
def live():
    """All that moves, drawn once. While the run plays, or something about it is still being worked out, the inner part is drawn again
    and again; a run that stands costs nothing."""
    snapshot = session().look()
    with st.container(gap="xsmall"):
        with st.container(key="transport"):
            if session().death:
                worker_died()
            else:
                buttons(snapshot)
            readings = st.container()
        if snapshot is None:
            return
        alerts = st.container()
        unit_editor(snapshot.unit)
        figures = st.container()
        timebar(snapshot)
    places = readings, alerts, figures
    if session().restless:
        st.fragment(tick, run_every=pace.interval(id(session())) if session().playing else WAIT)(session().doing, *places)
    else:
        st.fragment(draw)(snapshot, *places)  # a fragment as well: in another place of the page the charts would be made anew
    answered()


def tick(was_doing, *places):
    """Draw what the run does now. When it has stopped, or died, or all is worked out, there are other buttons: draw those, too."""
    with pace.drawing(id(session())):
        draw(session().look(), *places)  # whatever follows: what this does not draw is taken away
    (was_playing, was_watching), (playing, watching) = was_doing, session().doing
    if watching != was_watching or session().behind:
        st.rerun()  # who may drive, and what the controls show, is settled where the page begins
    too_fast_or_slow = playing and not pace.suits(id(session()))  # another pace is another timer
    if playing != was_playing or not session().restless or too_fast_or_slow:
        draw_next("live")


def draw(snapshot, readings, alerts, figures):
    with readings:
        status(snapshot)
    with alerts:
        not_kept(snapshot)
        findings(snapshot)
        fixes(snapshot)
    with figures:
        shown, address = panels(snapshot, view_options()), (RUN, session().run)
        on_drawn = None if session().awake else awake
        live_figures(shown, key="figures", on_pick=pick, on_drawn=on_drawn, address=address, goes_on=session().restless)


@uninterrupted
def awake():
    session().awake = True
    st.rerun(["live", "thumbnails"])


@uninterrupted
def pick(layer, index):
    session().picked = (layer, index)
    st.rerun("live")


session().follow_address()
draw_folded = sidebar()
notice()
if session().ready():
    live()
else:
    no_room()
draw_folded()
thumbnails("data-source")
