"""The doctor in a process of its own: the same answers, and an end to files that take too long."""

import pytest

from core.config import ConfigError
from core.doctor import check
from core.doctor.consult import consult
from core.doctor.examples import EXAMPLES, example


@pytest.mark.parametrize("faults", EXAMPLES.values(), ids=EXAMPLES)
def test_answers_are_the_doctors_own(faults):
    raw = example(faults)
    answer = consult(raw)
    assert answer.to_dict() == check(raw).to_dict()
    assert answer.verdict == ("faulty" if faults else "correct") and answer.layers == tuple(int(fault[-1]) for fault in faults)


def test_refusals_come_through():
    with pytest.raises(ConfigError, match="pickle") as refused:
        consult(b"\x80\x04 not to be opened")
    assert refused.value.field == "file"


def test_a_file_that_takes_too_long_is_given_up_and_the_next_is_answered():
    with pytest.raises(ConfigError, match="took longer"):
        consult(example(), seconds=0.01)
    assert consult(example()).verdict == "correct"
