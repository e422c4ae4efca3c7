// Arithmetic with vectors as PyTorch does it with tensors, for formulas that expressions.py prints.
//
// From here to the end of a source that includes this header, products and sums are rounded
// separately: there is no fused multiply-add.

#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "vectors.h"

#ifdef __clang__
#pragma clang fp contract(off)
#else
#pragma GCC optimize("fp-contract=off")
#endif

inline Vector all(float number) { return Vector{} + number; }

inline Vector choose(Integers which, Vector yes, Vector no) { return which ? yes : no; }

inline Vector absolute(Vector x) { return Vector(Integers(x) & 0x7FFFFFFF); }

inline Vector clamped(Vector x, Vector least, Vector most) {  // a NaN stays a NaN
    x = choose(x < least, least, x);
    return choose(x > most, most, x);
}

inline Vector floored(Vector x) {
    const Vector whole = __builtin_convertvector(__builtin_convertvector(x, Integers), Vector);
    // From 2^23 on a number is whole; a NaN stays a NaN.
    return choose(absolute(x) < 0x1p23f, choose(whole > x, whole - 1.0f, whole), x);
}

inline Vector square_root(Vector x) {
    for (int l = 0; l < LANES; l++) x[l] = __builtin_sqrtf(x[l]);  // one instruction
    return x;
}

// For each row, a whole number, its entry in a column of a table of two columns.
inline Vector looked_up(const float *table, Vector row, int column) {
    const Integers index = __builtin_convertvector(row, Integers) * 2 + column;
#ifdef __AVX512F__
    return Vector(_mm512_i32gather_ps(__m512i(index), table, sizeof(float)));
#elif defined(__AVX2__)
    return Vector(_mm256_i32gather_ps(table, __m256i(index), sizeof(float)));
#else
    Vector found;
    for (int l = 0; l < LANES; l++) found[l] = table[index[l]];
    return found;
#endif
}

// e^x = 2^n e^r, where n is the whole number nearest to x / ln 2, and e^r is computed by its series.
// x is clamped to -87 to 88.
inline Vector exponential(Vector x) {
    const Vector shift = all(0x1.8p23f);  // so large that a sum with it is rounded to a whole number
    x = clamped(x, all(-87.0f), all(88.0f));
    const Vector n = (x * 0x1.715476p+0f + shift) - shift;
    // ln 2 is split into two parts, so that n times the first is exact.
    const Vector r = (x - n * 0x1.63p-1f) + n * 0x1.bd0106p-13f;
    const Vector series =
        1 / 2.0f + r * (1 / 6.0f + r * (1 / 24.0f + r * (1 / 120.0f + r * (1 / 720.0f +
        r * (1 / 5040.0f)))));
    const Integers exponent = __builtin_convertvector(n, Integers) + 127;
    return Vector(exponent << 23) * (1.0f + (r + r * r * series));
}
