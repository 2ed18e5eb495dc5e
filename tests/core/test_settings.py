"""The server's settings come from the environment, and nonsense is refused by name."""

from pathlib import Path

import pytest

from core.settings import Settings


@pytest.mark.parametrize(("text", "shared"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("no", False)])
def test_switches_are_read(text, shared):
    assert Settings.from_environment({"DESCENT_SHARED": text}).shared is shared


@pytest.mark.parametrize(
    ("name", "text"), [("SHARED", "perhaps"), ("SHARED", ""), ("RUN_BYTES", "-1"), ("STORE_BYTES", "1.5"), ("MAX_RUNS", "x")]
)
def test_nonsense_is_refused_by_name(name, text):
    with pytest.raises(ValueError, match=f"DESCENT_{name} must be"):
        Settings.from_environment({f"DESCENT_{name}": text})


def test_runs_are_kept_in_the_users_folder_for_data(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Settings().data_folder == tmp_path / "descent"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")  # which the specification asks to ignore
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings().data_folder == tmp_path / ".local" / "share" / "descent"
    assert Settings.from_environment({"DESCENT_DATA_FOLDER": "here"}).data_folder == Path.cwd() / "here"
