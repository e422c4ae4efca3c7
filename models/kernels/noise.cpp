// Random numbers of addressed streams, those of devices/noise.py; normal ones but for the last bits.
//
// Philox4x32-10 gives their words, the Box-Muller transform normal numbers; noise.py names the
// sources. The logarithm of x = 2^e m is computed by the series of 2 artanh((m - 1) / (m + 1)), sine
// and cosine by their Taylor series on an eighth of a turn; each is exact up to the rounding of a
// float.

#include <cmath>
#include <cstdint>

#include "operator.h"
#include "philox.h"
#include "vectors.h"

namespace {

constexpr int BLOCKS = 32;  // Philox blocks at once; the compiler vectorises the loops over them
constexpr int QUARTERS = 4;  // parts of the result; each block gives one number to each part

inline float log_of(float x) {  // for a positive number that is not denormal
    union { float f; uint32_t u; } bits = {x};
    // m lies between sqrt(1/2) and sqrt(2).
    const int32_t exponent = int32_t(bits.u - 0x3F3504F3u) >> 23;
    bits.u -= uint32_t(exponent) << 23;
    const float t = (bits.f - 1.0f) / (bits.f + 1.0f), s = t * t;
    const float series = 2.0f + s * (2.0f / 3 + s * (2.0f / 5 + s * (2.0f / 7 + s * (2.0f / 9))));
    return exponent * 0.693147181f + t * series;
}

inline void normal_pair(uint32_t a, uint32_t b, float &first, float &second) {
    const float radius = std::sqrt(-2.0f * log_of((float(a) + 0.5f) * 0x1p-32f));
    // The angle, b / 2^32 of a turn, is the nearest quarter turn plus a remainder within an eighth.
    const uint32_t quarter = (b + 0x20000000u) >> 30;
    const float r = float(int32_t(b - (quarter << 30))) * float(2 * M_PI * 0x1p-32), s = r * r;
    const float sine = r * (1 + s * (-1.0f / 6 + s * (1.0f / 120 + s * (-1.0f / 5040))));
    const float cosine =
        1 + s * (-0.5f + s * (1.0f / 24 + s * (-1.0f / 720 + s * (1.0f / 40320))));
    const float x = quarter & 1 ? sine : cosine, y = quarter & 1 ? cosine : sine;
    first = radius * (quarter == 1 || quarter == 2 ? -x : x);
    second = radius * (quarter >= 2 ? -y : y);
}

// The normal numbers [quarter, block] of BLOCKS blocks of a stream. This is not inlined, since here
// the compiler may use fused multiply-add, and below it may not.
__attribute__((noinline)) void normal_blocks(uint32_t first_block, uint32_t step, uint32_t purpose,
                                             uint32_t part, uint64_t seed,
                                             float (&number)[QUARTERS][BLOCKS]) {
    uint64_t word[4][BLOCKS];
    philox(first_block, step, purpose, part, seed, word);
    for (int b = 0; b < BLOCKS; b++)
        normal_pair(word[0][b], word[1][b], number[0][b], number[1][b]);
    for (int b = 0; b < BLOCKS; b++)
        normal_pair(word[2][b], word[3][b], number[2][b], number[3][b]);
}

}  // namespace

// From here on, products and sums are rounded separately.
#include "arithmetic.h"

namespace {

// Values, and for each network the standard deviation of the noise that is added to them; both are
// null if the noise alone is wanted.
struct Values {
    const float *value, *sigma;
};

// Writes n numbers of a network, or its values plus noise, to the result from number `at` on.
inline void put(const float *number, Values values, int64_t model, int64_t at, int64_t n,
                float *result) {
    for (int64_t i = 0; i < n; i++)
        result[at + i] = values.value ? values.value[at + i] + values.sigma[model] * number[i]
                                      : number[i];
}

// result [models, count]: normal numbers, or values plus normal noise. The numbers are four quarters
// of ceil(count / 4), the last one cut off; number b of each quarter comes from block b.
void normal(const int64_t *seed, int64_t models, int64_t step, int64_t purpose, int64_t part,
            int64_t count, Values values, float *result, int threads) {
    const int64_t quarter = (count + 3) / 4, groups = (quarter + BLOCKS - 1) / BLOCKS;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t work = 0; work < models * groups; work++) {
        const int64_t model = work / groups, first = work % groups * BLOCKS;
        float number[QUARTERS][BLOCKS];
        normal_blocks(first, step, purpose, part, seed[model], number);
        for (int q = 0; q < QUARTERS; q++) {
            const int64_t start = q * quarter + first;
            int64_t n = count - start < BLOCKS ? count - start : BLOCKS;
            if (quarter - first < n) n = quarter - first;
            if (n == BLOCKS)  // a constant length makes it a few instructions
                put(number[q], values, model, model * count + start, BLOCKS, result);
            else
                put(number[q], values, model, model * count + start, n, result);
        }
    }
}

Tensor normal_of(Tensor seed, Tensor step, Tensor part, int64_t purpose, int64_t count) {
    const int64_t models = seed.size(0);
    Tensor result = Tensor::empty({models, count});
    normal(seed.data<int64_t>(), models, *step.data<int64_t>(), purpose, *part.data<int64_t>(),
           count, {}, result.data(), threads());
    return result;
}

// values [models, count], sigma [models]: the standard deviation of the noise.
Tensor noisy_of(Tensor seed, Tensor step, Tensor part, int64_t purpose, Tensor values,
                Tensor sigma) {
    const int64_t models = values.size(0), count = values.size(1);
    require(seed.size(0) == models && sigma.size(0) == models);
    Tensor result = Tensor::empty({models, count});
    normal(seed.data<int64_t>(), models, *step.data<int64_t>(), purpose, *part.data<int64_t>(),
           count, {values.data(), sigma.data()}, result.data(), threads());
    return result;
}

// result [models, n_outputs, n_inputs]: U(0, 1) numbers. Row b n_inputs + i of the stream holds those
// of outputs 32 b to 32 b + 31 at input i.
Tensor uniform_by_blocks(Tensor seed, Tensor step, Tensor part, int64_t purpose, int64_t n_outputs,
                         int64_t n_inputs) {
    const int64_t models = seed.size(0), rows = (n_outputs + ROW - 1) / ROW * n_inputs;
    const int n_threads = threads();
    Tensor result = Tensor::empty({models, n_outputs, n_inputs});
#pragma omp parallel for num_threads(n_threads) if (n_threads > 1) schedule(static)
    for (int64_t work = 0; work < models * rows; work++) {
        const int64_t model = work / rows, row = work % rows;
        const int64_t first = row / n_inputs * ROW, rest = n_outputs - first;
        float number[ROW];
        draw_row(row, *step.data<int64_t>(), purpose, *part.data<int64_t>(),
                 seed.data<int64_t>()[model], number);
        float *target = result.data() + (model * n_outputs + first) * n_inputs + row % n_inputs;
        for (int64_t o = 0; o < ROW && o < rest; o++) target[o * n_inputs] = number[o];
    }
    return result;
}

}  // namespace

OPERATORS(as_operator<normal_of>("normal"), as_operator<noisy_of>("noisy"),
          as_operator<uniform_by_blocks>("uniform_by_blocks"))
