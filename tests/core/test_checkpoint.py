"""Checkpoints on disk, and the settings that say where they go."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core.live import checkpoint
from core.settings import Settings


def test_checkpoint_files_are_private_and_old_ones_go(tmp_path):
    folder = tmp_path / "private" / "runs"
    old, young = folder / "old.npz", folder / "young.npz"
    path = checkpoint.new_path(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    for other in (old, young):
        checkpoint.save(other, {"position": np.array([3.0])})
    os.utime(old, (time.time() - 25 * 3600,) * 2)
    assert checkpoint.new_path(folder) != path
    assert not old.exists()
    assert young.exists()
    folder.chmod(0o755)
    with pytest.raises(PermissionError):
        checkpoint.new_path(folder)


def test_what_a_killed_server_left_goes_with_the_next_run(tmp_path):
    folder = tmp_path / "runs"
    ours = checkpoint.new_path(folder)
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    left = folder / ours.name.replace(str(os.getpid()), str(done.pid))
    for path in (ours, left, checkpoint.beside(left)):
        checkpoint.save(path, {"position": np.array([3.0])})
    checkpoint.new_path(folder)
    assert list(folder.iterdir()) == [ours]


def test_an_interrupted_write_leaves_the_last_checkpoint(tmp_path):
    path = tmp_path / "run.npz"
    checkpoint.save(path, {"position": np.array([3.0])})
    with pytest.raises(ValueError):
        checkpoint.save(path, {"position": np.array([4.0]), "code": np.array([object()])})
    assert checkpoint.saved(path)[0] == 3
    assert os.listdir(tmp_path) == ["run.npz"]


def test_settings_come_from_the_environment():
    settings = Settings.from_environment(
        {"DESCENT_MAX_RUNS": "8", "DESCENT_PAUSE_AFTER": "1.5", "DESCENT_CHECKPOINT_FOLDER": "/some/where"}
    )
    assert (settings.max_runs, settings.pause_after, settings.checkpoint_folder) == (8, 1.5, Path("/some/where"))
    assert settings.exit_after == Settings().exit_after


@pytest.mark.parametrize("text", ["many", "0", "-1", "2.5", "nan"])
def test_settings_that_are_no_good_are_named(text):
    with pytest.raises(ValueError, match="DESCENT_MAX_RUNS must be a whole number above 0"):
        Settings.from_environment({"DESCENT_MAX_RUNS": text})
