"""The CPU's random stream: what it is defined to be, its statistics, its state."""

import json
import threading
from statistics import NormalDist

import numpy as np
import pytest

from paysage.backends.cpu import fused, kernels
from paysage.backends.cpu.stream import Stream
from paysage.errors import ConfigError

pytestmark = pytest.mark.backend_free

N = 2**20
SIGMAS = 5  # a fair generator fails a two-sided test at five standard errors once in 1.7 million
KINDS = ["uniform", "normal"]


def chi_square(counts):
    """Deviation of counts from equal ones, in standard deviations of the chi-square statistic."""
    expected = counts.sum() / counts.size
    freedom = counts.size - 1
    return (np.sum((counts - expected) ** 2) / expected - freedom) / np.sqrt(2 * freedom)


def correlation(x, y):
    """Correlation in standard errors: 1 / sqrt(n) for independent numbers."""
    return np.corrcoef(x.astype(float), y.astype(float))[0, 1] * np.sqrt(x.size)


def test_words_are_those_of_splitmix64():
    # the published test vector of the generator for the seed 1234567
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    words = np.empty(4, np.uint64)
    kernels.fill_words(np.uint64(1234567), np.uint64(1), words)
    assert words.tolist() == expected


def test_uniforms_are_the_upper_bits_of_the_halves_low_half_first():
    stream = Stream(3)
    words = np.empty(50, np.uint64)
    kernels.fill_words(stream.key, np.uint64(0), words)
    bits = np.stack([words & np.uint64(2**32 - 1), words >> np.uint64(32)], axis=1).reshape(-1)
    assert np.array_equal(stream.uniform(100), (bits >> np.uint64(8)) / 2**24)


def test_normals_are_the_box_muller_transform_of_the_halves():
    stream = Stream(3)
    words = np.empty(N // 2, np.uint64)
    kernels.fill_words(stream.key, np.uint64(0), words)
    radius = np.sqrt(-2 * np.log(((words & np.uint64(2**32 - 1)).astype(float) + 0.5) / 2**32))
    angle = 2 * np.pi * (words >> np.uint64(32)).astype(float) / 2**32
    expected = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)
    # the uniform number is rounded to 2^-24 of itself: near 1 that is an error of 6e-8 of a
    # number whose logarithm vanishes, so that small radii are right to sqrt(2 * 6e-8) only
    small = np.repeat(radius < 0.05, 2)
    drawn = stream.normal(N)
    assert np.max(np.abs(drawn - expected)[~small]) < 3e-6
    assert np.max(np.abs(drawn - expected)) < 5e-4


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_do_not_depend_on_the_chunks(kind):
    whole = getattr(Stream(11), kind)(20011)
    stream = Stream(11)
    sizes = [1, 2, 3, 4095, 4096, 4097, 1, 5000, 0, 2716]
    assert sum(sizes) == 20011
    assert np.array_equal(whole, np.concatenate([getattr(stream, kind)(n) for n in sizes]))


@pytest.mark.parametrize("columns", [1, 7, 200, 5001])
def test_layers_do_not_depend_on_the_chunks(columns):
    rows = 13
    field = Stream(0).normal((rows, columns))
    loc, log_var = Stream(1).normal((2, columns))
    whole, parts = Stream(5), Stream(5)
    once = fused.bernoulli_sample(whole, field, loc, None, None)
    pieces = [fused.bernoulli_sample(parts, field[i : i + 1], loc, None, None) for i in range(rows)]
    assert np.array_equal(once, np.concatenate(pieces))
    once = fused.gaussian_sample(whole, field, loc, log_var, 2.0, None)
    pieces = [
        fused.gaussian_sample(parts, field[i : i + 1], loc, log_var, 2.0, None) for i in range(rows)
    ]
    assert np.array_equal(once, np.concatenate(pieces))
    assert whole.counter == parts.counter == 2 * rows * columns


def test_uniforms_lie_between_zero_and_one():
    out = np.empty(3, np.float32)
    kernels._units(np.array([0, 255, 2**32 - 1], np.uint32), out)
    assert out.tolist() == [2.0**-25, 2.0**-25, 1 - 2.0**-24]


def test_normals_of_the_extreme_words_are_finite():
    words = np.array([0, 2**32 - 1, 2**63, 2**64 - 1], np.uint64)
    x, y = np.empty((2, 4), np.float32)
    kernels._normal_pairs(words, x, y)
    # the smallest uniform number is 2^-33; the greatest one is rounded to 1, of logarithm 0
    assert np.hypot(x, y) == pytest.approx([np.sqrt(66 * np.log(2)), 0] * 2, abs=1e-6)


def test_uniforms_are_uniform():
    u = Stream(17).uniform(N)
    assert abs(u.mean(dtype=float) - 0.5) < SIGMAS / np.sqrt(12 * N)
    # the variance of (u - 1/2)^2 is 1/180
    assert abs(u.var(dtype=float) - 1 / 12) < SIGMAS / np.sqrt(180 * N)
    bits = (u.astype(float) * 2**24).astype(np.int64)
    for part in (bits[::2], bits[1::2]):  # the two halves of the words
        for shift in (0, 8, 16):
            assert abs(chi_square(np.bincount(part >> shift & 255, minlength=256))) < SIGMAS


def test_normals_are_normal():
    x = Stream(17).normal(N)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = np.mean(x.astype(float) ** power) - moment
        assert abs(error) < SIGMAS * np.sqrt(variance / N)
    edges = [NormalDist().inv_cdf(k / 64) for k in range(1, 64)]
    for part in (x[::2], x[1::2]):
        assert abs(chi_square(np.bincount(np.searchsorted(edges, part), minlength=64))) < SIGMAS


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_calls_and_seeds_are_independent(kind):
    stream = Stream(23)
    x, y, z = getattr(stream, kind)(N), getattr(stream, kind)(N), getattr(Stream(24), kind)(N)
    for lag in (1, 2, 3, 784, 4096):
        assert abs(correlation(x[:-lag], x[lag:])) < SIGMAS
    assert abs(correlation(x, y)) < SIGMAS
    assert abs(correlation(x, z)) < SIGMAS
    # sine and cosine of one angle share their radius: the squares must not be correlated either
    assert abs(correlation(x[::2] ** 2, x[1::2] ** 2)) < SIGMAS


def test_uniforms_are_independent_of_the_other_generator():
    stream = Stream(23)
    assert abs(correlation(stream.uniform(N), stream.generator.random(N))) < SIGMAS


def draw(stream):
    """Numbers of every kind, with an odd number of the 32 bit ones."""
    generator = stream.generator
    small = generator.integers(0, 9, 3, dtype=np.int32)
    parts = [stream.uniform(3), stream.normal(3), small, generator.gamma(2.0, 1.0, 5)]
    return np.concatenate(parts)


def test_one_seed_gives_one_stream():
    assert np.array_equal(draw(Stream(5)), draw(Stream(5)))
    assert not np.array_equal(draw(Stream(5)), draw(Stream(6)))
    assert not np.array_equal(draw(Stream()), draw(Stream()))


def test_state_goes_through_json_and_comes_back():
    stream = Stream(5)
    draw(stream)
    saved = json.loads(json.dumps(stream.get_state()))
    expected = [draw(stream), draw(stream)]
    other = Stream(6)
    other.set_state(saved)
    assert np.array_equal(expected, [draw(other), draw(other)])


@pytest.mark.parametrize(
    "change",
    [{"kind": "other"}, {"generator": {}}, {"generator": None}, {"key": -1}, {"counter": None}],
)
def test_foreign_state_is_refused_and_changes_nothing(change):
    stream, twin = Stream(5), Stream(5)
    with pytest.raises(ConfigError, match="random state"):
        stream.set_state({**Stream(6).get_state(), **change})
    assert np.array_equal(draw(stream), draw(twin))


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_bad_seed_is_refused(seed):
    with pytest.raises(ConfigError, match="seed"):
        Stream(seed)


# ------------------------------------------------------------------------------- separate draws


def drawn(stream, parts, order):
    """What each part draws, made in an order of one's choice."""
    found = {}
    for i in order:
        with parts[i]:
            found[i] = [stream.uniform(1001), stream.generator.random(3), stream.normal(10)]
    return [x for i in sorted(found) for x in found[i]]


def test_the_draws_of_parts_depend_on_their_position_only():
    found = []
    for order in ([0, 1, 2], [2, 0, 1]):
        stream = Stream(7)
        stream.uniform(5)
        found.append(drawn(stream, stream.parts(3), order))
    for a, b in zip(*found, strict=True):
        assert np.array_equal(a, b)


def test_parts_differ_from_one_another_from_those_before_and_from_what_follows():
    stream = Stream(7)
    runs = [np.concatenate(drawn(stream, stream.parts(2), [i])) for i in (0, 1, 0)]
    runs.append(stream.uniform(runs[0].size))
    for i, a in enumerate(runs):
        for b in runs[:i]:
            assert not np.isin(a, b).all()
            assert abs(correlation(a[:1001], b[:1001])) < SIGMAS


def test_parts_are_drawn_from_in_other_threads():
    here, there = Stream(7), Stream(7)
    wanted = drawn(here, here.parts(2), [0, 1])
    parts, found = there.parts(2), []
    thread = threading.Thread(target=lambda: found.extend(drawn(there, parts, [0, 1])))
    thread.start()
    thread.join()
    for a, b in zip(found, wanted, strict=True):
        assert np.array_equal(a, b)


def test_a_part_leaves_the_stream_as_it_was():
    stream = Stream(7)
    parts = stream.parts(1)
    before = stream.get_state()
    with pytest.raises(KeyError), parts[0]:
        stream.uniform(10)
        raise KeyError
    assert stream.get_state() == before


def test_parts_of_parts():
    stream = Stream(7)
    with stream.parts(1)[0]:
        inner = drawn(stream, stream.parts(2), [0, 1])
    outer = drawn(stream, stream.parts(2), [0, 1])
    assert not np.array_equal(inner[0], outer[0])
