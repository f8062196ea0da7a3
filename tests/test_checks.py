"""The checks of arguments that many rooms share."""

import numpy as np
import pytest

from paysage.checks import check_number, check_whole, is_whole
from paysage.errors import ConfigError

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_whole_numbers_become_integers_of_python(value):
    assert type(check_whole("n", value, 3)) is int
    assert is_whole(value, 3) and not is_whole(value, 4)


@pytest.mark.parametrize("bad", [2, -1, True, 3.0, "3", None, np.nan, np.array([3, 4]), [3]])
def test_what_is_no_whole_number_so_large_is_named(bad):
    with pytest.raises(ConfigError, match="n must be a whole number, at least 3, got"):
        check_whole("n", bad, 3)


@pytest.mark.parametrize("value", [0, 0.5, np.float32(0.5), np.int64(2)])
def test_numbers_become_floats_of_python(value):
    assert type(check_number("x", value)) is float


@pytest.mark.parametrize("bad", [-1e-9, np.nan, np.inf, -np.inf, "1", None, [1.0], 1j])
def test_what_is_no_finite_number_so_large_is_named(bad):
    with pytest.raises(ConfigError, match="x must be a finite number, at least 0, got"):
        check_number("x", bad)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, None, (1.0, 2.0)])
def test_numbers_without_a_least_one_are_finite(bad):
    assert check_number("x", -1e300, -np.inf) == -1e300
    with pytest.raises(ConfigError, match="x must be a finite number, got"):
        check_number("x", bad, -np.inf)
