"""The cases: programs that people posted because they did not work, run as they were beside what mends them."""

from pages.frame import guard

guard()

import difflib  # noqa: E402
import html  # noqa: E402

import streamlit as st  # noqa: E402

from core.cases import CASES  # noqa: E402
from core.link import to_query  # noqa: E402
from pages import wording  # noqa: E402
from pages.case_view import walkthrough  # noqa: E402
from pages.charts.cases import pair_panels  # noqa: E402
from pages.frame import head  # noqa: E402
from pages.shell.controls import show  # noqa: E402
from pages.shell.live_figures import live_figures, theme  # noqa: E402
from pages.shell.pair import pair  # noqa: E402
from pages.shell.requests import navigated, uninterrupted  # noqa: E402

TICK = 0.15  # seconds from one look at playing runs to the next
MARKS = {"critical": "✕", "warning": "!", "info": "i"}
MOST = 3  # findings shown of a run, the root first: the charts below must not jump
SIDES = ("left", "right")
VIEWS = {
    "equations": ("Four equations, in numbers", lambda: walkthrough.equation_controls(pair().sides[0].variant), walkthrough.equations),
    "tour": ("The seven steps, in numbers", walkthrough.tour_controls, walkthrough.tour),
}


def chosen():
    """The case of the address, or the first; the address follows the choice."""
    asked = st.query_params.get("case", next(iter(CASES)))
    if asked not in CASES:
        st.warning(f"There is no case {wording.literal(asked[:60])}; you see the first.", icon=":material/error:")
        asked = next(iter(CASES))
    st.pills(
        "Case", CASES, **_followed(asked), required=True, format_func=lambda name: CASES[name].title, label_visibility="collapsed",
        help="Programs that people asked about.",
    )  # fmt: skip
    wanted = st.session_state["case"]
    if wanted != asked:
        st.query_params.from_dict({"case": wanted})
    return CASES[wanted]


@uninterrupted
def _followed(asked):
    return show("case", asked if navigated() else st.session_state.get("case", asked))


def story(case):
    """What its author saw, and what is wrong: formula beside formula, line beside line."""
    st.markdown(f"##### {case.title}")
    st.markdown(case.complaint)
    with st.expander("What is wrong, formula by formula", expanded=True):
        for slip in case.slips:
            wrong, right = st.columns(2)
            wrong.markdown(f":red[✕]&ensp;${slip.wrong}$")
            right.markdown(f":blue[✓]&ensp;${slip.right}$")
            st.caption(slip.effect)
    with st.expander("One step, line by line"):
        wrong, right = _marked(case.posted.splitlines(), case.mended.splitlines())
        st.html(
            f'<div class="lines"><div class="cell wrong"><b>As posted, in NumPy</b><pre>{wrong}</pre></div>'
            f'<div class="cell right"><b>Mended</b><pre>{right}</pre></div></div>'
        )
        for remark in case.remarks:
            st.caption(remark)


def _marked(posted, mended):
    """Both programs as HTML, with a mark on the lines that differ."""
    kept = [set(), set()]
    for block in difflib.SequenceMatcher(None, posted, mended, autojunk=False).get_matching_blocks():
        for same, start in zip(kept, (block.a, block.b)):
            same.update(range(start, start + block.size))
    return [
        "\n".join(html.escape(line) if at in same else f'<span class="changed">{html.escape(line)}</span>' for at, line in enumerate(lines))
        for lines, same in zip((posted, mended), kept)
    ]


def variants(case):
    """Which two ways to run it stand beside each other."""
    names = [entry.name for entry in case.variants]
    picked = []
    for side, column, usual in zip(SIDES, st.columns(2), ("as_posted", "mended")):
        key = f"{case.name} {side}"
        with column:
            shown = show(key, st.session_state.get(key, usual))
            name = st.selectbox(
                f"On the {side}", names, **shown, format_func=lambda name: case.variant(name).title, help="One way to run this program."
            )
            entry = case.variant(name)
            st.caption(f"{entry.about} ({wording.count(entry.steps)} steps)")
            st.page_link(
                "pages/playground.py", label="Open in the playground", icon=":material/open_in_new:", query_params=to_query(entry.config)
            )
            picked.append(entry)
    pair().show(*picked)


@st.fragment
def runs(case):
    """The buttons, and all that moves."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        playing = pair().playing  # both buttons are always there, as in the playground's bar
        st.button("Run both", icon=":material/play_arrow:", key="pair play", type="primary", on_click=pair().play, disabled=playing)
        st.button("Pause", icon=":material/pause:", key="pair pause", type="primary", on_click=pair().pause, disabled=not playing)
        st.button("Reset", icon=":material/replay:", key="pair reset", on_click=pair().reset, help="Both back to step 0.")
    controls = VIEWS.get(case.show)
    places = [*st.columns(2), st.container()]
    if controls:
        st.markdown(f"##### {controls[0]}")
        controls[1]()
    places.append(st.container())
    st.fragment(draw, run_every=TICK if restless(case) else None)(case, restless(case), *places)


def restless(case):
    """Whether anything on the page will change by itself."""
    return pair().restless or (case.show == "pictures" and not walkthrough.measured(pair().sides))


def draw(case, was_restless, left, right, charts, closer):
    """Both runs as they stand; when that will not change by itself any more, the whole page once more, at rest."""
    pair().tick()
    if was_restless and not restless(case):
        st.rerun()
    sides = pair().sides
    for side, place in zip(sides, (left, right)):
        with place:
            state(side)
    begun = all(side.snapshot is not None for side in sides)
    with charts:
        if begun:
            shown = pair_panels([(side.variant.title, side.variant.steps, side.snapshot) for side in sides], theme())
            live_figures(shown, key="pair figures", goes_on=pair().restless)
        else:
            st.empty()  # a fragment may fill only what it has written to along with the page
    with closer:
        if begun and case.show in VIEWS:
            VIEWS[case.show][2](sides[0])
        elif begun and case.show == "pictures":
            walkthrough.pictures(sides)
        else:
            st.empty()


def state(side):
    """Where a run stands, and what was found."""
    if side.problem:
        st.html(f'<div class="found"><div class="quiet">✕ {html.escape(side.problem)}</div></div>')
        return
    if side.snapshot is None:
        st.html('<div class="found"><div class="quiet">Getting ready ...</div></div>')
        return
    one = side.snapshot
    metric = f"{wording.phrase(one.metric)} {wording.number(one.train_metric, 3)}"
    figures = f"Step {wording.count(one.step)} · loss {wording.number(one.train_loss)} · {metric}"
    entries = "".join(
        f'<div class="{finding.severity}"><span class="mark">{MARKS[finding.severity]}</span> {html.escape(finding.title)}</div>'
        for finding in one.findings[:MOST]
    )
    nothing = '<div class="quiet">✓ Nothing found so far.</div>' if one.step else ""
    st.html(f'<div class="found"><div><b>{html.escape(figures)}</b></div>{entries or nothing}</div>')


head("Cases", "Programs that people posted because they did not work: as they were, beside what mends them, on the same seed.")
the_case = chosen()
story(the_case)
variants(the_case)
runs(the_case)
