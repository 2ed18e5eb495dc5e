"""The examples that need other people's libraries, where those are installed: what is said of them is what their first lines say."""

import os
import subprocess
import sys

import pytest

from core import watch
from tests.watched import PROBE

EXAMPLES = PROBE.parents[1] / "examples"


@pytest.mark.parametrize(("script", "library", "codes"), [
    ("pytorch_loop", "torch", {"stale_gradients"}),
    ("keras_fit", "keras", {"nonfinite", "diverged"}),
])  # fmt: skip
def test_examples(script, library, codes, tmp_path):
    pytest.importorskip(library)
    copy = tmp_path / f"{script}.py"
    copy.write_text((EXAMPLES / copy.name).read_text().replace(f'Probe("{script}")', f'Probe("{script}", url="http://127.0.0.1:9")'))
    environment = os.environ | {"PYTHONPATH": str(PROBE.parent)}
    done = subprocess.run([sys.executable, copy], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    report = watch.report(watch.read((tmp_path / f"{script}.probe").read_bytes()))
    assert report["steps"] >= 50 and codes & {finding["code"] for finding in report["findings"]}
