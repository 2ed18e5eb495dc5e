"""The doctor: upload one step of your own backprop, and see whether its gradients are right, and if not, why."""

import html

import pandas as pd
import streamlit as st

from core.doctor import check
from core.doctor.examples import EXAMPLES, example
from core.doctor.run_file import SMALLER
from core.limits import LIMITS, ConfigError
from core.live.apart import apart
from core.nn.activations import ACTIVATIONS
from core.nn.losses import LOSSES
from pages import wording
from pages.charts.doctor import doctor_panels
from pages.shell.components import figures, theme
from pages.shell.identity import take_upload
from pages.shell.page_head import head

FILE, ANSWER = "doctor file", "doctor answer"  # (name, bytes), and what was said of them: an Answer or a ConfigError
SECONDS = 45.0  # a file gets; most take less than one
VERDICTS = {
    "correct": ("✓", "Your gradients are right"),
    "faulty": ("✕", "Something is wrong, and it has a name"),
    "not_reproduced": ("?", "This is not the network that the file describes"),
    "unknown": ("?", "Not in the catalogue"),
}
LINES = """\
import numpy as np

# After the backward pass, before the update (or copy: W1.copy(), ... if the update works in place)
layers = {{}}
for l in range(1, L + 1):                # {about}
    layers |= {{f"W{{l}}": W[l], f"b{{l}}": b[l], f"dW{{l}}": dW[l], f"db{{l}}": db[l]}}
np.savez("RUN.npz", **layers,
         X=X, Y=Y,                       # the batch of this step: {batch}
         activations=["relu", "sigmoid"], loss="binary_cross_entropy",
         # if you know them, the doctor looks at more: the loss value; and the update, W1_next, b1_next, ...
         loss_value=cost, learning_rate=learning_rate)
"""
NAMED = """\
import numpy as np

# After the backward pass, before the update (or copy: W1.copy(), ... if the update works in place)
np.savez("RUN.npz", W1=W1, b1=b1, dW1=dW1, db1=db1,
         W2=W2, b2=b2, dW2=dW2, db2=db2,  # and so on; without biases leave b and db out
         X=X, Y=Y, activations=["relu", "sigmoid"], loss="binary_cross_entropy",
         loss_value=cost, learning_rate=learning_rate)
"""
DICTS = """\
import numpy as np

# After the backward pass, before the update: params["W1"], params["b1"], ... and grads["dW1"], grads["db1"], ...
np.savez("RUN.npz", **params, **grads,
         X=X, Y=Y, activations=["relu", "sigmoid"], loss="binary_cross_entropy",
         loss_value=cost, learning_rate=learning_rate)
"""
ORIENTATIONS = {
    "Lists, features first": LINES.format(about="W[l] is (units, inputs), b[l] is (units, 1)", batch="one sample a column"),
    "Lists, samples first": LINES.format(about="W[l] is (inputs, units), b[l] is (1, units)", batch="one sample a row"),
    "W1, b1, ...": NAMED,
    "Dicts": DICTS,
}


def choose():
    """A file of one's own, or an example."""
    file = st.file_uploader(
        "RUN.npz: your arrays at one step", ["npz"], key="doctor upload", max_upload_size=LIMITS["file_bytes"] >> 20,
        help="It is looked at once, in a process of its own, and not kept.", on_change=_uploaded,
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Try an example:", width="content")
        for name, faults in EXAMPLES.items():
            st.button(name, key=f"example {name}", on_click=_try, args=(name, faults), help="A file as it comes from a small network here.")
    with st.expander("Ten lines that write the file", expanded=FILE not in st.session_state and file is None):
        for tab, lines in zip(st.tabs(list(ORIENTATIONS)), ORIENTATIONS.values()):
            tab.code(lines, language="python")
        st.caption(f"Activations: {', '.join(ACTIVATIONS)}. Losses: {', '.join(LOSSES)}. Row or column order is inferred from the shapes.")


def _uploaded():
    file = st.session_state["doctor upload"]
    _take(file and (file.name, file.getvalue()))
    try:
        take_upload("file", file.getvalue() if file else b"")
    except ConfigError as refusal:
        st.session_state[ANSWER] = refusal


def _try(name, faults):
    _take((name, example(faults)))


def _take(file):
    st.session_state.pop(ANSWER, None)
    st.session_state.pop(FILE, None)
    if file:
        st.session_state[FILE] = file


def answered(raw):
    """The Answer on these bytes, or the ConfigError that refuses them; worked out once."""
    if ANSWER not in st.session_state:
        with st.spinner(f"Comparing every gradient, and trying mistakes where they differ; at most {SECONDS:g} seconds.", show_time=True):
            try:
                st.session_state[ANSWER] = apart(check, raw, field="file", seconds=SECONDS, smaller=SMALLER)
            except ConfigError as refusal:
                st.session_state[ANSWER] = refusal
    return st.session_state[ANSWER]


def told(name, answer):
    """The verdict, the mistakes with their lines, and the comparison."""
    mark, title = VERDICTS[answer.verdict]
    if answer.mistakes:
        title = " ".join(map(str, answer.mistakes))
    why = answer.explanation.removeprefix(title).strip()
    verdict = answer.verdict.replace("_", " ").capitalize()
    notes = "".join(f"<li>{html.escape(remark.text)}</li>" for remark in answer.remarks)
    notes = f"<ul>{notes}</ul>" if notes else ""
    st.html(
        f'<section class="verdict {answer.verdict}" role="status"><div class="mark" aria-hidden="true">{mark}</div><div>'
        f"<h3>{verdict}: {html.escape(title)}</h3><p>{html.escape(why)}</p>{notes}</div></section>"
    )
    for mistake in answer.mistakes:
        st.html(
            f'<div class="lines"><div class="cell wrong"><b>As if yours said</b><pre>{html.escape(mistake.wrong)}</pre></div>'
            f'<div class="cell right"><b>Right</b><pre>{html.escape(mistake.right)}</pre></div></div>'
        )
    if answer.verdict == "not_reproduced":  # there is nothing to hold the gradients against
        return
    if answer.right:
        figures(doctor_panels(answer, theme()), key="doctor figures")
    table(name, answer)


def table(name, answer):
    """Every gradient beside the right one."""
    rows = pd.DataFrame([row.to_dict() for row in answer.table])
    columns = {
        "tensor": st.column_config.TextColumn("Gradient"),
        "relative_error": st.column_config.NumberColumn(
            "Relative error", format="%.1e", help="|yours - right| over the longer of the two."
        ),
        "ratio": st.column_config.NumberColumn("Ratio", format="%.4g", help="How many times the right gradient yours is."),
        "cosine": st.column_config.NumberColumn("Cosine", format="%.4g", help="1: the same direction; -1: the opposite one."),
    }
    with st.expander(f"Numbers of {name}"):
        st.dataframe(rows, column_config=columns, hide_index=True, width="stretch")


head("Doctor", "Is your own backprop right? Upload what it has at one step. If a gradient is wrong, the doctor says which line does that.")
choose()
if FILE in st.session_state:
    file_name, content = st.session_state[FILE]
    result = answered(content)
    if isinstance(result, ConfigError):
        st.error(f"{wording.literal(file_name)} cannot be used. {wording.literal(wording.complaint(result))}.", icon=":material/error:")
    else:
        told(file_name, result)
