"""Files that a person uploaded in this session. The page knows them by a token; only here does a token become a path.

So no link can make the server read its own disk: a path that is no token of this session is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core.config import DataConfig
from core.data.table.formats import packed
from core.limits import LIMITS, ConfigError, shown
from core.live.table_reader import describe

FOLDER = "descent-upload-"  # what the name of a session's folder begins with, before the server's process id


@dataclass(frozen=True)
class Upload:
    """One file: where it lies. A `lent` one is somebody else's, there to look at their run and for nothing else."""

    path: Path
    lent: bool = False


class Uploads:
    """The files of one session, in a folder of their own that goes when the session goes."""

    def __init__(self):
        _tidy_up()
        self._files = {}
        self._folder = None

    def __getitem__(self, token):
        """The Upload with this token; ConfigError when this session has none."""
        if token not in self._files:
            raise ConfigError("data.path", "must be a file uploaded in this session: a link cannot carry it, upload it again")
        return self._files[token]

    def add(self, name, raw, lent=False):
        """Keep a file's bytes and return its token. Raises ConfigError when it is too large."""
        if len(raw) > LIMITS["file_bytes"]:
            raise ConfigError("data.path", f"must be at most {LIMITS['file_bytes'] >> 20} MiB; was {len(raw) >> 20:,} MiB")
        name = _plain(name)
        token = hashlib.sha256(name.encode() + raw).hexdigest()[:16]
        if token not in self._files or self._files[token].lent:
            self._folder = self._folder or tempfile.TemporaryDirectory(prefix=f"{FOLDER}{os.getpid()}-")
            path = Path(self._folder.name) / token / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(raw)
            self._files[token] = Upload(path, lent)
        return token

    def with_tests(self, token, name, raw):
        """Keep the file with this token and a test file together, and return their token. Raises ConfigError."""
        path = self._own(token).path
        return self.add(f"{path.name} tested on {name}.zip", packed((path.name, path.read_bytes()), (_plain(name), raw)))

    def describe(self, token, given):
        """The Description of the file with this token: `given` {field of the data: value} are kept, all others are proposed. Raises
        ConfigError, also for a lent file."""
        data = DataConfig.from_dict({**given, "source": "file", "path": str(self._own(token).path)}, "data")
        return describe(data, {*given, "source", "path"})

    def keep_only(self, tokens):
        """Drop all files but these."""
        for token in self._files.keys() - set(tokens):
            shutil.rmtree(self._files.pop(token).path.parent, ignore_errors=True)

    def resolved(self, config, to_look=False):
        """A RunConfig, or DataConfig, that names the file itself where this one names its token. Raises ConfigError for a token of another
        session's, and for a lent file unless it is `to_look` at the run that it was lent for."""
        if hasattr(config, "data"):
            return dataclasses.replace(config, data=self.resolved(config.data, to_look))
        if config.test_path is not None:
            raise ConfigError(
                "data.test_path", f"must be null on the page: a test file is kept with the table; was {shown(config.test_path)}"
            )
        if config.source != "file":
            return dataclasses.replace(config, path=None)
        upload = self[config.path] if to_look else self._own(config.path)
        return dataclasses.replace(config, path=str(upload.path))

    def _own(self, token):
        if self[token].lent:
            raise ConfigError("data.path", "must be a file of yours; this one is the run's owner's, and the run shows its charts alone")
        return self[token]

    def named(self, config):
        """A RunConfig that names the token of its file where this one names the file. Another tab's is added; raises ConfigError
        as `add` does, and when it is gone with its tab."""
        if config.data.path is None:
            return config
        path = Path(config.data.path)
        token = path.parent.name
        if token not in self._files:
            try:
                token = self.add(path.name, path.read_bytes())
            except OSError as error:
                raise ConfigError("data.path", "must be a file that is still there; its tab was closed") from error
        return dataclasses.replace(config, data=dataclasses.replace(config.data, path=token))


def _plain(name):
    """A name that is safe in any folder, and neither "" nor ".."."""
    return re.sub(r"[^A-Za-z0-9._-]|^(?=[.]|$)", "_", name)[-80:]


@cache
def _tidy_up():
    """Remove what servers that were killed have left, once."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}[0-9]*-*"):
        try:
            os.kill(int(folder.name.removeprefix(FOLDER).partition("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (ValueError, OverflowError, PermissionError):  # somebody else's
            continue
