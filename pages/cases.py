"""The cases: programs that people posted because they did not work, run as they were beside what mends them."""

import difflib
import html

import streamlit as st

from core.cases import CASES
from core.link import to_query
from pages import wording
from pages.case_view import walkthrough
from pages.case_view.pair_view import PairView
from pages.shell.components import listener, live
from pages.shell.controls import show
from pages.shell.page_head import head
from pages.shell.pair import pair
from pages.shell.tab import tab

BUTTONS = [
    {"name": "play", "label": "Run both", "icon": "play", "primary": True, "help": "Trains both to the end of their steps"},
    {"name": "pause", "label": "Pause", "icon": "pause", "primary": True, "help": "Stops both where they are"},
    {"name": "reset", "label": "Reset", "icon": "reset", "help": "Both back to step 0"},
]
SIDES = ("left", "right")
ADDRESS = "case of the address"  # key of the tab's state: the one that it names
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
    wanted = st.session_state[ADDRESS] = st.session_state["case"]
    if wanted != asked:
        st.query_params.from_dict({"case": wanted})
    return CASES[wanted]


def _followed(asked):
    """The case that the address leads to where it names another one than it last did; else the one that was chosen."""
    other = asked != st.session_state.get(ADDRESS)
    return show("case", asked if other and tab().led() else st.session_state.get("case", asked))


def question(case):
    """The symptom, what its author asked, and the answer in short."""
    st.html(
        f'<div class="case"><h2>{html.escape(case.title)}</h2><blockquote>{html.escape(case.complaint)}</blockquote>'
        f"<p>{html.escape(case.answer)}</p></div>"
    )


def reasons(case):
    """Why it happens, step by step, and what is wrong: formula beside formula, line beside line."""
    if case.why:
        with st.expander("Why it happens", expanded=True):
            st.markdown("\n".join(f"{number}. {wording.literal(reason)}" for number, reason in enumerate(case.why, 1)))
            if case.crash:
                st.caption("Where the program stops, as posted:")
                st.code(case.crash, language=None, wrap_lines=True)
            if case.link:
                st.markdown("[{}]({})".format(*case.link))
    with st.expander("What is wrong, formula by formula", expanded=True):
        for slip in case.slips:
            wrong, right = st.columns(2)
            wrong.markdown(f"{':red[✕]' if slip.mistake else '='}&ensp;${slip.wrong}$")
            right.markdown(f"{':blue[✓]' if slip.mistake else '='}&ensp;${slip.right}$")
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
    names = [entry.name for entry in case.distinct]
    picked = []
    for side, column, usual in zip(SIDES, st.columns(2), case.opening):
        key = f"{case.name} {side}"
        with column:
            shown = show(key, st.session_state.get(key, usual.name))
            with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
                name = st.selectbox(
                    f"On the {side}", names, **shown, format_func=lambda name: case.variant(name).title, help="One way to run this program."
                )
                entry = case.variant(name)
                st.page_link(
                    "playground.py", label="Open in the playground", icon=":material/open_in_new:", query_params=to_query(entry.config)
                )
            st.caption(f"{entry.about} ({wording.count(entry.steps)} steps)")
            picked.append(entry)
    with tab().lock:
        pair().show(*picked)


def runs(case):
    """The buttons, and all that moves; both come over the live line."""
    live("buttons", "pair buttons", buttons=BUTTONS)
    for side, column in zip(SIDES, st.columns(2)):
        with column:
            live("text", f"{side} state", name=side)
    live("board", "pair figures")
    closer(case)


@st.fragment
def closer(case):
    """What a case shows besides: drawn again as its runs go on."""
    tab().begin()
    with tab().lock:
        outline = tab().view.outline
        begun = all(side.snapshot is not None for side in pair().sides)
        if case.show in VIEWS:
            title, controls, content = VIEWS[case.show]
            st.markdown(f"##### {title}")
            controls()
            if begun:
                content(pair().sides[0])
        elif begun and case.show == "pictures":
            walkthrough.pictures(pair().sides)
    listener("closer", outline)


head("Cases", "Programs that people posted because they did not work: as they were, beside what mends them, on the same seed.")
tab().begin()
the_case = chosen()
question(the_case)
variants(the_case)
tab().view = PairView(pair(), the_case.show)
runs(the_case)
reasons(the_case)
tab().wake()
