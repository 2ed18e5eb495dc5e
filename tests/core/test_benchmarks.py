"""The populations of the benchmarks are of runs that can begin, whatever is drawn."""

import numpy as np
import pytest

from benchmarks import diagnosis, forecast, range_test

DRAWS = 200
POPULATIONS = {
    "diagnosis": lambda number: diagnosis.draw(np.random.default_rng([9, number])),
    "forecast": lambda number: forecast.draw((9, number))[0],
    "range test": range_test.draw,
}


@pytest.mark.parametrize("name", POPULATIONS)
def test_every_drawn_configuration_is_valid(name):
    drawn = [POPULATIONS[name](number) for number in range(DRAWS)]
    sources = {config.data.source for config in drawn if config is not None}
    assert {"spiral", "iris"} <= sources and not sources & {"drawn", "formula", "file"}
