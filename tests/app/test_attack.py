"""The short form of `make attack`: the program that attacks is itself sound, and finds what is broken."""

import asyncio

import pytest

from benchmarks.attack import __main__ as attack
from benchmarks.attack import configurations, files, visitors
from core.limits import ConfigError


def test_configurations_and_links_are_refused_or_run():
    seen = list(attack.attacked("configurations", 1, range(200), 200))
    assert len(seen) == 200 and not any(one.bad for one in seen), [attack.told("configurations", 1, one) for one in seen if one.bad]


def test_files_of_every_kind_are_refused_or_read():
    bombs = sum(len(kind.bombs()) for kind in files.KINDS.values())
    numbers = range(bombs, bombs + 5 * len(files.KINDS))
    assert {files.made(1, number)[0] for number in numbers} == set(files.KINDS)
    seen = list(attack.attacked("files", 1, numbers, len(numbers)))
    assert not any(one.bad for one in seen), [attack.told("files", 1, one) for one in seen if one.bad]


def test_every_sound_file_is_taken():
    for kind in files.KINDS.values():
        taken = 0
        for raw in kind.samples():
            try:
                kind.read(raw)
                taken += 1
            except ConfigError:
                continue
        assert taken, kind


def test_two_strangers_on_one_server():
    seen = asyncio.run(visitors.attacks(1, 1))
    assert len(seen) > 20 and not any(one.failure for one in seen), [attack.told("visitors", 1, one) for one in seen if one.failure]


@pytest.mark.parametrize(
    ("breaks", "word"),
    [(lambda: 1 / 0, "ZeroDivisionError"), (lambda: sum(range(10**9)), "its process ended"), (lambda: bytearray(2 << 30), "MiB")],
)
def test_what_breaks_is_told_with_how_to_have_it_again(monkeypatch, breaks, word):
    monkeypatch.setattr("benchmarks.attack.isolated.HANGS", 1)
    monkeypatch.setattr(configurations, "attack", lambda given: breaks())
    (seen,) = attack.attacked("configurations", 7, [3], 1)
    told = attack.told("configurations", 7, seen)
    assert seen.bad and word in told and "--seed 7 --only configurations --number 3" in told
    assert attack.row("configurations", [seen], 1.0)[1] == 1
