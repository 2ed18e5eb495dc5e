"""What the controls show, and the configuration that the run uses: the one follows the other, or says why it cannot."""

from __future__ import annotations

from core.config import LayerConfig, RunConfig, suggested_output
from core.data.sources import SOURCES
from core.limits import ConfigError
from core.link import flat, nested
from pages.shell.identity import take_upload
from pages.shell.tab import tab
from pages.training.launch import OWN, with_suited_output
from pages.training.uploads import Uploads

TABLE = ("data.task", "data.target", "data.drop", "data.columns", "data.missing", "data.header", "data.delimiter")  # how a file is read
ONE_SOURCE = {"data.points": "drawn", "data.formula": "formula"}  # settings of one source: while it is another they wait here
DATA_SHAPE = ("data.source", "data.path", "data.points", *TABLE)  # what decides how many outputs there are, and of which kind
L2 = "penalty.l2"
PLAIN = flat(RunConfig())
NO_FILE = ConfigError("data.path", "must be chosen; there is none yet")


class Draft:
    """`values` {dotted path: value} is what the controls show, valid or not; `config` is what the run uses, with an upload's token for its
    path; `problem` (ConfigError) says why they differ, `explained` that it is told beside its control. `follow`, a weak
    reference, is called with a configuration for the run to follow, or raises ConfigError. `table` is the Description of the file that
    the controls show, None while it is not known.
    """

    def __init__(self, follow):
        self.uploads = Uploads()
        self.problem = None
        self.explained = False
        self.table = None
        self._follow = follow
        self._waiting = {}  # of ONE_SOURCE
        self._alone = {}  # token of a table with its test file -> of the table alone
        self._before = []  # values of TABLE as they were before each change

    def adopt(self, config):
        """Show what the run uses."""
        self.config, self.problem = config, None
        self.values, self.table, self._before = flat(config), None, []
        self._suggested = None if config.data.source == "file" else suggested_output(config.data)
        self._l2 = self.values[L2] if config.data.source == "file" else PLAIN[L2]

    def edit(self, name, value):
        """One control was changed: use all that the controls show, or nothing of it and say why (`problem`)."""
        if name in TABLE:
            self._remember()
        self.values[name] = value
        if name == "data.source":
            source, before = SOURCES[value], SOURCES[self.config.data.source]
            self._waiting |= {other: self.values[other] for other in ONE_SOURCE if SOURCES[ONE_SOURCE[other]] is before}
            own = {other: self._waiting.get(other, PLAIN[other]) if whose == value else PLAIN[other] for other, whose in ONE_SOURCE.items()}
            self.values |= {"data.samples": source.samples, "data.path": None} | {other: PLAIN[other] for other in TABLE} | own
            if self.values["data.test_fraction"] == before.test_fraction:  # nobody chose another one
                self.values["data.test_fraction"] = source.test_fraction
            self.table, self._before = None, []
            self._penalize(PLAIN[L2])
        try:
            self._use(self.values, reshaped=name in DATA_SHAPE)
        except ConfigError as error:
            self.problem = error

    def draw(self, points):
        """Use these points, [[x1, x2, class]], in place of other data of the plane; the share of the test part stays."""
        self.values |= {name: PLAIN[name] for name in ONE_SOURCE} | {"data.source": "drawn", "data.samples": SOURCES["drawn"].samples}
        self.edit("data.points", points)

    def load(self, config):
        """Use a whole configuration: a preset, a link."""
        self.values = flat(config)
        try:
            self._follow()(config)
            self.adopt(config)
        except ConfigError as error:
            self.problem = error

    def upload(self, name, raw):
        """Use a file as its table proposes. One that cannot be read changes nothing; one that cannot be used so waits for a change."""
        before = self.config.data.path  # which the run may still be reading
        try:
            take_upload("data.path", raw)
            token = self.uploads.add(name, raw)
            self._propose(token, {})
        except ConfigError as error:
            self.problem = error
        else:
            self._before = []
        self._keep_files(before)

    def upload_tests(self, name, raw):
        """Use a file as the test part of the table that the controls show, in the place of another one."""
        before = self.config.data.path
        token = self._alone.get(self.values["data.path"], self.values["data.path"])
        try:
            take_upload("data.test_path", raw)
            pair = self.uploads.with_tests(token, name, raw)
            self._alone[pair] = token
            self._propose(pair, self._data())
        except ConfigError as error:
            self.problem = error
        self._keep_files(before)

    @property
    def has_tests(self):
        """Whether a test file was given to the table that the controls show."""
        return self.values["data.path"] in self._alone

    def drop_tests(self):
        """Have the test part drawn from the table again."""
        before = self.config.data.path
        try:
            self._propose(self._alone[self.values["data.path"]], self._data())
        except ConfigError as error:
            self.problem = error
        self._keep_files(before)

    def _keep_files(self, before):
        used = [self.values["data.path"], self.config.data.path, before]
        self.uploads.keep_only([*used, *(self._alone.get(token) for token in used)])

    def _data(self):
        """How the controls say that the file is read, {field of the data: value}."""
        return {name: value for name, value in nested(self.values)["data"].items() if name not in OWN}

    def read_as(self, name, value):
        """Read the file with or without a header, or with another delimiter: other columns may come of it, so all is proposed anew."""
        self._remember()
        kept = {other: self.values[other] for other in ("data.header", "data.delimiter", "data.missing")} | {name: value}
        try:
            self._propose(self.values["data.path"], {key.removeprefix("data."): of for key, of in kept.items()})
        except ConfigError as error:
            self.problem = error

    def _propose(self, token, given):
        """Show, and use if that can be, what is proposed for the file with this token; `given` fields of the data are kept."""
        table = self.uploads.describe(token, given)
        proposed = {name: PLAIN[name] for name in TABLE} | {f"data.{name}": value for name, value in (table.data | given).items()}
        output = {"units": table.output.units, "activation": table.output.activation}
        changed = {"layers": [*self.values["layers"][:-1], output], "loss": table.loss}
        rows = min(table.rows, SOURCES["file"].samples)
        self.values |= {"data.source": "file", "data.path": token, "data.samples": rows} | proposed | changed
        self._penalize(table.l2)
        self.table, self._suggested = table, (table.output, table.loss)
        if table.problem:
            self.problem = table.problem
        else:
            self._use(self.values, reshaped=False)

    def _penalize(self, l2):
        """Take this penalty on large weights, unless another than the proposed one was chosen, or a lesson keeps it."""
        if self.values[L2] == self._l2 and not tab().lesson.fixes(L2):
            self.values[L2] = self._l2 = l2

    def change_table(self, changes):
        """Change how the columns of the file are used, {setting of TABLE: value}, with a way back."""
        self._remember()
        self.values |= changes
        try:
            self._use(self.values, reshaped=True)
        except ConfigError as error:
            self.problem = error

    def _remember(self):
        self._before.append({name: self.values[name] for name in TABLE})

    @property
    def can_undo(self):
        """Whether the table was changed since it was proposed."""
        return bool(self._before)

    def undo_table(self):
        """Take back the last change of the table."""
        self.values |= self._before.pop()
        try:
            self._use(self.values, reshaped=True)
        except ConfigError as error:
            self.problem = error

    def _use(self, draft, reshaped):
        """Use a draft; where the data was `reshaped`, the output follows it. ConfigError leaves all as it was."""
        if draft["data.source"] == "file" and draft["data.path"] is None:
            raise NO_FILE
        suggested = self._suggested
        if reshaped:
            draft, suggested, self.table = with_suited_output(draft, suggested, self.uploads)
            if self.table and self.table.problem:
                raise self.table.problem
        config = RunConfig.from_dict(nested(draft))
        self._follow()(config)
        self.config, self.problem = config, None
        self.values, self._suggested = flat(config), suggested

    def described(self):
        """The Description of the file that the controls show; of a run that was opened it is made now. None where there is none."""
        token = self.values["data.path"]
        if self.table is None and token is not None:
            try:
                self.table = self.uploads.describe(token, self._data())
            except ConfigError as error:
                self.problem = self.problem or error
        return self.table

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
