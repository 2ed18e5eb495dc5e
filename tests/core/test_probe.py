"""The probe never hurts the loop that it watches, keeps the last steps when they matter, and sends nothing that a server would not take;
and nothing that a probe does not send is taken."""

import builtins
import http.server
import json
import threading
import time
import warnings

import numpy as np
import pytest

from core import watch
from core.limits import ConfigError
from core.watch.probe_format import BATCH_BYTES
from tests.watched import descent_probe, perceptron, watched


def record(kind, about, **arrays):
    return descent_probe._encoded(kind, about, arrays)


HEAD = json.dumps({"descent_probe": 1, "run": "0" * 32, "name": "mine", "began": 1.0}).encode() + b"\n"
TENSORS = record("tensors", {"names": ["W", "b"], "shapes": [[2, 2], [2]], "gradient_shapes": [[2, 2], None]})
SCALARS = {"step": np.arange(1, 3), "loss": np.ones(2), "learning_rate": np.ones(2), "test_loss": np.ones(2)}
NORMS = {name: np.ones(2) for name in ("parameter", "gradient", "update", "alike")} | {"finite": np.ones((2, 2), np.uint8)}
WHOLE = {"params.0": np.ones((2, 2)), "params.1": np.ones(2), "loss": np.float64(1), "learning_rate": np.float64(1)}
TOLD = {"step": 1, "loss_name": "", "activations": []}


def line(**values):
    return json.dumps({"arrays": [], "bytes": 0, **values}).encode() + b"\n"


def test_what_hostile_input_is_made_from_is_taken():
    raw = HEAD + TENSORS + record("scalars", {}, **SCALARS) + record("norms", {"step": 1}, **NORMS) + record("whole", TOLD, **WHOLE)
    run = watch.read(raw)
    assert (run.name, run.names, run.steps, len(run.whole)) == ("mine", ("W", "b"), 2, 1)
    assert watch.read(raw + b'{"kind": "scal').steps == 2  # cut short, as of a program that was killed
    assert watch.read(raw[:-5]).steps == 2


HUGE = 10**18
HOSTILE = {
    "nothing": b"", "a pickle": b"\x80\x04]", "a zip": b"PK\3\4", "no JSON": b"{no\n", "a list": b"[]\n", "no line's end": b"{" * 600_000,
    "nested": b'{"a":' * 50_000 + b"\n", "NaN": b'{"descent_probe": NaN}\n', "long digits": b'{"descent_probe": ' + b"1" * 9000 + b"}\n",
    "no version": line(run="0" * 32), "another version": HEAD.replace(b": 1,", b": 2,", 1), "true as version": HEAD.replace(b": 1,", b": true,", 1),
    "a path as run": HEAD.replace(b"0" * 32, b"../../etc/passwd"), "no name": HEAD.replace(b'"mine"', b"null"),
    "NUL in the name": HEAD.replace(b"mine", b"\\u0000"), "a lone surrogate": HEAD.replace(b"mine", b"\\ud800"),
    "a long name": HEAD.replace(b"mine", b"x" * 81), "a list as name": HEAD.replace(b'"mine"', b"[1]"), "no time": HEAD.replace(b"1.0", b'"now"'),
    "an endless time": HEAD.replace(b"1.0", b"1e400"),
    "an unknown kind": HEAD + line(kind="shell"), "no kind": HEAD + line(), "a list as kind": HEAD + line(kind=["whole"]),
    "no bytes": HEAD + b'{"kind": "event", "arrays": []}\n', "negative bytes": HEAD + line(kind="event", bytes=-1),
    "many bytes": HEAD + line(kind="whole", bytes=HUGE), "true bytes": HEAD + line(kind="event", bytes=True),
    "bytes without arrays": HEAD + line(kind="event", bytes=5) + b"12345",
    "a shape of 1e18": HEAD + line(kind="whole", arrays=[["X", "<f8", [HUGE]]], bytes=8) + b"12345678",
    "shapes that overflow": HEAD + line(kind="whole", arrays=[["X", "<f8", [2**32, 2**32]]], bytes=0),
    "a negative shape": HEAD + line(kind="whole", arrays=[["X", "<f8", [-1]]], bytes=8), "nine axes": HEAD + line(kind="whole", arrays=[["X", "<f8", [1] * 9]], bytes=8),
    "a float as shape": HEAD + line(kind="whole", arrays=[["X", "<f8", [1.5]]], bytes=8), "objects": HEAD + line(kind="whole", arrays=[["X", "|O", [1]]], bytes=8),
    "another byte order": HEAD + line(kind="whole", arrays=[["X", ">f8", [1]]], bytes=8), "text": HEAD + line(kind="whole", arrays=[["X", "<U9", [1]]], bytes=36),
    "a dict as dtype": HEAD + line(kind="whole", arrays=[["X", {}, [1]]], bytes=8), "no list of arrays": HEAD + line(kind="whole", arrays="X"),
    "an array twice": HEAD + TENSORS + line(kind="whole", arrays=[["X", "|u1", [1]]] * 2, bytes=2, **TOLD) + b"12",
    "10,000 arrays": HEAD + line(kind="whole", arrays=[["X", "|u1", [0]]] * 10_000), "a large empty array": HEAD + line(kind="whole", arrays=[["X", "<f8", [0, HUGE * HUGE]]]),
    "10,000 tensors": HEAD + line(kind="tensors", names=[f"W{n}" for n in range(10_000)], shapes=[[1]] * 10_000, gradient_shapes=[None] * 10_000),
    "no tensors": HEAD + line(kind="tensors", names=[], shapes=[], gradient_shapes=[]), "a shape too few": HEAD + line(kind="tensors", names=["W"], shapes=[], gradient_shapes=[None]),
    "a name twice": HEAD + line(kind="tensors", names=["W", "W"], shapes=[[1]] * 2, gradient_shapes=[None] * 2),
    "NaN as a name": HEAD + b'{"kind": "tensors", "names": [NaN], "shapes": [[1]], "gradient_shapes": [null], "arrays": [], "bytes": 0}\n',
    "a number as name": HEAD + line(kind="tensors", names=[1], shapes=[[1]], gradient_shapes=[None]),
    "other tensors later": HEAD + TENSORS + TENSORS.replace(b'"W"', b'"V"'), "norms before tensors": HEAD + record("norms", {"step": 1}, **NORMS),
    "norms of three": HEAD + TENSORS + record("norms", {"step": 1}, **{name: np.ones((3, *array.shape[1:]), array.dtype) for name, array in NORMS.items()}),
    "norms without finite": HEAD + TENSORS + record("norms", {"step": 1}, **{**NORMS, "finite": np.ones(2)}),
    "norms of step 0": HEAD + TENSORS + record("norms", {"step": 0}, **NORMS), "norms of step NaN": HEAD + TENSORS + record("norms", {"step": "NaN"}, **NORMS),
    "no loss": HEAD + record("scalars", {}, step=np.arange(1, 3)), "losses of two sizes": HEAD + record("scalars", {}, **{**SCALARS, "loss": np.ones(3)}),
    "whole numbers as losses": HEAD + record("scalars", {}, **{**SCALARS, "loss": np.ones(2, int)}), "steps backwards": HEAD + record("scalars", {}, **{**SCALARS, "step": np.array([2, 1])}),
    "negative steps": HEAD + record("scalars", {}, **{**SCALARS, "step": np.array([-5, 1])}), "a matrix of losses": HEAD + record("scalars", {}, **{**SCALARS, "step": np.ones((2, 2), int)}),
    "a whole step before tensors": HEAD + record("whole", TOLD, **WHOLE), "half a whole step": HEAD + TENSORS + record("whole", TOLD, **{**WHOLE, "params.1": np.ones(3)}),
    "a tensor too many": HEAD + TENSORS + record("whole", TOLD, **WHOLE, **{"grads.7": np.ones(2)}), "an unknown array": HEAD + TENSORS + record("whole", TOLD, **WHOLE, shell=np.ones(2)),
    "a name that climbs": HEAD + TENSORS + record("whole", TOLD, **WHOLE, **{"params.0/../x": np.ones(2)}), "no loss in a whole step": HEAD + TENSORS + record("whole", TOLD, **{**WHOLE, "loss": np.ones(2)}),
    "no names": HEAD + TENSORS + record("whole", {**TOLD, "activations": "relu"}, **WHOLE), "1,000 activations": HEAD + TENSORS + record("whole", {**TOLD, "activations": ["x"] * 1000}, **WHOLE),
    "histograms of wrong size": HEAD + TENSORS + record("histograms", {"step": 1}, parameter_range=np.ones((2, 2)), gradient_range=np.ones((2, 2)), parameter_counts=np.ones((2, 5), np.uint32), gradient_counts=np.ones((2, 5), np.uint32)),
    "an unknown event": HEAD + line(kind="event", event="exec", step=1, tensor="", text=""), "a long text": HEAD + line(kind="event", event="ended", step=1, tensor="", text="x" * 301),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_input_is_refused_in_a_sentence(what):
    with pytest.raises(ConfigError) as refused:
        watch.read(HOSTILE[what])
    assert refused.value.field == "probe" and refused.value.message.startswith("must ") and len(refused.value.message) < 300


def test_what_is_too_large_is_refused_unread():
    with pytest.raises(ConfigError, match="at most 32 MiB"):
        watch.read_batch(HEAD + bytes(BATCH_BYTES))


def test_a_flood_stays_within_its_memory():
    run = watch.WatchedRun(watch.read_batch(HEAD)[0])
    batch = watch.read_batch(
        HEAD + TENSORS + record("scalars", {}, **SCALARS) + record("norms", {"step": 5}, **NORMS) + record("whole", TOLD, **WHOLE)
    )
    for _ in range(3000):
        for one in batch[1]:
            run.add(one)
    assert len(run.scalars) <= 6000 and len(run.norm_steps) < 600_000 and len(run.whole) == 1


def test_markup_in_names_is_kept_as_it_is_and_control_characters_are_not_sent(tmp_path):
    def program(probe):
        probe.step(loss=1.0, params={"<script>": np.ones(2), "a\x00b\ud800": np.ones(2), ("tuple", 1): np.ones(1)})

    run = watched(program, tmp_path / "run.probe", name="<b>\x1b[0m" * 40)
    assert run.names == ("<script>", "a?b?", "('tuple', 1)") and run.name.startswith("<b>?[0m") and len(run.name) == 80


# Nothing that is handed over can stop a loop

STRANGE = {
    "text": "loss", "an object": object(), "a generator": (x for x in [1]), "itself": [], "complex": np.ones(2, complex), "objects": np.array([None, "x"], object),
    "None in a dict": {"W": None}, "a set": {1, 2}, "bytes": b"abc", "empty": [], "empty arrays": [np.zeros((0, 3))], "0-d": np.float32(3), "a structured array": np.zeros(2, [("a", int)]),
    "a ragged list": [[1, 2], [3]], "masked": np.ma.masked_array([1.0, 2.0], [True, False]), "a class": dict, "a million names": {f"W{n}": 1.0 for n in range(5000)},
    "dates": np.array(["2020-01-01"], "M8[D]"), "big endian": {"W": np.ones(3, ">f8")}, "float16": {"W": np.ones(3, np.float16)}, "longdouble": {"W": np.ones(3, np.longdouble)},
    "bools": {"W": np.ones(3, bool)}, "fortran": {"W": np.asfortranarray(np.ones((3, 2)))}, "a view": {"W": np.ones((6, 6))[::2, ::-3]}, "a huge number": {"W": 10**400},
}  # fmt: skip
STRANGE["itself"].append(STRANGE["itself"])


@pytest.mark.parametrize("what", STRANGE)
def test_strange_values_do_not_stop_a_loop(what, tmp_path):
    probe = descent_probe.Probe("strange", file=tmp_path / "run.probe")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            assert probe.step(loss=STRANGE[what], params=STRANGE[what], grads=STRANGE[what], X=STRANGE[what], outputs=STRANGE[what]) is None
            probe.step(loss=0.5, params={"W": np.ones(2)}, activations=STRANGE[what], loss_name=STRANGE[what], learning_rate=STRANGE[what])
        probe.close()
    assert len([one for one in caught if "probe" in str(one.message)]) <= 1
    watch.examine(watch.read((tmp_path / "run.probe").read_bytes()))


def test_updates_in_place_do_not_change_what_was_told(tmp_path):
    def program(probe):
        W = np.zeros((2, 2))
        for _ in range(4):
            W += 1
            probe.step(loss=1.0, params=[W, np.ones(2)])

    run = watched(program, tmp_path / "run.probe")
    assert [step.params[0][0, 0] for step in run.whole.values()] == [1, 2, 3, 4]
    assert run.names == ("W1", "b1")


def test_the_last_steps_are_kept_when_numbers_overflow(tmp_path):
    def program(probe):
        W = np.ones((3, 3))
        for step in range(5000):
            W = W * (np.inf if step == 4000 else 1.0)
            probe.step(loss=float(W.sum()), params={"W": W}, grads={"W": W})

    run = watched(program, tmp_path / "run.probe")
    assert 4001 in run.whole and len([step for step in run.whole if 3000 < step < 4001]) >= 1
    (finding,) = [finding for finding in watch.examine(run).findings if finding.code == "nonfinite"]
    assert (finding.step, finding.tensor) == (4001, "W")


def test_an_exception_and_an_interrupt_are_told(tmp_path, monkeypatch):
    probe = descent_probe.Probe("ends", file=tmp_path / "run.probe")
    probe.step(loss=1.0, params={"W": np.ones(2)})
    monkeypatch.setattr("sys.last_value", ValueError("operands could not be broadcast"), raising=False)
    probe.close()
    (event,) = watch.read((tmp_path / "run.probe").read_bytes()).events
    assert (event["event"], event["text"]) == ("exception", "ValueError: operands could not be broadcast")


def test_a_loop_that_was_stopped_sends_its_last_steps_by_itself(tmp_path):
    probe = descent_probe.Probe("stopped", file=tmp_path / "run.probe")
    for _ in range(3000):
        probe.step(loss=1.0, params={"W": np.ones(2)})
    until = time.monotonic() + 10
    while max(watch.read((tmp_path / "run.probe").read_bytes()).whole, default=0) < 9 and time.monotonic() < until:
        time.sleep(0.1)
    assert max(watch.read((tmp_path / "run.probe").read_bytes()).whole) >= 9
    probe.close()


def test_a_cell_that_is_run_again_begins_a_new_run(tmp_path, monkeypatch):
    class Interpreter:
        execution_count = 1

    interpreter = Interpreter()
    monkeypatch.setattr(builtins, "get_ipython", lambda: interpreter, raising=False)
    probe = descent_probe.Probe("cell", file=tmp_path / "run.probe")
    probe.step(loss=1.0)
    first, interpreter.execution_count = probe.run, 2
    probe.step(loss=3.0)
    assert probe.run != first and probe.steps == 1
    again = descent_probe.Probe("cell", file=tmp_path / "again.probe")
    assert probe._closed and not again._closed
    again.close()
    run = watch.read((tmp_path / "run.probe").read_bytes())
    assert run.run_id == probe.run and run.scalars[:, 1].tolist() == [3.0]


@pytest.fixture
def server():
    """A server that takes what comes; `refusing` has it refuse."""

    class Door(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, dict(self.headers), body))
            self.send_response(403 if server.refusing else 204)
            self.end_headers()
            if server.refusing:
                self.wfile.write(b"The key is missing.")

        def log_message(self, *_):
            pass

    taken = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.taken, server.refusing = taken, False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_batches_over_http_are_what_the_file_would_hold(server):
    probe = descent_probe.Probe("sent", url=f"http://127.0.0.1:{server.server_port}/base/?key=secret")
    perceptron(probe, steps=50)
    probe.close()
    run = watch.WatchedRun(watch.read_batch(server.taken[0][2])[0])
    for path, headers, body in server.taken:
        assert path == "/base/descent/probe?key=secret" and headers["X-Descent-Probe"] == "1"
        for one in watch.read_batch(body)[1]:
            run.add(one)
    assert run.steps == 50 and len(run.whole) >= 4


def test_a_server_that_refuses_or_goes_is_made_up_for_by_a_file(server, tmp_path):
    probe = descent_probe.Probe("refused", url=f"http://127.0.0.1:{server.server_port}")
    probe._beside = tmp_path / "refused.probe"
    probe.step(loss=1.0, params={"W": np.ones(3)})
    until = time.monotonic() + 10
    while not server.taken and time.monotonic() < until:
        time.sleep(0.02)
    server.refusing = True
    with warnings.catch_warnings(record=True):
        probe.step(loss=2.0, params={"W": np.ones(3)})
        probe.close()
    run = watch.read((tmp_path / "refused.probe").read_bytes())
    assert run.names == ("W",) and run.scalars[-1, 1] == 2.0


# The numerical check


def test_check_agrees_with_right_gradients_and_names_wrong_ones(capsys):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    params = {"W": rng.normal(size=(3, 1)), "b": np.zeros(1)}

    def loss(params):
        return np.mean((X @ params["W"] + params["b"] - y) ** 2)

    error = 2 * (X @ params["W"] + params["b"] - y) / 20
    grads = {"dW": X.T @ error, "db": error.sum(axis=0)}
    probe = descent_probe.Probe("checked")
    before = params["W"].copy()
    check = probe.check(loss, params, grads)
    assert check.verdict == "correct" and max(row["relative_error"] for row in check.table) < 1e-7
    check = probe.check(lambda: loss(params), [params["W"], params["b"]], [20 * grads["dW"], grads["db"]])
    assert check.verdict == "faulty" and check.table[0]["ratio"] == pytest.approx(20) and "Wrong: dW1." in capsys.readouterr().out
    assert np.array_equal(params["W"], before)
    with pytest.raises(ValueError, match="loss must give the same value"):
        probe.check(lambda: rng.normal(), params, grads)
    with pytest.raises(ValueError, match="grads must have the shape"):
        probe.check(loss, params, {"dW": np.ones(3)})
    probe.close()


def test_the_probe_needs_numpy_and_the_standard_library_alone():
    import ast
    import sys

    from tests.watched import PROBE

    tree = ast.parse(PROBE.read_text(), feature_version=(3, 9))
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in found} - set(sys.stdlib_module_names) == {"numpy"}
