"""Descent: train small networks in the browser and see what goes wrong. This is the frame; the pages are in pages/."""

from pages.frame import frame

frame().run()
