// Random words of addressed streams by Philox4x32-10, equal to those of devices/noise.py, which names
// the source. The compiler vectorises over blocks, each of which gives four words.

#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <cstdint>
#include <utility>

#include "vectors.h"

namespace {

constexpr int ROUNDS = 10;
constexpr uint32_t MULTIPLIER[2] = {0xD2511F53u, 0xCD9E8D57u}, WEYL[2] = {0x9E3779B9u, 0xBB67AE85u};

// Words of 32 bits are stored in the lower halves of 64 bits: so a product is one instruction, and
// its upper half does not matter.
typedef uint64_t Words __attribute__((vector_size(BYTES)));
constexpr int WORDS = BYTES / sizeof(uint64_t);

inline Words product(Words a, uint32_t b) {  // the product of the lower halves
#ifdef __AVX512F__
    return Words(_mm512_mul_epu32(__m512i(a), _mm512_set1_epi64(b)));
#elif defined(__AVX2__)
    return Words(_mm256_mul_epu32(__m256i(a), _mm256_set1_epi64x(b)));
#else
    return (a & 0xFFFFFFFF) * b;
#endif
}

// The random words [4, block] of a number of blocks of a stream.
template <int BLOCKS>
inline void philox(uint32_t first_block, uint32_t step, uint32_t purpose, uint32_t part,
                   uint64_t seed, uint64_t (&word)[4][BLOCKS]) {
    constexpr int VECTORS = BLOCKS / WORDS;
    Words c[4][VECTORS];
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; v++) {
        for (int w = 0; w < WORDS; w++) c[0][v][w] = first_block + v * WORDS + w;
        c[1][v] = Words{} + step;
        c[2][v] = Words{} + purpose;
        c[3][v] = Words{} + part;
    }
    uint32_t key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < ROUNDS; round++) {
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) {
            const Words product0 = product(c[0][v], MULTIPLIER[0]);
            const Words product1 = product(c[2][v], MULTIPLIER[1]);
            c[0][v] = (product1 >> 32) ^ c[1][v] ^ key0;
            c[2][v] = (product0 >> 32) ^ c[3][v] ^ key1;
            c[1][v] = product1;
            c[3][v] = product0;
        }
        key0 += WEYL[0];
        key1 += WEYL[1];
    }
#pragma GCC unroll 4
    for (int w = 0; w < 4; w++)
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++)
            __builtin_memcpy(&word[w][v * WORDS], &c[w][v], sizeof(Words));
}

// The lower halves of twice as many words as a vector holds.
template <int... lane>
inline Integers lower_halves(const uint64_t *word, std::integer_sequence<int, lane...>) {
    Integers first, second;
    __builtin_memcpy(&first, word, sizeof(first));
    __builtin_memcpy(&second, word + WORDS, sizeof(second));
    return SHUFFLED(first, second, (2 * lane)...);
}

// Consecutive words as U(0, 1) numbers, (word + 1/2) / 2^32. Processors without AVX-512 convert no
// unsigned integers, so halves of 16 bits are converted; their sum alone is rounded.
inline Vector uniform_of(const uint64_t *word) {
    const Integers words = lower_halves(word, std::make_integer_sequence<int, LANES>());
    const Vector upper = __builtin_convertvector((words >> 16) & 0xFFFF, Vector);
    const Vector lower = __builtin_convertvector(words & 0xFFFF, Vector);
    return ((upper * 0x1p16f + lower) + 0.5f) * 0x1p-32f;
}

constexpr int ROW = 32;  // numbers that are drawn at once, those of 32 outputs at one input

// The U(0, 1) numbers of a row: the words of 8 consecutive blocks, the first words first.
inline void draw_row(uint32_t row, uint32_t step, uint32_t purpose, uint32_t part, uint64_t seed,
                     float (&number)[ROW]) {
    constexpr int WORDS_OF_BLOCK = 4, BLOCKS = ROW / WORDS_OF_BLOCK;
    uint64_t word[WORDS_OF_BLOCK][BLOCKS];
    philox(row * BLOCKS, step, purpose, part, seed, word);
#pragma GCC unroll 4
    for (int v = 0; v < ROW; v += LANES) store(number + v, uniform_of(&word[0][0] + v));
}

}  // namespace
