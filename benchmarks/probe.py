"""What the probe costs the loop that it watches, on loops of 50 us, 1 ms and 50 ms a step: `make bench-probe`.

Both loops run in turn, in processes of their own; what counts is the processor's time of a step, the probe's thread included, since a
busy machine takes as much wall clock as it likes.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

PROBE = Path(__file__).resolve().parents[1] / "probe"
LOOPS = {50e-6: 60_000, 1e-3: 4000, 50e-3: 100}  # seconds a step -> steps
SIZES, BATCH = (8, 16, 16, 1), 32
ROUNDS = 3


def loop(seconds, steps, url):
    """{"step": processor's seconds a step, "memory": bytes} of a loop of steps that take so long; watched where there is a url."""
    sys.path.insert(0, str(PROBE))
    import resource

    from descent_probe import Probe

    rng = np.random.default_rng(0)
    params = {}
    for number, (fan_in, fan_out) in enumerate(itertools.pairwise(SIZES), 1):
        params |= {f"W{number}": rng.normal(size=(fan_in, fan_out)), f"b{number}": np.zeros(fan_out)}
    grads = {f"d{name}": rng.normal(size=array.shape) for name, array in params.items()}
    X, y = rng.normal(size=(BATCH, SIZES[0])), rng.normal(size=(BATCH, 1))
    probe = Probe("bench", url=url) if url else None
    began, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for step in range(1, steps + 1):
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass
        for name, array in params.items():
            array -= 1e-4 * grads[f"d{name}"]
        if probe:
            probe.step(loss=1 / step, params=params, grads=grads, X=X, Y=y, outputs=y, learning_rate=1e-4)
    took = time.process_time() - began
    if probe:
        probe.close()
    return {"step": took / steps, "memory": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * 1024}


def main():
    """Print the table."""
    sent = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self):
            sent.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    print(f"{'step':>8} {'bare':>10} {'watched':>10} {'more':>9} {'share':>7} {'allowed':>9} {'memory':>9} {'sent':>9}")
    for seconds, steps in LOOPS.items():
        sent.clear()
        bare, watched = [], []
        for _ in range(ROUNDS):
            bare.append(_measured(seconds, steps, ""))
            watched.append(_measured(seconds, steps, url))
        least = [min(one["step"] for one in group) for group in (bare, watched)]
        more, memory = least[1] - least[0], max(one["memory"] for one in watched)
        print(
            f"{seconds * 1e6:6.0f}us {least[0] * 1e6:8.1f}us {least[1] * 1e6:8.1f}us {more * 1e6:7.1f}us {more / least[0]:7.1%} "
            f"{max(0.05 * least[0], 20e-6) * 1e6:7.1f}us {memory / 2**20:5.1f}MiB {sum(sent) / ROUNDS / 2**20:5.2f}MiB"
        )
    server.shutdown()


def _measured(seconds, steps, url):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.probe", json.dumps([seconds, steps, url])], check=True, capture_output=True, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TMPDIR": folder},
        )  # fmt: skip
    return json.loads(done.stdout)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(loop(*json.loads(sys.argv[1]))))
    else:
        main()
