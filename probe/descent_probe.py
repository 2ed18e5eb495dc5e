"""Watch a training loop of your own: one line in it, and Descent shows what happens and what goes wrong.

    from descent_probe import Probe

    probe = Probe("my network")                      # before the loop
    probe.step(loss=loss, params=params, grads=grads, X=X, Y=Y, outputs=outputs, learning_rate=0.1)     # once an iteration

All but `loss` may be left out; everything may come in the form that it has: a dict, a list of arrays or of (W, b) pairs, layer objects
with `params`, PyTorch's parameters. `step` copies what it keeps, never raises into the loop, and takes at most 5% of its time (or 20
microseconds a step). What is sent is numbers only; without a server it goes to NAME.probe, for `python -m core watch NAME.probe`.

One file, which needs NumPy and the standard library. The format is described in `_encoded` and below it.
"""

from __future__ import annotations

import atexit
import builtins
import collections.abc
import inspect
import json
import math
import os
import re
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Check", "Probe"]

VERSION = 1
URL = "http://127.0.0.1:8501"
DOOR = "/descent/probe"  # where a server takes batches
HEADER = "X-Descent-Probe"  # no web page can send it to another server without asking that server first
KEY = "key"  # of the url's query: who the sender is, where a server asks

# Of the loop's time, and seconds a step where that is more. Less than the 5% and 20 microseconds that are promised: caches that are
# disturbed, and what others on a busy machine take, are not in the count
SHARE, LEAST = 0.03, 15e-6
CREDIT = 20e-3  # seconds that the first steps may take in advance
MARGIN = 1.3  # times what something took the last time, before it is done again
MEMORY = 64 << 20  # bytes of all that is kept; a third for the first whole steps, a third for what waits to be sent
WHOLE = 8 << 20  # bytes of one whole step
FIRST, LAST = 8, 3  # whole steps kept at the start, and at the end
SURE, SMALL = 4, 1 << 20  # of the first, those kept whatever it costs, while they are so many bytes together
GROWTH = 1.6  # from one whole step in between to the next
TENSORS = 1000
NAME = 80  # characters of a name
SAMPLE = 4096  # entries of a tensor that a histogram, or how its entries move, is taken from
BINS = 24
HISTOGRAMS_EVERY = 1.0  # seconds
BEAT = 0.2  # seconds from one batch to the next
IDLE = 1.0  # seconds without a step after which the last whole steps are sent: the loop may have been stopped
POINTS = 400  # steps of a batch whose scalars are sent
FILE = 40 << 20  # bytes of a file; the last steps still go in beyond it

# The thread's own time where the system tells it finely: to have to wait for a processor is not the probe's doing
_clock = time.thread_time if time.get_clock_info("thread_time").resolution < 1e-6 else time.perf_counter
_open = {}  # name -> the probe that runs under it


class Probe:
    """`url` names a running Descent (with `?key=...` where it asks for one), `file` a file to write instead."""

    def __init__(self, name: str = "run", url: str | None = None, file: str | os.PathLike[str] | None = None) -> None:
        self.name = _plain(name) or "run"
        self.file, self._url = (os.fspath(file) if file else None), url
        self._beside = _beside_script(self.name)  # at the end of a program this is not to be found out any more
        self._closed = self._warned = False
        self._interpreter = getattr(builtins, "get_ipython", lambda: None)()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._torch = None
        previous = _open.pop(self.name, None)
        if previous:  # the cell of a notebook that was run again
            previous.close()
        _open[self.name] = self
        self._begin()
        atexit.register(self.close)

    # What a person calls

    def step(
        self, loss: Any = None, params: Any = None, grads: Any = None, X: Any = None, Y: Any = None, outputs: Any = None,
        activations: Any = None, loss_name: str | None = None, learning_rate: float | None = None, test_loss: Any = None,
    ) -> None:  # fmt: skip
        """Tell of one iteration, before its update or after it, but always at the same place. `activations` are the names of the layers'
        activation functions, or what the hidden units gave as arrays. Returns nothing and raises nothing."""
        began = _clock()
        try:
            if not self._closed:
                if self._torch is not None and params is None:
                    params, grads, X, outputs, Y, loss_name = self._torch.told(X, outputs, Y, loss_name)
                self._step(time.perf_counter(), loss, params, grads, (X, Y, outputs), activations, loss_name, learning_rate, test_loss)
        except Exception as error:
            self._complain(f"could not read this step ({type(error).__name__}: {error}); training goes on")
        self._spent += _clock() - began

    def watch(self, model: Any, optimizer: Any) -> Any:
        """Follow a PyTorch model: each `optimizer.step()` is one step. The loss is taken from a loss module such as nn.MSELoss(); one that
        is worked out otherwise is told by `probe.step(loss=loss)` just before `optimizer.step()`."""
        try:
            self._torch = _Torch(self, model, optimizer)
        except Exception as error:
            self._complain(f"cannot watch this model ({type(error).__name__}: {error})")
        return model

    def keras(self) -> Any:
        """A callback for Keras' `fit`: `model.fit(X, Y, callbacks=[probe.keras()])`."""
        return _keras_callback(self)

    def check(self, loss: Callable[..., Any], params: Any, grads: Any, samples: int = 20, seed: int = 0) -> Check:
        """Compare your gradients with central differences of your own loss: `loss(params)`, or `loss()` where it reads the same arrays.
        Prints a table and returns the Check. Raises ValueError when something does not fit together."""
        check = _check(loss, params, grads, samples, seed)
        print(check)
        try:
            worst = max(check.table, key=lambda row: (row["wrong"], row["relative_error"]))
            text = f"{check.verdict}, with a relative error of {worst['relative_error']:.2g} at most, in {worst['tensor']}"
            self._put(_encoded("event", {"event": "checked", "step": max(1, self.steps), "tensor": "", "text": _plain(text, 300)}))
        except Exception as error:
            self._complain(f"could not tell of the check ({type(error).__name__}: {error})")
        return check

    def close(self) -> None:
        """Send what is left, with the last steps. Also done when the program ends."""
        if self._closed:
            return
        try:
            self._settle(_ending())
            self._closed = True
            self._wake.set()
            if self._thread is not None:
                self._thread.join(12.0)
        except Exception as error:
            self._complain(f"could not send the last steps ({type(error).__name__}: {error})")
        self._closed = True
        if _open.get(self.name) is self:
            del _open[self.name]
        atexit.unregister(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # One step

    def _begin(self):
        """A new run."""
        self.run, self.steps = uuid.uuid4().hex, 0
        self._spent, self._sending, self._started, self._seen = 0.0, 0.0, None, 0.0  # seconds, the thread's apart
        self._scalars, self._queue, self._queued = collections.deque(maxlen=100_000), collections.deque(), 0
        self._table = self._places = None
        self._kept_bytes, self._last, self._next_whole = 0, collections.deque(maxlen=LAST), FIRST + 1
        self._cost = {"norms": 0.0, "histograms": 0.0, "whole": 0.0}  # seconds that each took the last time
        self._done = dict.fromkeys(self._cost, 0)  # the step at which each was done last
        self._cheapest = 0.0
        self._before, self._closes, self._next_histograms, self._broken = None, False, 0.0, None
        self._follows, self._settled = True, True
        self._cell = self._execution()
        self._thread = self._sink = None

    def _execution(self):
        return getattr(self._interpreter, "execution_count", None)

    def _step(self, now, loss, params, grads, batch, activations, loss_name, learning_rate, test_loss):
        if self._cell is not None and self._execution() != self._cell:
            self._settle("interrupted")
            self._finish()
            self._begin()
        if self._started is None:
            self._started = now
            self._thread = threading.Thread(target=self._send, args=(self._queue, self.run), name="descent probe", daemon=True)
            self._thread.start()
        self.steps += 1
        self._seen, self._settled = now, False
        value = _number(loss)
        if math.isnan(value) and loss is not None and np.size(loss) == 1:
            value = math.inf  # NaN says that no loss was told
        self._scalars.append((self.steps, value, _number(learning_rate), _number(test_loss)))
        if params is None or not self._follows:
            return
        finite = loss is None or math.isfinite(value)
        # Of a small network, the steps that its twin needs are kept however slow this machine is just now
        urgent = self.steps <= (SURE if self._kept_bytes < SMALL else 2) or (
            not finite and (self._broken is None or self.steps <= self._broken + 1)
        )
        if not finite and self._broken is None:
            self._broken = self.steps
        # An update is the difference of two steps: what was measured at the last one is measured once more
        begun, self._before = self._before, self._before if self._closes else None
        left = max(SHARE * (now - self._started), LEAST * self.steps) - self._spent - self._sending
        left += CREDIT if self.steps <= FIRST else 0.0
        if not urgent and begun is None and left < self._cheapest:
            return
        wanted = self._chosen(urgent, left)
        self._closes = "norms" in wanted
        if begun is not None and self._before is not None and not self._closes:
            wanted.append("norms")
        if not wanted:
            return
        named = _tensors(params)
        if named:
            self._agree(named, grads, params)
        if named and self._follows:
            with np.errstate(all="ignore"):
                self._measure(wanted, named, _matched(named, grads, params), (batch, activations, loss_name, (loss, learning_rate)))

    def _measure(self, wanted, named, gradients, told):
        for what in wanted:
            began = _clock()
            if what == "norms":
                self._norms(named, gradients, told[1])
            elif what == "histograms":
                self._histograms(named, gradients)
            else:
                self._whole(named, gradients, *told)
            took, known = _clock() - began, self._cost[what]
            self._cost[what], self._done[what] = min(took, 2 * known) if known else took, self.steps
        self._cheapest = MARGIN * min(self._cost["norms"], self._cost["whole"])

    def _chosen(self, urgent, left):
        """What is done at this step with so many seconds to spend. What is too dear just now is waited for: the next in turn is not done
        in its place."""
        chosen = []
        for what in self._wanted():
            if urgent and what != "histograms":
                chosen.append(what)
            elif MARGIN * self._cost[what] < left:
                chosen.append(what)
                left -= MARGIN * self._cost[what]
            else:
                break
        return chosen

    def _wanted(self):
        """What this step could be asked for, the most wanted first."""
        if self._broken is not None and self.steps > self._broken + 20:
            return []
        wanted = ["whole"] if self.steps <= FIRST or self.steps >= self._next_whole else []
        wanted.append("norms")
        if self._seen >= self._next_histograms:
            wanted.append("histograms")
        # Else a step for the ring of the last ones, in turn with the norms
        return wanted if "whole" in wanted else sorted([*wanted, "whole"], key=lambda what: self._done[what])

    def _agree(self, named, grads, params):
        """Declare the tensors at first; later, see that they are still the same."""
        table = [(name, array.shape) for name, array in named]
        if self._table is None:
            if len(table) > TENSORS:
                self._complain(f"follows the first {TENSORS} of {len(table)} tensors")
            self._table = table
            shapes = [list(shape) for _, shape in table[:TENSORS]]
            found = [None if gradient is None else list(gradient.shape) for gradient in _matched(named, grads, params)[:TENSORS]]
            names = _distinct([name for name, _ in table[:TENSORS]])
            self._put(_encoded("tensors", {"names": names, "shapes": shapes, "gradient_shapes": found}))
        elif table != self._table:
            self._follows = False
            changed = next((one for one in zip(table, self._table) if one[0] != one[1]), ((("", ()), ("", ()))))
            (name, now), (_, before) = changed
            if len(table) == len(self._table):
                text = f"{name} had the shape {before} and has {now}"
            else:
                text = f"there were {len(self._table)} tensors and now there are {len(table)}"
            self._put(_encoded("event", {"event": "shape_changed", "step": self.steps, "tensor": _plain(name), "text": _plain(text, 300)}))
            self._complain(f"the parameters changed at step {self.steps}: {text}; from here only the loss is followed")

    def _norms(self, named, gradients, activations):
        count = min(len(named), TENSORS)
        parameter, gradient, update, alike = (np.full(count, np.nan) for _ in range(4))
        samples, finite = [], np.ones((count, 2), np.uint8)
        for at, ((_, array), given) in enumerate(zip(named[:count], gradients)):
            parameter[at], finite[at, 0] = _norm(array)
            if given is not None:
                gradient[at], finite[at, 1] = _norm(given)
            samples.append(_sample(array))
        if self._before is not None and self._before[0] == self.steps - 1:
            for at, (old, new) in enumerate(zip(self._before[1], samples)):
                update[at], alike[at] = _moved(old, new, named[at][1].size)
        self._before = self.steps, [sample.copy() for sample in samples]
        if self._broken is None and not finite.all():
            self._broken = self.steps
        arrays = {"parameter": parameter, "gradient": gradient, "update": update, "alike": alike, "finite": finite}
        about: dict[str, Any] = {"step": self.steps}
        shown = [] if activations is None or _names_of_activations(activations) else _tensors(activations, "layer ")
        if shown:
            about["layers"] = [_plain(name) for name, _ in shown[:100]]
            arrays["units"] = np.array([_unit_shares(array, shown) for _, array in shown[:100]])
        self._put(_encoded("norms", about, arrays))

    def _histograms(self, named, gradients):
        self._next_histograms = self._seen + HISTOGRAMS_EVERY
        arrays = {}
        for kind, tensors in (("parameter", [array for _, array in named]), ("gradient", gradients)):
            made = [_histogram(array) for array in tensors[:TENSORS]]
            arrays[f"{kind}_range"] = np.array([ends for ends, _ in made])
            arrays[f"{kind}_counts"] = np.array([counts for _, counts in made], np.uint32)
        self._put(_encoded("histograms", {"step": self.steps}, arrays))

    def _whole(self, named, gradients, batch, activations, loss_name, scalars):
        arrays = {f"params.{at}": array for at, (_, array) in enumerate(named[:TENSORS])}
        arrays.update({f"grads.{at}": array for at, array in enumerate(gradients[:TENSORS]) if array is not None})
        about, names = {"step": self.steps, "loss_name": _plain(_loss_name(loss_name))}, _names_of_activations(activations)
        about["activations"] = names
        spare = WHOLE - sum(array.nbytes for array in arrays.values())
        if spare < 0:
            return
        extra = {name: _array(value) for name, value in zip(("X", "Y", "outputs"), batch) if value is not None}
        if activations is not None and not names:
            extra.update({f"activations.{_plain(name)}": array for name, array in _tensors(activations, "layer ")[:100]})
        for name, array in extra.items():  # a batch that is too large is left out, and the step kept without it
            if array is not None and array.nbytes <= spare:
                arrays[name] = array
                spare -= array.nbytes
        for name, value in zip(("loss", "learning_rate"), scalars):
            arrays[name] = np.float64(_number(value))
        record = _encoded("whole", about, arrays)
        spaced = self.steps > FIRST and self.steps >= self._next_whole
        if self.steps <= FIRST and self._kept_bytes + len(record) <= MEMORY // 3:
            self._kept_bytes += len(record)
            self._put(record)
        elif spaced or self._broken is not None:
            # A step in between is sent with the one that follows it, so that its update can be seen
            if self.steps > self._next_whole or self._broken is not None:
                self._next_whole = int(self.steps * GROWTH)
            if self._broken is not None:
                self._flush_last()
            self._put(record)
        else:
            self._last.append(record)

    # Sending

    def _put(self, record):
        with self._lock:
            if self._queued + len(record) > MEMORY // 3:
                return
            self._queue.append(record)
            self._queued += len(record)

    def _flush_last(self):
        while self._last:
            self._put(self._last.popleft())

    def _settle(self, event):
        """Nothing comes any more, or not for now: the last whole steps are sent."""
        self._settled = True
        self._flush_last()
        if event and self.steps:
            name, _, text = event.partition(": ")
            self._put(_encoded("event", {"event": name, "step": self.steps, "tensor": "", "text": _plain(text, 300)}))

    def _finish(self):
        """Have the thread send what there is, and leave."""
        thread, self._thread = self._thread, None
        self._queue.append(None)
        self._wake.set()
        if thread is not None:
            thread.join(5.0)

    def _send(self, queue, run):
        """The thread: a batch now and then, until the probe is closed or begins another run."""
        sink = self._sink = self._sink or _Sink(self)
        while self.run == run:
            self._wake.wait(BEAT)
            closing = self._closed or bool(queue and queue[-1] is None)
            self._wake.clear()
            if not closing and not self._settled and time.perf_counter() > self._seen + IDLE:
                self._settle("")
            scalars = [self._scalars.popleft() for _ in range(len(self._scalars))]
            with self._lock:
                records = [record for record in queue if record is not None]
                queue.clear()
                self._queued = 0
            if scalars:
                records.append(_scalar_record(scalars))
            if records:
                try:
                    sink.send(records)
                except Exception as error:
                    self._complain(f"could not send ({type(error).__name__}: {error})")
            self._sending = time.thread_time()
            if closing:
                sink.close()
                return

    def _complain(self, text):
        if not self._warned:
            self._warned = True
            warnings.warn(f"The probe {self.name!r} {text}.", RuntimeWarning, stacklevel=3)


class _Sink:
    """Where batches go: to the server, or from the first failure on to a file."""

    def __init__(self, probe):
        self._probe, self._file, self._written = probe, None, 0
        about = {"descent_probe": VERSION, "run": probe.run, "name": probe.name, "began": round(time.time(), 3)}
        self._head = json.dumps(about).encode() + b"\n"
        url, _, query = (probe._url or URL).partition("?")
        self._door = f"{url.rstrip('/')}{DOOR}{'?' + query if query else ''}"
        self._declared = []  # the list of tensors, which a file needs too if the server goes
        if probe.file:
            self._open(probe.file)

    def send(self, records):
        if self._file is None and self._post(records):
            self._declared += [record for record in records if record.startswith(b'{"kind": "tensors"')]
        elif self._file is None:
            path = self._probe._beside
            self._open(path)
            print(f"Descent's probe: no answer from {self._door.partition('?')[0]}; writing {path}", file=sys.stderr)
            records = [*self._declared, *records]
        if self._file is not None:
            self._write(records)

    def close(self):
        if self._file is not None:
            self._file.close()

    def _post(self, records, tries=3):
        request = urllib.request.Request(self._door, self._head + b"".join(records), method="POST")
        request.add_header(HEADER, str(VERSION))
        request.add_header("Content-Type", "application/octet-stream")
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=10.0) as answer:
                return answer.status < 300
        except urllib.error.HTTPError as error:
            told = error.read(500).decode("utf-8", "replace").strip().rstrip(".") if error.code != 404 else "there is no Descent there"
            self._probe._complain(f"was refused by the server: {told or error.code}")
            return False
        except OSError as error:
            slow = isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError)
            if slow and tries > 1 and not self._probe._closed:
                return self._post(records, tries - 1)
            return False

    def _open(self, path):
        self._file = open(path, "wb")  # noqa: SIM115
        self._file.write(self._head)
        self._file.flush()

    def _write(self, records):
        for record in records:
            if self._written + len(record) <= FILE or (self._probe._closed and self._written <= FILE + MEMORY // 3):
                self._file.write(record)
                self._written += len(record)
        self._file.flush()


def _beside_script(name):
    folder = os.path.dirname(os.path.abspath(getattr(sys.modules.get("__main__"), "__file__", "") or "x"))
    return os.path.join(folder, f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}.probe")


def _ending():
    error = getattr(sys, "last_value", None)
    if error is None:
        return "ended"
    kind = "interrupted" if isinstance(error, KeyboardInterrupt) else "exception"
    return f"{kind}: {type(error).__name__}: {error}"


# The format: a line of JSON that says what this is, then records. A record is a line of JSON, followed by `bytes` bytes: its `arrays`,
# each [name, dtype, shape], one after the other in C order.


def _encoded(kind, about, arrays=None):
    blocks, listed = [], []
    for name, value in (arrays or {}).items():
        array = np.asarray(value)
        kept = array.dtype.str in ("<f4", "<f8", "<i8", "|u1", "<u4")
        wanted = array.dtype.str if kept else "<i8" if array.dtype.kind in "iub" else "<f8"
        block = np.ascontiguousarray(array, wanted).tobytes()
        blocks.append(block)
        listed.append([name, wanted, list(array.shape)])
    size = sum(map(len, blocks))
    line = json.dumps({"kind": kind, **about, "arrays": listed, "bytes": size}, allow_nan=False)
    return b"".join([line.encode(), b"\n", *blocks])


def _scalar_record(rows):
    values = np.array(rows, float)
    if len(values) > POINTS:  # the last of each stretch, and its highest loss
        parts = np.array_split(np.arange(len(values)), POINTS // 2)
        losses = np.where(np.isnan(values[:, 1]), np.inf, values[:, 1])
        kept = {int(part[-1]) for part in parts} | {int(part[np.argmax(losses[part])]) for part in parts}
        kept |= set(np.flatnonzero(~np.isnan(values[:, 3]))[-POINTS:].tolist())
        values = values[sorted(kept)]
    step, loss, rate, test = values.T
    return _encoded("scalars", {}, {"step": step.astype(np.int64), "loss": loss, "learning_rate": rate, "test_loss": test})


# What a person's values are


def _plain(text, most=NAME):
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", "?", str(text if text is not None else ""))[:most]


def _distinct(names):
    """Names, with a number behind those that came before."""
    seen, made = collections.Counter(), []
    for name in names:
        plain = _plain(name, NAME - 8) or "tensor"
        seen[plain] += 1
        made.append(plain if seen[plain] == 1 else f"{plain} ({seen[plain]})")
    return made


def _array(value):
    """The value as an array of real numbers; None where it is none."""
    if type(value) is not np.ndarray:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = (value.float() if str(value.dtype) in ("torch.bfloat16", "torch.float16") else value).numpy()
        elif hasattr(value, "toarray"):
            value = value.toarray()
        elif hasattr(value, "numpy") and callable(value.numpy):
            value = value.numpy()
        value = np.asarray(value)
    return value if value.dtype.kind in "fiub" else None


def _number(value):
    if type(value) is float:
        return value
    if value is None:
        return math.nan
    array = _array(value)
    return math.nan if array is None or array.size != 1 else float(array.reshape(-1)[0])


def _tensors(params, prefix=""):
    """[(name, array)] of parameters in any form."""
    found = []
    _collect(params, prefix, found, 0)
    return found


def _collect(value: Any, name, found, depth):
    if type(value) is np.ndarray and value.dtype != object:
        found.append((name, value))
    elif depth > 6 or value is None or isinstance(value, (str, bytes)):
        return
    elif isinstance(value, collections.abc.Mapping):
        for key, entry in value.items():
            _collect(entry, f"{name}.{key}" if name and depth else f"{name}{key}", found, depth + 1)
    elif hasattr(value, "named_parameters"):
        for key, entry in value.named_parameters():  # pyright: ignore[reportAttributeAccessIssue]
            _collect(entry, f"{name}.{key}" if name else key, found, depth + 1)
    elif hasattr(value, "shape") and hasattr(value, "dtype"):
        array = _array(value)
        if array is not None:
            found.append((name, array))
    elif isinstance(value, (int, float)):
        found.append((name, np.asarray(value)))
    elif isinstance(value, collections.abc.Iterable):
        _collect_list(list(value), name, found, depth)
    else:
        _collect(_of_layer(value, PARAMS), name, found, depth + 1)


def _collect_list(values, name, found, depth):
    numbers = [isinstance(entry, (int, float)) for entry in values]
    if (values and all(numbers)) or _rectangular(values):
        found.append((name, np.asarray(values, float)))
        return
    pairs = all(isinstance(entry, (tuple, list)) and len(entry) == 2 and not isinstance(entry[0], str) for entry in values)
    named = all(isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str) for entry in values)
    usual = _usual_names([entry.shape for entry in values]) if not name and all(hasattr(entry, "shape") for entry in values) else None
    for at, entry in enumerate(values, 1):
        if usual:
            _collect(entry, usual[at - 1], found, depth + 1)
        elif named:
            _collect(entry[1], entry[0], found, depth + 1)
        elif pairs:
            _collect(entry[0], f"{name}W{at}", found, depth + 1)
            _collect(entry[1], f"{name}b{at}", found, depth + 1)
        else:
            _collect(entry, f"{name}{at}", found, depth + 1)


def _usual_names(shapes):
    """W1, b1, W2, ... or W1, W2, ..., b1, ... for the entries of a list, where their shapes say so."""
    half = len(shapes) // 2
    if len(shapes) % 2 == 0 and all(map(_belongs, shapes[1::2], shapes[::2])):
        return [f"{'Wb'[at % 2]}{at // 2 + 1}" for at in range(len(shapes))]
    if len(shapes) % 2 == 0 and all(map(_belongs, shapes[half:], shapes[:half])):
        return [f"{'Wb'[at // half]}{at % half + 1}" for at in range(len(shapes))]
    return [f"W{at}" if len(shape) > 1 else f"array {at}" for at, shape in enumerate(shapes, 1)]


def _belongs(bias, weights):
    """Whether a bias of this shape would fit to weights of that one: (units,) either way, a column or a row as the weights lie."""
    if len(weights) < 2 or len(bias) > 2:
        return len(bias) == 0 and len(weights) == 1
    if len(bias) == 2:
        return bias in ((weights[0], 1), (1, weights[-1]))
    return len(bias) == 0 or bias[0] in (weights[0], weights[-1])


def _rectangular(values):
    """Whether lists of numbers stand for a matrix."""
    return bool(values) and all(isinstance(row, list) and row and all(isinstance(x, (int, float)) for x in row) for row in values) and (
        len({len(row) for row in values}) == 1
    )  # fmt: skip


PARAMS, GRADS = ("params", "parameters", "weights"), ("grads", "gradients", "dparams")


def _of_layer(layer, names):
    """What a layer object calls its parameters, or else its W and b."""
    for name in names:
        found = getattr(layer, name, None)
        if found is not None and not callable(found):
            return found
    plain = ("W", "b", "w", "weight", "bias", "biases") if names is PARAMS else ("dW", "db", "dw", "grad_W", "grad_b", "dweight", "dbias")
    return {name: getattr(layer, name) for name in plain if getattr(layer, name, None) is not None and not callable(getattr(layer, name))}


def _matched(named, grads, params):
    """A gradient, or None, for each of the parameters."""
    if grads is None:
        return _own_gradients(named, params)
    if isinstance(grads, collections.abc.Mapping):
        flat = dict(_tensors(grads))
        forms = ("{}", "d{}", "d_{}", "grad_{}", "{}_grad", "g{}", "grad{}", "{}.grad")
        found = [next((flat[form.format(name)] for form in forms if form.format(name) in flat), None) for name, _ in named]
        if any(gradient is not None for gradient in found):
            return found
        given = list(flat.values())
    else:
        given = [array for _, array in _tensors(grads)]
    return given if len(given) == len(named) else [None] * len(named)


def _own_gradients(named, params):
    """Gradients that the parameters, or the layers that hold them, carry along."""
    if params is None or isinstance(params, collections.abc.Mapping):
        return [None] * len(named)
    if hasattr(params, "named_parameters"):
        own = [parameter.grad for _, parameter in params.named_parameters()]
        return [None if gradient is None else _array(gradient) for gradient in own]
    entries = list(params) if isinstance(params, (list, tuple)) else [params]
    if entries and all(hasattr(entry, "grad") for entry in entries):
        return [None if entry.grad is None else _array(entry.grad) for entry in entries]
    found = []
    for entry in entries:
        if isinstance(entry, (np.ndarray, tuple, list, int, float, collections.abc.Mapping)):
            return [None] * len(named)
        found += [array for _, array in _tensors(_of_layer(entry, GRADS))]
    return found if len(found) == len(named) else [None] * len(named)


def _names_of_activations(activations):
    """["relu", ...] where names are given, else []."""
    if isinstance(activations, str):
        return [_plain(activations)]
    if isinstance(activations, (list, tuple)) and activations and all(isinstance(name, str) for name in activations):
        return [_plain(name) for name in activations[:100]]
    return []


def _loss_name(name):
    return name if isinstance(name, str) or name is None else getattr(name, "__name__", type(name).__name__)


# What is measured of a tensor


def _norm(array):
    """(Euclidean norm, 1 if all is finite)."""
    flat = array.reshape(-1)
    if flat.dtype.kind != "f":
        flat = flat.astype(float)
    square = float(np.dot(flat, flat))
    if math.isfinite(square) and (square > 1e-30 or not flat.size):
        return math.sqrt(square), 1
    if not np.isfinite(flat).all():
        return math.nan, 0
    largest = float(np.abs(flat).max(initial=0))
    return largest * math.sqrt(float(np.square(flat / (largest or 1.0), dtype=float).sum())), 1


def _sample(array):
    flat = array.reshape(-1)
    return flat if flat.size <= SAMPLE else flat[:: -(-flat.size // SAMPLE)]


def _moved(old, new, size):
    """(norm of the update, estimated from a sample of the entries, 1 if all entries moved alike). NaN where nothing can be said."""
    if old.shape != new.shape or not old.size:
        return math.nan, math.nan
    if old.dtype.kind != "f":
        old, new = old.astype(float), new.astype(float)
    change = new - old
    square = float(np.dot(change, change))
    norm = math.sqrt(square * size / old.size) if math.isfinite(square) else math.nan
    if old.size < 2 or not square > 0 or not math.isfinite(square):
        return norm, math.nan
    low, high = float(change.min()), float(change.max())
    rounding = 4 * float(np.finfo(old.dtype).eps) * max(abs(float(new.max())), abs(float(new.min())))
    if max(abs(low), abs(high)) < 100 * rounding:
        return norm, math.nan
    return norm, float(high - low <= rounding + 1e-6 * abs(high))


def _histogram(array):
    """((low, high), counts of BINS bins) of a sample of the finite entries."""
    empty = (0.0, 0.0), np.zeros(BINS, np.uint32)
    if array is None or not array.size:
        return empty
    sample = _sample(array).astype(float)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return empty
    low, high = float(sample.min()), float(sample.max())
    if not high > low or not math.isfinite(high - low):
        return (low, high), np.bincount([0], [sample.size], BINS).astype(np.uint32)
    places = np.minimum(((sample - low) * (BINS / (high - low))).astype(int), BINS - 1)
    return (low, high), np.bincount(places, minlength=BINS).astype(np.uint32)


def _unit_shares(array, shown):
    """(share of units that are zero for all samples, share of outputs at the ends of a bounded activation)."""
    if array.ndim < 2 or not array.size:
        return math.nan, math.nan
    common = set.intersection(*(set(other.shape[:2]) for _, other in shown if other.ndim > 1))
    samples = 1 if array.shape[0] not in common and array.shape[1] in common else 0
    rows = np.moveaxis(array, samples, 0).reshape(array.shape[samples], -1)
    dead = float((rows == 0).all(axis=0).mean())
    low, high = float(rows.min()), float(rows.max())
    if -1 <= low < 0 < high <= 1:
        return dead, float((np.abs(rows) > 0.99).mean())
    if low > 0 and high < 1 + 1e-12:
        return dead, float(((rows < 0.01) | (rows > 0.99)).mean())
    return dead, 0.0


# PyTorch and Keras, where the script has them


class _Torch:
    """Hooks of PyTorch's own: the loss module's, the model's and the optimizer's."""

    def __init__(self, probe, model, optimizer):
        torch = sys.modules["torch"]
        self._probe, self._model, self._optimizer = probe, model, optimizer
        self._own = set(map(id, model.modules()))
        self.loss = self._x = self._outputs = self._y = self._name = None
        self._told = False
        model.register_forward_hook(self._forward)
        torch.nn.modules.module.register_module_forward_hook(self._any_forward)
        optimizer.register_step_pre_hook(self._before_update)

    def _forward(self, model, inputs, outputs):
        if model.training:
            self._x, self._outputs = (inputs[0] if inputs else None), (outputs if hasattr(outputs, "detach") else None)

    def _any_forward(self, module, inputs, output):
        if id(module) not in self._own and getattr(output, "shape", None) == () and getattr(output, "requires_grad", False):
            self.loss, self._name = output, type(module).__name__
            self._y = inputs[1] if len(inputs) > 1 else None

    def told(self, X, outputs, Y, loss_name):
        """What a step that was told by its loss alone has besides."""
        self._told = True
        given = [X if X is not None else self._x, outputs if outputs is not None else self._outputs, Y if Y is not None else self._y]
        x, made, y = (value if hasattr(value, "shape") else None for value in given)
        return self._model, None, x, made, y, loss_name or self._name

    def _before_update(self, *_):
        if not self._told:
            rate = self._optimizer.param_groups[0].get("lr")
            self._probe.step(loss=self.loss, learning_rate=rate)
        self._told, self.loss, self._x, self._outputs, self._y = False, None, None, None, None


def _keras_callback(probe):
    keras = sys.modules.get("keras") or sys.modules["tensorflow"].keras

    class Watching(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            # Keras gives the mean loss of the epoch so far: the batch's own follows from two of them
            mean = float((logs or {}).get("loss", math.nan))
            own = mean if batch == 0 else (batch + 1) * mean - batch * self._mean
            self._mean = mean
            rate = getattr(self.model.optimizer, "learning_rate", None)
            named = [(getattr(variable, "path", variable.name), variable) for variable in self.model.trainable_variables]
            probe.step(loss=own, params=named, learning_rate=rate)

        def on_epoch_end(self, epoch, logs=None):
            if logs and "val_loss" in logs:
                with probe._lock:
                    probe._scalars.append((probe.steps, math.nan, math.nan, float(logs["val_loss"])))

        def on_train_end(self, logs=None):
            probe._settle("")

    return Watching()


# The numerical check


class Check:
    """`verdict` is correct, faulty or unknown; `table` has a dict for each tensor: tensor, relative_error, ratio, cosine, checked,
    left_out (coordinates with a kink within reach)."""

    def __init__(self, verdict: str, table: list[dict[str, Any]]) -> None:
        self.verdict, self.table = verdict, table

    def __str__(self):
        width = max([6, *(len(row["tensor"]) for row in self.table)])
        lines = [f"{'':{width}}  relative error       ratio      cosine  checked  at kinks"]
        for row in self.table:
            ratio, cosine = ("-" if row[key] is None else f"{row[key]:.4g}" for key in ("ratio", "cosine"))
            figures = f"{row['relative_error']:14.1e}  {ratio:>10}  {cosine:>10}  {row['checked']:7}  {row['left_out']:8}"
            lines.append(f"{row['tensor']:{width}}  {figures}")
        wrong = [row["tensor"] for row in self.table if row["wrong"]]
        told = {
            "correct": "Your gradients are right.",
            "faulty": f"Wrong: {', '.join(wrong)}.",
            "unknown": "Nothing could be checked: the loss has a kink wherever it was looked at.",
        }
        return "\n".join([*lines, told[self.verdict]])


WRONG = 1e-4  # relative error of a gradient that is wrong (as in core.check_gradients)


def _check(loss, params, grads, samples, seed):
    named = _tensors(params)
    gradients = _matched(named, grads, params)
    if not named:
        raise ValueError("params must hold arrays; there are none")
    for (name, array), gradient in zip(named, gradients):
        if array.dtype.kind != "f" or not array.flags.writeable:
            raise ValueError(f"params must hold float arrays that can be changed in place for the check; {name} is not one")
        if gradient is None or gradient.shape != array.shape:
            was = "missing" if gradient is None else f"of the shape {gradient.shape}"
            raise ValueError(f"grads must have the shape {array.shape} for {name}; it is {was}")
    gradients = [np.array(gradient, float) for gradient in gradients]
    takes_params = any(
        one.default is one.empty and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
        for one in inspect.signature(loss).parameters.values()
    )  # fmt: skip
    value = (lambda: _number(loss(params))) if takes_params else (lambda: _number(loss()))
    first, again = value(), value()
    if not math.isfinite(first):
        raise ValueError("loss must give one finite number")
    if first != again:
        raise ValueError(f"loss must give the same value for the same parameters; gave {first:.6g}, then {again:.6g}")
    rng, rows = np.random.default_rng(seed), []
    for (name, array), gradient in zip(named, gradients):
        at = np.arange(array.size) if array.size <= samples else np.sort(rng.choice(array.size, samples, replace=False))
        slopes = [_slope(value, first, array, index) for index in at]
        kept = [(gradient.reshape(-1)[index], *slope) for index, slope in zip(at, slopes) if slope]
        rows.append(_row(name, np.array(kept).reshape(-1, 3), len(at) - len(kept)))
    verdict = "faulty" if any(row["wrong"] for row in rows) else "correct" if any(row["checked"] for row in rows) else "unknown"
    return Check(verdict, rows)


def _slope(value, middle, array, index):
    """(five-point central difference, what rounding may have done to it) along one coordinate; None at a kink."""
    place = np.unravel_index(index, array.shape)
    kept, eps = array[place], float(np.finfo(array.dtype).eps)
    for share in (0.3, 0.03, 0.003):
        h, values = share * eps**0.2 * max(1.0, abs(float(kept))), {}
        try:
            for times in (-2, -1, 1, 2):
                array[place] = kept + times * h
                values[times] = value()
        finally:
            array[place] = kept
        noise = 4 * eps * max(abs(middle), *map(abs, values.values())) / h
        near, far = ((values[times] - values[-times]) / (2 * times * h) for times in (1, 2))
        slope = (4 * near - far) / 3
        one, two = (abs(values[times] + values[-times] - 2 * middle) / (times * h) for times in (1, 2))
        parts = one > 4 * noise and two < 1.5 * one  # the slopes to both sides are apart, and not less so over the shorter step
        if abs(near - far) <= 1e-5 * abs(slope) + noise and not parts:
            return slope, noise
    return None


def _row(name, kept, left_out):
    yours, right, noise = kept.T
    off, sizes = float(np.linalg.norm(yours - right)), (float(np.linalg.norm(yours)), float(np.linalg.norm(right)))
    error = off / max(sizes) if max(sizes) else 0.0
    both = sizes[0] > 0 and sizes[1] > 0
    return {
        "tensor": f"d{name}", "relative_error": error, "ratio": sizes[0] / sizes[1] if both else None,
        "cosine": float(yours @ right) / (sizes[0] * sizes[1]) if both else None, "checked": len(kept), "left_out": left_out,
        "wrong": error > WRONG and off > float(np.linalg.norm(noise)),
    }  # fmt: skip
