"""A row that is added to a table is offered by the page's controls, and can be chosen there."""

import pytest

from pages import wording
from tests.app.conftest import FRAME
from tests.core.test_one_entry import ENTRIES

# What is added -> (kind of control, its key)
CONTROLS = {
    "activation": ("selectbox", "layers.0.activation"),
    "output activation": ("selectbox", "layers.2.output"),
    "loss": ("selectbox", "loss"),
    "optimizer": ("selectbox", "optimizer.name"),
    "weight initializer": ("selectbox", "init.weights"),
    "bare bias initializer": ("selectbox", "init.bias"),
    "schedule": ("selectbox", "optimizer.schedule.name"),
    "source": ("segmented_control", "data.source"),
    "fault": ("toggle", "fault.added"),
}
# Runs live in processes of their own, which have the row added as they start
ADDING = """
from tests.core.test_one_entry import ENTRIES

entry = ENTRIES[{kind!r}]
entry.table[entry.name] = entry.row
"""


@pytest.mark.parametrize("kind", CONTROLS)
def test_an_added_row_can_be_chosen(open_page, monkeypatch, tmp_path, kind):
    entry, (control, key) = ENTRIES[kind], CONTROLS[kind]
    monkeypatch.setitem(entry.table, entry.name, entry.row)
    (tmp_path / "sitecustomize.py").write_text(ADDING.format(kind=kind))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{FRAME.parents[1]}")
    page = open_page()
    found = getattr(page, control)(key=key)
    if control != "toggle":
        assert wording.option(entry.name) in found.options and found.value != entry.name
    page.set(control, key, True if control == "toggle" else entry.name)
    assert page.live_run.config == page.session.config
    assert entry.name in str(page.session.config.to_dict())
