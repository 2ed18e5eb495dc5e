"""What the controls show, and the configuration that the run uses: the one follows the other, or says why it cannot."""

from __future__ import annotations

from core.config import LayerConfig, RunConfig, suggested_output
from core.data.sources import SOURCES
from core.limits import ConfigError
from core.link import flat, nested
from pages.training.launch import with_suited_output
from pages.training.uploads import Uploads

DATA_SHAPE = ("data.source", "data.path", "data.task", "data.target")  # what decides how many outputs there are, and of which kind
NO_FILE = ConfigError("data.path", "must be chosen; there is none yet")


class Draft:
    """`values` {dotted path: value} is what the controls show, valid or not; `config` is what the run uses, with an upload's token for its
    path; `problem` (ConfigError) says why they differ, `explained` that it is told beside its control. `follow`, a weak
    reference, is called with a configuration for the run to follow, or raises ConfigError.
    """

    def __init__(self, follow):
        self.uploads = Uploads()
        self.problem = None
        self.explained = False
        self._follow = follow

    def adopt(self, config):
        """Show what the run uses."""
        self.config, self.problem = config, None
        self.values = flat(config)
        self._suggested = None if config.data.source == "file" else suggested_output(config.data)

    def edit(self, name, value):
        """One control was changed: use all that the controls show, or nothing of it and say why (`problem`)."""
        self.values[name] = value
        if name == "data.source":
            source, before = SOURCES[value], SOURCES[self.config.data.source]
            self.values |= {"data.samples": source.samples, "data.path": None, "data.task": "classification", "data.target": None}
            if self.values["data.test_fraction"] == before.test_fraction:  # nobody chose another one
                self.values["data.test_fraction"] = source.test_fraction
        try:
            self._use(self.values, reshaped=name in DATA_SHAPE)
        except ConfigError as error:
            self.problem = error

    def load(self, config):
        """Use a whole configuration: a preset, a link."""
        self.values = flat(config)
        try:
            self._follow()(config)
            self.adopt(config)
        except ConfigError as error:
            self.problem = error

    def upload(self, name, raw):
        """Use a file: as a classification if its last column can be that, else as a regression; else it waits for another target."""
        try:
            token = self.uploads.add(name, raw)
        except ConfigError as error:
            self.problem = error
            return
        self.uploads.keep_only([token, self.config.data.path])
        file = {"data.source": "file", "data.samples": SOURCES["file"].samples, "data.path": token, "data.target": None}
        drafts = [self.values | file | {"data.task": task} for task in ("classification", "regression")]
        problems = []
        for draft in drafts:
            try:
                self._use(draft, reshaped=True)
                return
            except ConfigError as error:
                problems.append(error)
        self.values, self.problem = drafts[0], problems[0]

    def _use(self, draft, reshaped):
        """Use a draft; where the data was `reshaped`, the output follows it. ConfigError leaves all as it was."""
        if draft["data.source"] == "file" and draft["data.path"] is None:
            raise NO_FILE
        draft, suggested = with_suited_output(draft, self._suggested, self.uploads) if reshaped else (draft, self._suggested)
        config = RunConfig.from_dict(nested(draft))
        self._follow()(config)
        self.config, self.problem = config, None
        self.values, self._suggested = flat(config), suggested

    @property
    def pending(self):
        """Settings that the run has otherwise than the controls show, {name: the run's value}: nothing begins to train while there are."""
        return {name: value for name, value in flat(self.config).items() if self.values[name] != value}

    def take_back(self):
        """Have the controls show what the run uses."""
        self.adopt(self.config)

    @property
    def borrows(self):
        """Whether the run trains on a file of somebody else's."""
        return self.config.data.path is not None and self.uploads[self.config.data.path].lent

    @property
    def two_classes(self):
        """Whether one output unit can tell the classes apart."""
        return self._suggested is not None and self._suggested[0] == LayerConfig(1, "sigmoid")
