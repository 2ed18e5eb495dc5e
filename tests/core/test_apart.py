"""Reading in a process of its own: the same answers, an end to what takes too long, and no word when the server has gone."""

import os
import pickle
import subprocess
import sys

import pytest

from core.doctor import check
from core.doctor.examples import EXAMPLES, example
from core.limits import ConfigError
from core.live.apart import NICENESS, apart


@pytest.mark.parametrize("faults", EXAMPLES.values(), ids=EXAMPLES)
def test_answers_are_the_doctors_own(faults):
    raw = example(faults)
    answer = apart(check, raw, field="file")
    assert answer.to_dict() == check(raw).to_dict()
    assert answer.verdict == ("faulty" if faults else "correct") and answer.layers == tuple(int(fault[-1]) for fault in faults)


def test_refusals_come_through():
    with pytest.raises(ConfigError, match="pickle") as refused:
        apart(check, b"\x80\x04 not to be opened", field="file")
    assert refused.value.field == "file"


def test_a_file_that_takes_too_long_is_given_up_and_the_next_is_answered():
    with pytest.raises(ConfigError, match="took longer: take less"):
        apart(check, example(), field="file", seconds=0.01, smaller="take less")
    assert apart(check, example(), field="file").verdict == "correct"


def test_what_fails_is_told_in_a_sentence():
    with pytest.raises(ConfigError, match="reading it failed: use a smaller file"):
        apart(os.abort, field="file")


def test_it_gives_way_to_the_server():
    assert apart(os.getpriority, os.PRIO_PROCESS, 0, field="file") == os.getpriority(os.PRIO_PROCESS, 0) + NICENESS


def test_it_says_nothing_when_its_server_has_gone():
    question = pickle.dumps((4 << 30, bytes, (1 << 20,)))
    process = subprocess.Popen([sys.executable, "-m", "core.live.apart"], stdin=-1, stdout=-1, stderr=-1)
    process.stdout.close()
    process.stdin.write(question)
    process.stdin.close()
    assert process.stderr.read() == b"" and process.wait() == 0
    process.stderr.close()
