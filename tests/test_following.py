"""A node that follows what another run sent: levels that were written with a rounding are the same levels."""

from __future__ import annotations

import numpy as np
import pytest

from snndeploy.ir.following import follow
from snndeploy.ir.neurons.scaled_burst import braincog_burst
from snndeploy.ir.spread import ARITHMETICS, given


def followed(told, arithmetic="float64"):
    node, kind = braincog_burst(0.5, 0.5, 0.5), ARITHMETICS[arithmetic]
    x, start = given(np.array([[1.125]]), kind), {"v": given(np.zeros((1, 1)), kind)}
    return follow(node.step, (x,), start, np.array([[told]]), kind)


@pytest.mark.parametrize("told", [1.0, 1.0 - 2**-53, 1.0 + 2**-52])
def test_a_level_that_rounding_wrote_is_that_level(told):
    assert not followed(told).wrong.any()


@pytest.mark.parametrize("told", [0.0, 0.999, 1.0 + 1e-12, 3.0])
def test_another_level_is_a_difference(told):
    assert followed(told).wrong.all()


def test_a_narrower_type_rounds_more():
    assert not followed(1.0 - 2**-11, "float16").wrong.any()
    assert followed(0.9, "float16").wrong.all()
