"""The forecast in the bar: learning rate over stability limit, what that means, and the rate to use instead."""

from __future__ import annotations

import math

from core.diagnosis.remedies import recommended_rate
from pages import wording

VERDICTS = {"stable": "stable", "edge": "! edge", "unstable": "✕ unstable"}  # a mark goes with the colour
EXPLAINED = {
    "stable": "The learning rate is below the limit that this curvature allows.",
    "edge": "The learning rate is above the limit, and yet the next steps were tried on a copy and went well.",
    "unstable": "The next steps were tried on a copy, and the loss ran away.",
}
DECADES = (-2, 1)  # that the bar shows; a tick marks 1, the limit


def gauge(snapshot):
    """HTML of the reading; always of one size."""
    told = snapshot.forecast
    if told is None:
        return _cell("", "–", 0, "A forecast is made as soon as the run stands still, and every second while it plays.")
    share = 100 * (math.log10(min(max(told.ratio, 1e-9), 1e9)) - DECADES[0]) / (DECADES[1] - DECADES[0])
    value = f"{wording.number(told.ratio, 2)} <em>{VERDICTS[told.verdict]}</em>"
    return _cell(told.verdict, value, min(max(share, 0), 100), EXPLAINED[told.verdict])


def _cell(verdict, value, share, title):
    edge = 100 * -DECADES[0] / (DECADES[1] - DECADES[0])
    return (
        f'<div class="reading gauge {verdict}" title="{title}"><span>Rate / limit</span><b>{value}</b>'
        f'<div class="bar"><div style="width:{share:.0f}%"></div><i style="left:{edge:.0f}%"></i></div></div>'
    )


def stable_rate(session, snapshot):
    """The largest usual learning rate that is expected to be stable now; None where there is nothing to mend, or no more."""
    told = snapshot.forecast
    if told is None or told.verdict == "stable" or snapshot.nonfinite is not None or session.run.death:
        return None
    return recommended_rate(session.config, told)
