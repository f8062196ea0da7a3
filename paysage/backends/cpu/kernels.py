"""The inner loops of both backends on the CPU, compiled by numba on first use.

Nobody imports this module at import time: it brings in numba. Every kernel is serial and releases
the interpreter lock. Each loop that matters stands in a function of its own, over whole rows:
that is the form that LLVM turns into vector instructions.

Random numbers are counter based (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
2011): element number i of a stream is a pure function of the key and of i. The function is the
SplitMix64 finalizer (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014):
word w is ``mix64(key + w * GOLDEN)``; elements 2w and 2w + 1 are its low and its high 32 bits. A
pair of normal numbers is made of the same two halves (Box & Muller 1958).

The elementary functions are those of the Cephes library (Moshier 1989): reduction of the range,
then a polynomial; errors below 2 units in the last place of a float32.

Not a number stays not a number: no fast-math flag here lets the compiler assume that NaN or
infinity do not occur, and none lets it reorder a sum (range reduction needs the order written).
"""

import numpy as np

from paysage.backends.cpu.compiling import compiled

# `contract` fuses a*b + c; `nsz` ignores the sign of zero. Neither changes what NaN and inf do.
_jit = compiled(nogil=True, fastmath={"contract", "nsz"}, error_model="numpy")

f4 = np.float32
ZERO, HALF, ONE, MINUS_TWO = f4(0.0), f4(0.5), f4(1.0), f4(-2.0)
BLOCK = 4096  # elements whose random words are made at one go: 16 KiB, half of a first-level cache

# ------------------------------------------------------------------------- elementary functions

LOG2_E = f4(1.44269504088896341)
LN2_HIGH = f4(0.693359375)  # few bits: k * LN2_HIGH is exact for every k that occurs
LN2_LOW = f4(-2.12194440e-4)
ROUNDER = f4(12582912.0)  # 1.5 * 2^23: adding it leaves the nearest integer in the low bits
LOWEST, HIGHEST = f4(-87.0), f4(89.0)
SQRT_HALF_BITS = 0x3F3504F3
E2, E3, E4 = f4(5.0000001201e-1), f4(1.6666665459e-1), f4(4.1665795894e-2)
E5, E6, E7 = f4(8.3334519073e-3), f4(1.3981999507e-3), f4(1.9875691500e-4)
L3, L4, L5 = f4(3.3333331174e-1), f4(-2.4999993993e-1), f4(2.0000714765e-1)
L6, L7, L8 = f4(-1.6668057665e-1), f4(1.4249322787e-1), f4(-1.2420140846e-1)
L9, L10, L11 = f4(1.1676998740e-1), f4(-1.1514610310e-1), f4(7.0376836292e-2)
S3, S5, S7 = f4(-1.6666654611e-1), f4(8.3321608736e-3), f4(-1.9515295891e-4)
C4, C6, C8 = f4(4.166664568298827e-2), f4(-1.388731625493765e-3), f4(2.443315711809948e-5)


@_jit
def _exp(t):
    """exp(t): infinity above 88.7, flat below -87; NaN stays NaN."""
    t = HIGHEST if t > HIGHEST else t
    t = LOWEST if t < LOWEST else t
    z = t * LOG2_E + ROUNDER
    k = z - ROUNDER
    r = t - k * LN2_HIGH
    r = r - k * LN2_LOW
    p = ((((E7 * r + E6) * r + E5) * r + E4) * r + E3) * r + E2
    p = (p * r) * r + r + ONE
    # the low bits of z hold k; k + 127 in the exponent field is 2^k, and k = 128 is infinity
    power = np.int32((f4(z).view(np.int32) + 127) << 23)
    return p * power.view(np.float32)


@_jit
def _log(u):
    """log(u) for a normal positive number (no zero, infinity or NaN)."""
    bits = f4(u).view(np.int32)
    # u = 2^k (1 + x) with 1 + x in [sqrt(1/2), sqrt(2)), so that x is small on both sides of 1
    k = np.int32(bits - SQRT_HALF_BITS) >> 23
    x = np.int32(bits - (k << 23)).view(np.float32) - ONE
    xx = x * x
    p = (((((L11 * x + L10) * x + L9) * x + L8) * x + L7) * x + L6) * x + L5
    p = (p * x + L4) * x + L3
    e = f4(np.int32(k))
    return p * x * xx + e * LN2_LOW - HALF * xx + x + e * LN2_HIGH


@_jit
def _cos_sin(turn):
    """Cosine and sine of 2 pi turn / 2^32, for an int32 that counts fractions of a turn."""
    quarter = np.int32(np.int32(turn + 0x20000000) >> 30)  # the nearest quarter of a turn
    a = f4(np.int32(turn - (quarter << 30))) * TO_ANGLE  # what is left of it: |a| <= pi/4
    aa = a * a
    sin = ((S7 * aa + S5) * aa + S3) * aa * a + a
    cos = ((C8 * aa + C6) * aa + C4) * aa * aa - HALF * aa + ONE
    swap = (quarter & 1) != 0
    x = sin if swap else cos
    y = cos if swap else sin
    x = -x if ((quarter + 1) & 2) != 0 else x
    y = -y if (quarter & 2) != 0 else y
    return x, y


# ------------------------------------------------------------------------------- random numbers

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
B30, B27, B31, B32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)
LOWEST_BIT, B8, B11 = np.uint64(1), np.uint32(8), np.uint64(11)
TO_UNIT_53 = 2.0**-53
TO_UNIT_24, TO_UNIT_32, TO_ANGLE = f4(2.0**-24), f4(2.0**-32), f4(np.pi * 2.0**-31)


@_jit
def fill_words(key, first, words):
    """Write the random words number first, first + 1, ..."""
    start = key + first * GOLDEN
    for i in range(words.size):
        z = start + np.uint64(i) * GOLDEN
        z = (z ^ (z >> B30)) * MIX_1
        z = (z ^ (z >> B27)) * MIX_2
        words[i] = z ^ (z >> B31)


@_jit
def _unit(bits):
    """A number strictly between 0 and 1 from the upper 24 of 32 random bits."""
    k = f4(np.int32(bits >> B8))
    return (HALF if k < HALF else k) * TO_UNIT_24


@_jit
def _units(bits, out):
    for i in range(out.size):
        out[i] = _unit(bits[i])


@_jit
def _normal_pairs(words, cosines, sines):
    """Two independent normal numbers a word: radius from its low half, angle from its high one."""
    for w in range(words.size):
        word = words[w]
        # all 32 bits, for the tail: up to 6.7 standard deviations
        u = (f4(np.uint32(word)) + HALF) * TO_UNIT_32
        radius = np.sqrt(MINUS_TWO * _log(u))
        x, y = _cos_sin(np.int32(np.uint32(word >> B32)))
        cosines[w] = radius * x
        sines[w] = radius * y


@_jit
def _interleave(a, b, out):
    for w in range(a.size):
        out[2 * w] = a[w]
        out[2 * w + 1] = b[w]


@_jit
def _normals(key, index, words, halves, out):
    """Normals from element `index` (even) on, 2 * words.size of them."""
    size = words.size
    fill_words(key, index >> LOWEST_BIT, words)
    _normal_pairs(words, halves[0, :size], halves[1, :size])
    _interleave(halves[0, :size], halves[1, :size], out)


@_jit
def fill_uniform(key, counter, out):
    """Write elements number counter, counter + 1, ... of the stream, as uniforms on (0, 1)."""
    words = np.empty(BLOCK // 2 + 1, np.uint64)
    bits = words.view(np.uint32)
    for low in range(0, out.size, BLOCK):
        size = min(BLOCK, out.size - low)
        index = counter + np.uint64(low)
        odd = np.int64(index & LOWEST_BIT)
        fill_words(key, index >> LOWEST_BIT, words[: (size + odd + 1) // 2])
        _units(bits[odd : odd + size], out[low : low + size])


@_jit
def _are_below(bits, limits, top, out):
    for i in range(out.size):
        out[i] = ONE if top * _unit(bits[i]) < limits[i] else ZERO


@_jit
def fill_below(key, counter, limits, top, out):
    """Write ones where those uniforms times top are below the limits, zeros elsewhere."""
    words = np.empty(BLOCK // 2 + 1, np.uint64)
    bits = words.view(np.uint32)
    for low in range(0, out.size, BLOCK):
        size = min(BLOCK, out.size - low)
        index = counter + np.uint64(low)
        odd = np.int64(index & LOWEST_BIT)
        fill_words(key, index >> LOWEST_BIT, words[: (size + odd + 1) // 2])
        part = slice(low, low + size)
        _are_below(bits[odd : odd + size], limits[part], top, out[part])


@_jit
def fill_normal(key, counter, out):
    """Write elements number counter, counter + 1, ... of the stream, as standard normals."""
    words = np.empty(BLOCK // 2 + 1, np.uint64)
    halves = np.empty((2, BLOCK // 2 + 1), np.float32)
    both = np.empty(BLOCK + 2, np.float32)
    for low in range(0, out.size, BLOCK):
        size = min(BLOCK, out.size - low)
        index = counter + np.uint64(low)
        odd = np.int64(index & LOWEST_BIT)
        _normals(key, index, words[: (size + odd + 1) // 2], halves, both)
        out[low : low + size] = both[odd : odd + size]


# ------------------------------------------------------------------------- inverse temperatures


@_jit
def _word(state):
    """The word that belongs to a state."""
    z = (state ^ (state >> B30)) * MIX_1
    z = (z ^ (z >> B27)) * MIX_2
    return z ^ (z >> B31)


@_jit
def _level(word):
    """A double between 0 and 1, both excluded."""
    return (np.float64(word >> B11) + 0.5) * TO_UNIT_53


@_jit
def _gamma(state, shape):
    """A Gamma number of a shape of at least one and scale 1 (Marsaglia & Tsang 2000)."""
    d = shape - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    while True:
        radius = np.sqrt(-2.0 * np.log(_level(_word(state))))
        x = radius * np.cos(2.0 * np.pi * _level(_word(state + GOLDEN)))
        u = _level(_word(state + GOLDEN + GOLDEN))
        state += GOLDEN + GOLDEN + GOLDEN
        v = (1.0 + c * x) ** 3
        if v > 0.0 and np.log(u) < 0.5 * x * x + d * (1.0 - v + np.log(v)):
            return d * v


@_jit
def beta_step(key, first, beta, momentum, c, degrees):
    """In place, beta' = c/2 times a noncentral chi-squared number of 2 momentum beta / c.

    Such a number of n > 1 degrees of freedom is the square of a normal number that is displaced,
    plus a central one of n - 1. Word number first + b of the stream is where row b starts.
    """
    half = 0.5 * (degrees - 1.0)
    more = half if half >= 1.0 else half + 1.0
    for b in range(beta.size):
        state = _word(key + (first + np.uint64(b)) * GOLDEN)
        radius = np.sqrt(-2.0 * np.log(_level(_word(state))))
        x = radius * np.cos(2.0 * np.pi * _level(_word(state + GOLDEN)))
        u = _level(_word(state + GOLDEN + GOLDEN))
        central = _gamma(state + GOLDEN + GOLDEN + GOLDEN, more)
        if half < 1.0:
            central *= u ** (1.0 / half)
        x += np.sqrt(2.0 * momentum / c * np.float64(beta[b]))
        beta[b] = f4(c * (0.5 * x * x + central))


# ---------------------------------------------------------------------------------- unit layers
#
# A row is first copied to the output (unless it is there) and then changed in place: were input
# and output two arrays that might overlap, the compiler would have to give up its vectors.


@_jit
def _copy_row(x, y):
    for j in range(x.size):
        y[j] = x[j]


@_jit
def _mean_row(x, loc, minus):
    """The logistic function 1 / (1 + exp(minus * (x + loc))) of a row."""
    for j in range(x.size):
        x[j] = ONE / (ONE + _exp(minus * (x[j] + loc[j])))


@_jit
def _draw_row(x, loc, minus, bits):
    """Draws with the mean of _mean_row: u < 1 / (1 + e), without the division; NaN stays NaN."""
    for j in range(x.size):
        level = _unit(bits[j]) * (ONE + _exp(minus * (x[j] + loc[j])))
        draw = ONE if level < ONE else ZERO
        x[j] = level if level != level else draw


@_jit
def _normal_row(x, loc, scale, factor, normals):
    for j in range(x.size):
        x[j] = x[j] + loc[j] + factor * scale[j] * normals[j]


@_jit
def bernoulli_mean(field, loc, beta, out):
    """1 / (1 + exp(-beta * (field + loc))), row by row; beta has one entry or one a row."""
    same = field.ctypes.data == out.ctypes.data
    for b in range(field.shape[0]):
        if not same:
            _copy_row(field[b], out[b])
        _mean_row(out[b], loc, -beta[min(b, beta.size - 1)])


@_jit
def bernoulli_sample(key, counter, field, loc, beta, out):
    """Zeros and ones with the mean of bernoulli_mean, from elements number counter, ..."""
    rows, columns = field.shape
    same = field.ctypes.data == out.ctypes.data
    step = max(1, BLOCK // max(1, columns))
    words = np.empty(step * columns // 2 + 1, np.uint64)
    bits = words.view(np.uint32)
    for low in range(0, rows, step):
        high = min(rows, low + step)
        index = counter + np.uint64(low * columns)
        at = np.int64(index & LOWEST_BIT)
        fill_words(key, index >> LOWEST_BIT, words[: (at + (high - low) * columns + 1) // 2])
        for b in range(low, high):
            if not same:
                _copy_row(field[b], out[b])
            _draw_row(out[b], loc, -beta[min(b, beta.size - 1)], bits[at : at + columns])
            at += columns


@_jit
def gaussian_sample(key, counter, field, loc, scale, beta, out):
    """Draws of field + loc + scale * N(0, 1) / sqrt(beta), from elements number counter, ..."""
    rows, columns = field.shape
    same = field.ctypes.data == out.ctypes.data
    step = max(1, BLOCK // max(1, columns))
    words = np.empty(step * columns // 2 + 1, np.uint64)
    halves = np.empty((2, words.size), np.float32)
    normals = np.empty(2 * words.size, np.float32)
    for low in range(0, rows, step):
        high = min(rows, low + step)
        index = counter + np.uint64(low * columns)
        at = np.int64(index & LOWEST_BIT)
        _normals(key, index, words[: (at + (high - low) * columns + 1) // 2], halves, normals)
        for b in range(low, high):
            if not same:
                _copy_row(field[b], out[b])
            factor = ONE / np.sqrt(beta[min(b, beta.size - 1)])
            _normal_row(out[b], loc, scale, factor, normals[at : at + columns])
            at += columns


@_jit
def _raise_row(x, loc):
    """In place, x + loc; gives the greatest, or NaN if the first one is."""
    for j in range(x.size):
        x[j] = x[j] + loc[j]
    top = x[0]
    for j in range(x.size):
        top = x[j] if x[j] > top else top
    return top


@_jit
def _weigh_row(x, top, beta):
    """In place, exp(beta * (x - top)), at most one; beta last, so that no field overflows."""
    for j in range(x.size):
        x[j] = _exp(beta * (x[j] - top))


@_jit
def _sum_row(x):
    """The sum in double precision: its error does not grow with the width of the row."""
    total = 0.0
    for j in range(x.size):
        total += np.float64(x[j])
    return total


@_jit
def _scale_row(x, factor):
    for j in range(x.size):
        x[j] = factor * x[j]


@_jit
def _invert_row(x, level):
    """One where the cumulative sum of the row first exceeds a level, zeros elsewhere."""
    total, unit = 0.0, x.size
    for j in range(x.size):
        total += np.float64(x[j])
        if total > level:
            unit = j
            break
    # a level that nothing exceeds is not a number: nor is the row then
    rest = ZERO if unit < x.size else f4(np.nan)
    for j in range(x.size):
        x[j] = ONE if j == unit else rest


@_jit
def onehot_mean(field, loc, beta, out):
    """The softmax of beta * (field + loc), row by row; beta has one entry or one a row."""
    same = field.ctypes.data == out.ctypes.data
    for b in range(field.shape[0]):
        row = out[b]
        if not same:
            _copy_row(field[b], row)
        _weigh_row(row, _raise_row(row, loc), beta[min(b, beta.size - 1)])
        _scale_row(row, f4(1.0 / _sum_row(row)))


@_jit
def onehot_sample(key, counter, field, loc, beta, out):
    """Rows with a single one, drawn with that mean; element number counter + b draws row b."""
    same = field.ctypes.data == out.ctypes.data
    uniforms = np.empty(field.shape[0], np.float32)
    fill_uniform(key, counter, uniforms)
    for b in range(field.shape[0]):
        row = out[b]
        if not same:
            _copy_row(field[b], row)
        _weigh_row(row, _raise_row(row, loc), beta[min(b, beta.size - 1)])
        _invert_row(row, np.float64(uniforms[b]) * _sum_row(row))


# ------------------------------------------------------------------------------ optimizer steps


@_jit
def scale(a, weight):
    """In place, a = weight * a."""
    for i in range(a.size):
        a[i] = weight * a[i]


@_jit
def accumulate(a, weight, b):
    """In place, a += weight * b."""
    for i in range(a.size):
        a[i] += weight * b[i]


@_jit
def _add_row(out, factor, row):
    for j in range(out.size):
        out[j] += factor * row[j]


@_jit
def add_outer(out, a, b, weight):
    """In place, out += weight * a b^T: (m, n), (m,), (n,)."""
    for i in range(a.size):
        _add_row(out[i], weight * a[i], b)


@_jit
def descent_step(param, grad, lr):
    """In place, param -= lr * grad."""
    for i in range(param.size):
        param[i] -= lr * grad[i]


@_jit
def momentum_step(param, grad, velocity, lr, momentum):
    """In place, velocity = momentum * velocity + (1 - momentum) * grad; param -= lr * velocity."""
    rest = ONE - momentum
    for i in range(param.size):
        v = momentum * velocity[i] + rest * grad[i]
        velocity[i] = v
        param[i] -= lr * v


@_jit
def rmsprop_step(param, grad, mean_square, lr, decay, scale, epsilon):
    """Update mean_square; param -= lr * grad / sqrt(epsilon + scale * mean_square)."""
    rest = ONE - decay
    for i in range(param.size):
        g = grad[i]
        v = decay * mean_square[i] + rest * (g * g)
        mean_square[i] = v
        param[i] -= lr * g / np.sqrt(epsilon + scale * v)


@_jit
def adam_step(param, grad, mean, mean_square, lr, beta1, beta2, scale1, scale2, epsilon):
    """Update both means; param -= lr * scale1 * mean / sqrt(epsilon + scale2 * mean_square)."""
    rest1, rest2, rate = ONE - beta1, ONE - beta2, lr * scale1
    for i in range(param.size):
        g = grad[i]
        m = beta1 * mean[i] + rest1 * g
        v = beta2 * mean_square[i] + rest2 * (g * g)
        mean[i] = m
        mean_square[i] = v
        param[i] -= rate * m / np.sqrt(epsilon + scale2 * v)
