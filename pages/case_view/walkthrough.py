"""What a case shows besides its runs: the four equations in numbers, the tour in seven steps, the enlarged pictures."""

from __future__ import annotations

import html
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import pandas as pd
import streamlit as st

from core.cases import upscaling, walkthrough
from core.data import load
from pages import wording
from pages.charts.cases import picture
from pages.shell.controls import count_field, refusal, show

ROWS, COLUMNS = 10, 5  # of a matrix that are shown
PICTURES = 4  # patches that are shown
BEST = "best the hidden units allow"
SAMPLE = "sample of the equations"  # key of the tab's state: the one that is shown
NARROW = 16  # hidden units up to which the limit is worth working out: wider ones come close to everything


def matrix(term):
    """A Term: its equation, what it is, its shape and its numbers."""
    with st.container(width="content", gap=None):
        st.markdown(f"${term.equation}$")
        rows, columns = term.numbers.shape
        shown = [[None] if row is None else _few(list(row), COLUMNS) for row in _few(list(term.numbers), ROWS)]
        cells = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in shown)
        st.html(
            f'<div class="matrix-box"><small>{html.escape(term.words)} · {rows:,} × {columns:,}</small>'
            f'<table class="matrix">{cells}</table></div>'
        )


def _few(values, most):
    """The first of the values, and None for the rest."""
    return [*values[: most - 1], None] if len(values) > most else list(values)


def _cell(value):
    return f"<td>{'…' if value is None else wording.number(float(value), 3)}</td>"


def follower(variant):
    """The Follower of a variant in this tab."""
    kept = st.session_state.get("follower")
    if kept is None or kept[0] != variant.config:
        made = walkthrough.Follower(variant.config)
        kept = st.session_state["follower"] = variant.config, made, made.trainer.parameters()
    return kept[1:]


def equations(side):
    """Controls, and BP1 to BP4 in the numbers of the left run as it stands; `side` is that run's."""
    trainer = follower(side.variant)[0].at(side.snapshot.step)
    layer, sample = st.session_state.get("equations.layer", 2), _sample(trainer)
    st.caption(
        f"{side.variant.title}, step {wording.count(side.snapshot.step)}: layer {layer}, sample {sample:,}. The numbers follow the run. A "
        "gradient of the batch is the mean of what its samples give."
    )
    _matrices(walkthrough.four_equations(trainer, layer, sample - 1))


def equation_controls(variant):
    """Which layer and which sample."""
    trainer = follower(variant)[0].trainer
    left, right = st.columns(2)
    with left:
        shown = show("equations.layer", st.session_state.get("equations.layer", len(variant.config.layers)))
        st.segmented_control(
            "Layer", range(1, len(variant.config.layers) + 1), required=True, **shown,
            help="From the inputs; the last is the output.",
        )  # fmt: skip
    with right:
        why = count_field(
            "Sample", "equations.sample", _sample(trainer), len(trainer.dataset.train), _choose_sample,
            help="Which of the training samples.",
        )  # fmt: skip
        if why:
            refusal(why)


def _sample(trainer):
    """The chosen sample, from 1; the last of a case that has fewer."""
    return min(st.session_state.get(SAMPLE, 1), len(trainer.dataset.train))


def _choose_sample(sample):
    st.session_state[SAMPLE] = sample


def tour_controls():
    """Which of the seven steps."""
    st.segmented_control(
        "Step of the article", range(1, len(walkthrough.TOUR) + 1), required=True,
        **show("tour.step", st.session_state.get("tour.step", 1)),
        format_func=lambda step: f"{step}. {walkthrough.TOUR[step - 1][0]}", help="Each with the matrices of the run as it stands.",
    )  # fmt: skip


def tour(side):
    """The chosen step in the numbers of the left run as it stands."""
    following, first = follower(side.variant)
    trainer = following.at(side.snapshot.step)
    step = st.session_state.get("tour.step", 1)
    st.caption(f"{walkthrough.TOUR[step - 1][1]} Numbers of update {wording.count(trainer.step)}, first samples.")
    _matrices(walkthrough.tour(trainer, first, step))
    _costs({at: cost for at, cost in following.costs.items() if at <= trainer.step})


def _costs(costs):
    """What the program prints as it trains."""
    told = {"After iteration": map(wording.count, costs), "Cost": (f"{cost:.6f}" for cost in costs.values())}
    rows = "".join(f"<tr><th>{name}</th>{''.join(f'<td>{text}</td>' for text in texts)}</tr>" for name, texts in told.items())
    st.html(f'<div class="matrix-box"><b>What the program prints</b><table class="matrix">{rows}</table></div>')


def _matrices(terms):
    with st.container(horizontal=True, gap="medium", vertical_alignment="top"):
        for term in terms:
            matrix(term)


# Enlarged pictures


def pictures(sides):
    """Peak signal-to-noise ratios of both runs as they stand, beside what needs no network, and what that makes of a few patches."""
    if not measured(sides):
        st.caption("Enlarging the held-back patches without a network, to compare with ...")
        return
    columns = {side.variant.title: _ratios(side) for side in sides}
    st.dataframe(
        pd.DataFrame(columns), width="stretch", column_config={name: st.column_config.NumberColumn(format="%.1f dB") for name in columns}
    )
    st.caption(
        "Peak signal-to-noise ratio on patches from a part of the photographs that no training patch touches; higher is better. The runs "
        "may hold back other patches: compare within a column."
    )
    st.html(_gallery(_measuring(sides[1].variant).result()["pictures"]))


def measured(sides):
    """Whether all is known that `pictures` shows; where it is not, it is being worked out beside the page."""
    return all([_measuring(side.variant).done() for side in sides])


def _measuring(variant):
    return _measured(variant.config.data, _narrowest(variant))


def _ratios(side):
    """{name: dB} of a run."""
    loss = side.snapshot.test_loss
    now = -10 * np.log10(loss) if loss is not None and np.isfinite(loss) and loss > 0 else np.nan
    return {"this network now": now, **_measuring(side.variant).result()["ratios"]}


def _narrowest(variant):
    """Hidden units, where there are few; 0 elsewhere."""
    units = min(layer.units for layer in variant.config.layers[:-1])
    return units if units <= NARROW else 0


@lru_cache(maxsize=4)
def _measured(data, dimensions):
    """A Future of the ratios and of a few pictures, for all sessions."""
    executor = ThreadPoolExecutor(1)
    future = executor.submit(_measure, data, dimensions)
    executor.shutdown(wait=False)
    return future


def _measure(data, dimensions):
    dataset = load(data)
    targets = dataset.test.targets
    made = upscaling.enlargements(dataset)
    if dimensions:
        made[f"{BEST} ({dimensions})"] = upscaling.limit(dataset, dimensions)
    chosen = np.argsort(-dataset.test.inputs.std(axis=1))[:PICTURES]  # the liveliest
    shown = [("input", [picture(dataset.test.inputs[at], dataset.image) for at in chosen])]
    shown += [(name, [picture(pixels[at], dataset.target_image) for at in chosen]) for name, pixels in made.items() if name != "mean image"]
    shown.append(("target", [picture(targets[at], dataset.target_image) for at in chosen]))
    return {"ratios": {name: upscaling.psnr(pixels, targets) for name, pixels in made.items()}, "pictures": shown}


def _gallery(shown):
    figures = ""
    for name, sources in shown:
        images = "".join(f"<img src={source!r} alt={name!r}>" for source in sources)
        figures += f"<figure><div>{images}</div><figcaption>{html.escape(name)}</figcaption></figure>"
    return f'<div class="gallery">{figures}</div>'
