"""The cases: programs that people posted because they did not work, run as they were beside what mends them."""

from pages.widgets.frame import guard, head

guard()

head("Cases", "Programs that people posted because they did not work: as they were, and mended, side by side.")
