"""Generators: the definition of their numbers, statistics, states, and which one is active."""

import copy
import json
import pickle
import sys
import threading
from statistics import NormalDist

import numpy as np
import pytest

from paysage.backends.cpu import fused, kernels
from paysage.backends.generator import GLOBAL, Generator, GeneratorOwner, active_generator
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
    generator = Generator(3)
    words = np.empty(50, np.uint64)
    kernels.fill_words(generator.key, np.uint64(0), words)
    bits = np.stack([words & np.uint64(2**32 - 1), words >> np.uint64(32)], axis=1).reshape(-1)
    assert np.array_equal(generator.uniform(100), (bits >> np.uint64(8)) / 2**24)


def test_normals_are_the_box_muller_transform_of_the_halves():
    generator = Generator(3)
    words = np.empty(N // 2, np.uint64)
    kernels.fill_words(generator.key, np.uint64(0), words)
    radius = np.sqrt(-2 * np.log(((words & np.uint64(2**32 - 1)).astype(float) + 0.5) / 2**32))
    angle = 2 * np.pi * (words >> np.uint64(32)).astype(float) / 2**32
    expected = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)
    # the uniform number is rounded to 2^-24 of itself: near 1 that is an error of 6e-8 of a
    # number whose logarithm vanishes, so that small radii are right to sqrt(2 * 6e-8) only
    small = np.repeat(radius < 0.05, 2)
    drawn = generator.normal(N)
    assert np.max(np.abs(drawn - expected)[~small]) < 3e-6
    assert np.max(np.abs(drawn - expected)) < 5e-4


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_do_not_depend_on_the_chunks(kind):
    whole = getattr(Generator(11), kind)(20011)
    generator = Generator(11)
    sizes = [1, 2, 3, 4095, 4096, 4097, 1, 5000, 0, 2716]
    assert sum(sizes) == 20011
    assert np.array_equal(whole, np.concatenate([getattr(generator, kind)(n) for n in sizes]))


@pytest.mark.parametrize("columns", [1, 7, 200, 5001])
def test_layers_do_not_depend_on_the_chunks(columns):
    rows = 13
    field = Generator(0).normal((rows, columns))
    loc, log_var = Generator(1).normal((2, columns))
    whole, parts = Generator(5), Generator(5)
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
    u = Generator(17).uniform(N)
    assert abs(u.mean(dtype=float) - 0.5) < SIGMAS / np.sqrt(12 * N)
    # the variance of (u - 1/2)^2 is 1/180
    assert abs(u.var(dtype=float) - 1 / 12) < SIGMAS / np.sqrt(180 * N)
    bits = (u.astype(float) * 2**24).astype(np.int64)
    for part in (bits[::2], bits[1::2]):  # the two halves of the words
        for shift in (0, 8, 16):
            assert abs(chi_square(np.bincount(part >> shift & 255, minlength=256))) < SIGMAS


def test_normals_are_normal():
    x = Generator(17).normal(N)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = np.mean(x.astype(float) ** power) - moment
        assert abs(error) < SIGMAS * np.sqrt(variance / N)
    edges = [NormalDist().inv_cdf(k / 64) for k in range(1, 64)]
    for part in (x[::2], x[1::2]):
        assert abs(chi_square(np.bincount(np.searchsorted(edges, part), minlength=64))) < SIGMAS


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_calls_and_seeds_are_independent(kind):
    generator = Generator(23)
    x, y, z = (
        getattr(generator, kind)(N),
        getattr(generator, kind)(N),
        getattr(Generator(24), kind)(N),
    )
    for lag in (1, 2, 3, 784, 4096):
        assert abs(correlation(x[:-lag], x[lag:])) < SIGMAS
    assert abs(correlation(x, y)) < SIGMAS
    assert abs(correlation(x, z)) < SIGMAS
    # sine and cosine of one angle share their radius: the squares must not be correlated either
    assert abs(correlation(x[::2] ** 2, x[1::2] ** 2)) < SIGMAS


def test_uniforms_are_independent_of_the_other_generator():
    generator = Generator(23)
    assert abs(correlation(generator.uniform(N), generator.numpy.random(N))) < SIGMAS


def draw(generator):
    """Numbers of every kind, with an odd number of the 32 bit ones."""
    small = generator.numpy.integers(0, 9, 3, dtype=np.int32)
    gamma = generator.numpy.gamma(2.0, 1.0, 5)
    parts = [generator.uniform(3), generator.normal(3), small, gamma]
    return np.concatenate(parts)


def test_one_seed_gives_one_stream():
    assert np.array_equal(draw(Generator(5)), draw(Generator(5)))
    assert not np.array_equal(draw(Generator(5)), draw(Generator(6)))
    assert not np.array_equal(draw(Generator()), draw(Generator()))


def test_state_goes_through_json_and_comes_back():
    generator = Generator(5)
    draw(generator)
    saved = json.loads(json.dumps(generator.get_state()))
    expected = [draw(generator), draw(generator)]
    other = Generator(6)
    other.set_state(saved)
    assert np.array_equal(expected, [draw(other), draw(other)])


@pytest.mark.parametrize(
    "change",
    [{"kind": "other"}, {"numpy": {}}, {"numpy": None}, {"key": -1}, {"counter": None}],
)
def test_foreign_state_is_refused_and_changes_nothing(change):
    generator, twin = Generator(5), Generator(5)
    with pytest.raises(ConfigError, match="random state"):
        generator.set_state({**Generator(6).get_state(), **change})
    assert np.array_equal(draw(generator), draw(twin))


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_bad_seed_is_refused(seed):
    with pytest.raises(ConfigError, match="seed"):
        Generator(seed)


# ------------------------------------------------------------------------------------ spawning


def test_children_depend_on_the_state_and_their_position_only():
    found = []
    for order in ([0, 1, 2], [2, 0, 1]):
        generator = Generator(7)
        generator.uniform(5)
        children = generator.spawn(3)
        numbers = {i: draw(children[i]) for i in order}
        found.append([numbers[i] for i in range(3)])
    assert np.array_equal(*found)


def test_children_are_independent_of_one_another_and_of_their_parent():
    generator = Generator(7)
    children = [*generator.spawn(2), *generator.spawn(2)]
    runs = [child.uniform(N) for child in children]
    runs += [generator.uniform(N), Generator(7).uniform(N), children[0].spawn()[0].uniform(N)]
    for i, a in enumerate(runs):
        for b in runs[:i]:
            assert abs(correlation(a, b)) < SIGMAS
    numpy = [child.numpy.random(N) for child in (*children, generator)]
    for i, a in enumerate(numpy):
        for b in numpy[:i]:
            assert abs(correlation(a, b)) < SIGMAS


# ------------------------------------------------------------------------------ active generator


def test_the_innermost_block_determines_the_active_generator():
    outer, inner = Generator(1), Generator(2)
    default = active_generator()
    with outer:
        assert active_generator() is outer
        with inner, outer:
            assert active_generator() is outer
        with pytest.raises(KeyError), inner:
            assert active_generator() is inner
            raise KeyError
        assert active_generator() is outer
    assert active_generator() is default


def test_a_block_affects_only_its_own_thread():
    opened, checked = threading.Event(), threading.Event()
    found = []

    def other():
        opened.wait(20)
        found.append(active_generator())
        with Generator(2):
            checked.set()

    thread = threading.Thread(target=other)
    default = active_generator()
    thread.start()
    with Generator(1) as mine:
        opened.set()
        assert checked.wait(20)
        assert active_generator() is mine
    thread.join()
    assert found == [default]


def test_threads_that_share_a_generator_get_different_numbers():
    generator, found = Generator(7), []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [
            threading.Thread(
                target=lambda: found.extend(generator.reserve(1, 0) for _ in range(2000))
            )
            for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert sorted(found) == list(range(8000))


# -------------------------------------------------------------------------------------- owners


class Owner(GeneratorOwner):
    def __init__(self, generator=None):
        self.generator = generator


class Model(Owner):
    _yields_to_active = True


def test_generators_and_owners_are_copied_and_pickled():
    generator = Generator(5)
    draw(generator)
    for twin in (copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))):
        assert twin is not generator
        assert np.array_equal(draw(twin), draw(copy.deepcopy(generator)))
    given, default = Owner(generator), Owner()
    default.generator.uniform(3)
    for copied in (copy.deepcopy, lambda owner: pickle.loads(pickle.dumps(owner))):
        assert copied(given).generator.get_state() == generator.get_state()
        # a copy without a given generator has its own
        assert copied(default).generator.key != default.generator.key


def test_owners_start_again_after_a_new_seed_unless_they_were_given_a_generator():
    default, given = Owner(), Owner(Generator(3))
    numbers = []
    for _ in range(2):
        GLOBAL.seed(5)
        numbers.append([draw(default.generator), draw(default.generator), draw(given.generator)])
    first, second = numbers
    assert np.array_equal(first[:2], second[:2])
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[2], second[2])


@pytest.mark.parametrize("kind", [Owner, Model])
def test_the_active_generator_serves_owners(kind):
    default, given = kind(), kind(3)
    with default.drawing() as mine:
        assert mine is default.generator
    with Generator(1) as active:
        assert default.drawing() is active
        assert given.drawing() is (active if kind is Model else given.generator)


def test_a_seed_stands_for_a_generator():
    assert np.array_equal(draw(Owner(3).generator), draw(Generator(3)))
    assert np.array_equal(draw(Owner(np.int64(3)).generator), draw(Generator(3)))


@pytest.mark.parametrize("generator", [True, 1.5, "a", -1, np.random.default_rng(0)])
def test_anything_else_is_refused_as_a_generator(generator):
    with pytest.raises(ConfigError, match=r"generator|seed"):
        Owner(generator)
