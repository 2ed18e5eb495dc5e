"""Descent: train small networks in the browser and see what goes wrong. This is the frame; the pages are in pages/."""

from pages.widgets.live import preload

preload()  # the browser needs a second for Plotly's script: time in which all else is imported

from pages.widgets.frame import frame  # noqa: E402

frame().run()
