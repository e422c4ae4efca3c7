// Transposes matrices square by square in the processor's vector registers; number by number would
// take four times as long.

#pragma once

#include <cstdint>
#include <utility>

#include "vectors.h"

namespace {

// A step of a transposition, for two rows that are APART rows apart: lanes of the first row whose
// number has the bit APART are exchanged with lanes of the second row whose number lacks it.
template <int APART, int... lane>
inline void exchange(Vector &a, Vector &b, std::integer_sequence<int, lane...>) {
    const Vector first = SHUFFLED(a, b, (lane & APART ? LANES + lane - APART : lane)...);
    b = SHUFFLED(a, b, (lane & APART ? LANES + lane : lane + APART)...);
    a = first;
}

template <int APART>
inline void exchange_all(Vector (&rows)[LANES]) {
#pragma GCC unroll 16
    for (int r = 0; r < LANES; r++)
        if (!(r & APART))
            exchange<APART>(rows[r], rows[r + APART], std::make_integer_sequence<int, LANES>());
}

// Transposes a square of as many rows as a vector has lanes.
inline void transpose_square(const float *source, int64_t apart, float *target,
                             int64_t target_apart) {
    Vector rows[LANES];
#pragma GCC unroll 16
    for (int r = 0; r < LANES; r++) rows[r] = load(source + r * apart);
    exchange_all<1>(rows);
    exchange_all<2>(rows);
    exchange_all<4>(rows);
    if (LANES > 8) exchange_all<LANES / 2>(rows);
#pragma GCC unroll 16
    for (int r = 0; r < LANES; r++) store(target + r * target_apart, rows[r]);
}

// target [n, m] is the transpose of source [m, n]; apart, target_apart: numbers from row to row.
__attribute__((noinline)) void transpose(const float *source, int64_t m, int64_t apart,
                                         float *target, int64_t n, int64_t target_apart) {
    const int64_t whole_m = m / LANES * LANES, whole_n = n / LANES * LANES;
    for (int64_t j = 0; j < whole_n; j += LANES)
        for (int64_t i = 0; i < whole_m; i += LANES)
            transpose_square(source + i * apart + j, apart, target + j * target_apart + i,
                             target_apart);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = i < whole_m ? whole_n : 0; j < n; j++)
            target[j * target_apart + i] = source[i * apart + j];
}

}  // namespace
