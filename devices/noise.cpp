// Normal numbers of addressed streams, the same as those of noise.py but for the last bits.
//
// Philox4x32-10 by counter, and the Box-Muller transform: see noise.py, where the sources stand.
// The logarithm is that of x = 2^e m by the series of 2 artanh((m - 1) / (m + 1)), sine and cosine
// their Taylor series on an eighth of a turn; each is exact to a float's rounding.

#include <cmath>
#include <cstdint>
#include <cstring>

#include "operator.h"

namespace {

constexpr int LANES = 32;  // blocks at once; the compiler makes vectors of the loops over them
constexpr int ROUNDS = 10;
constexpr uint32_t MULTIPLIER[2] = {0xD2511F53u, 0xCD9E8D57u}, WEYL[2] = {0x9E3779B9u, 0xBB67AE85u};

inline float log_of(float x) {  // of a positive number that is not denormal
    union { float f; uint32_t u; } bits = {x};
    // m from sqrt(1/2) to sqrt(2)
    const int32_t exponent = int32_t(bits.u - 0x3F3504F3u) >> 23;
    bits.u -= uint32_t(exponent) << 23;
    const float t = (bits.f - 1.0f) / (bits.f + 1.0f), s = t * t;
    const float series = 2.0f + s * (2.0f / 3 + s * (2.0f / 5 + s * (2.0f / 7 + s * (2.0f / 9))));
    return exponent * 0.693147181f + t * series;
}

inline void normal_pair(uint32_t a, uint32_t b, float &first, float &second) {
    const float radius = std::sqrt(-2.0f * log_of((float(a) + 0.5f) * 0x1p-32f));
    // The angle is b / 2^32 of a turn: the nearest quarter turn, and a remainder within an eighth.
    const uint32_t quarter = (b + 0x20000000u) >> 30;
    const float r = float(int32_t(b - (quarter << 30))) * float(2 * M_PI * 0x1p-32), s = r * r;
    const float sine = r * (1 + s * (-1.0f / 6 + s * (1.0f / 120 + s * (-1.0f / 5040))));
    const float cosine =
        1 + s * (-0.5f + s * (1.0f / 24 + s * (-1.0f / 720 + s * (1.0f / 40320))));
    const float x = quarter & 1 ? sine : cosine, y = quarter & 1 ? cosine : sine;
    first = radius * (quarter == 1 || quarter == 2 ? -x : x);
    second = radius * (quarter >= 2 ? -y : y);
}

// Words of 32 bits in the lower halves: so a product is one instruction, and what it leaves above
// is in nobody's way.
struct Lanes { uint64_t word[4][LANES]; };

void philox(uint32_t first_block, uint32_t step, uint32_t purpose, uint32_t part, uint64_t seed,
            Lanes &c) {
    for (int l = 0; l < LANES; l++) {
        c.word[0][l] = uint32_t(first_block + l);
        c.word[1][l] = step;
        c.word[2][l] = purpose;
        c.word[3][l] = part;
    }
    uint32_t key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
    for (int round = 0; round < ROUNDS; round++) {
        for (int l = 0; l < LANES; l++) {
            const uint64_t product0 = uint64_t(uint32_t(c.word[0][l])) * MULTIPLIER[0];
            const uint64_t product1 = uint64_t(uint32_t(c.word[2][l])) * MULTIPLIER[1];
            c.word[0][l] = (product1 >> 32) ^ c.word[1][l] ^ key0;
            c.word[2][l] = (product0 >> 32) ^ c.word[3][l] ^ key1;
            c.word[1][l] = product1;
            c.word[3][l] = product0;
        }
        key0 += WEYL[0];
        key1 += WEYL[1];
    }
}

// result [models, count]: four quarters of ceil(count / 4) numbers, the last one cut off, number b
// of each from block b of the stream.
void normal(const int64_t *seed, int64_t models, int64_t step, int64_t purpose, int64_t part,
            int64_t count, float *result, int threads) {
    const int64_t quarter = (count + 3) / 4, groups = (quarter + LANES - 1) / LANES;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t work = 0; work < models * groups; work++) {
        const int64_t model = work / groups, first = work % groups * LANES;
        Lanes words;
        float numbers[4][LANES];
        philox(first, step, purpose, part, seed[model], words);
        for (int l = 0; l < LANES; l++)
            normal_pair(words.word[0][l], words.word[1][l], numbers[0][l], numbers[1][l]);
        for (int l = 0; l < LANES; l++)
            normal_pair(words.word[2][l], words.word[3][l], numbers[2][l], numbers[3][l]);
        for (int q = 0; q < 4; q++) {
            const int64_t start = q * quarter + first;
            int64_t n = count - start < LANES ? count - start : LANES;
            if (quarter - first < n) n = quarter - first;
            float *target = result + model * count + start;
            if (n == LANES)  // of a known length, a copy is a few instructions
                std::memcpy(target, numbers[q], sizeof numbers[q]);
            else
                for (int64_t l = 0; l < n; l++) target[l] = numbers[q][l];
        }
    }
}

Tensor normal_of(Tensor seed, Tensor step, Tensor part, int64_t purpose, int64_t count) {
    const int64_t models = seed.size(0);
    Tensor result = Tensor::of({models, count});
    normal(seed.data<int64_t>(), models, *step.data<int64_t>(), purpose, *part.data<int64_t>(),
           count, result.data(), threads());
    return result;
}

const Operator<normal_of> registered("normal");

}  // namespace
