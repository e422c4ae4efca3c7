// The product of a sparse matrix, which is listed by pairs of its rows, and a dense matrix: an entry
// of a pair adds multiples of one row of the dense matrix to two rows of the result.
//
// Speed is limited by vectors that are loaded from the cache, so two rows that have much in common
// share each load; and by multiplications, so entries of one row alone are listed apart. The dense
// matrix is stored in contiguous blocks of 32 columns, [block, k, 32], so that the sums of two rows
// fit into the processor's vector registers. Sums have the order of the entries, whatever the number
// of threads.

#pragma once

#include <cstdint>
#include <vector>

#include "operator.h"
#include "vectors.h"
#include "transpose.h"

namespace {

constexpr int BLOCK = 32;
constexpr int VECTORS = BLOCK / LANES;
constexpr int LINE = 64 / sizeof(float);  // numbers in a line of the cache
// If there are enough registers, even and odd entries have separate sums, so that an addition need
// not wait for the preceding one.
constexpr int SUMS = LANES == 16 ? 2 : 1;

// Loads a vector into a register; otherwise some compilers load it from memory twice.
inline Vector held(const float *memory) {
    Vector vector = load(memory);
#ifdef __AVX__
    asm("" : "+v"(vector));
#endif
    return vector;
}

typedef Vector Sums[SUMS][2][VECTORS];  // the sums of both rows of a pair

template <bool FIRST, bool SECOND>
inline void add_entry(Vector (&sums)[2][VECTORS], const float *row, const float *value) {
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; v++) {
        const Vector vector = FIRST && SECOND ? held(row + v * LANES) : load(row + v * LANES);
        if (FIRST) sums[0][v] += value[0] * vector;
        if (SECOND) sums[1][v] += value[1] * vector;
    }
}

// Adds entries `first` to `last`: for each its column, and its values in those rows that have it.
template <bool FIRST, bool SECOND>
inline void add_entries(Sums &sums, const int32_t *column, const float *value, int first, int last,
                        const float *dense) {
    int i = first;
    for (; i + SUMS <= last; i += SUMS)
#pragma GCC unroll 2
        for (int s = 0; s < SUMS; s++)
            add_entry<FIRST, SECOND>(sums[s], dense + int64_t(column[i + s]) * BLOCK,
                                     value + 2 * int64_t(i + s));
    for (; i < last; i++)
        add_entry<FIRST, SECOND>(sums[0], dense + int64_t(column[i]) * BLOCK,
                                 value + 2 * int64_t(i));
}

// The entries of pairs of rows, each with a column and two values. offset [3 pairs + 1]: where the
// entries of a pair begin: those of both rows, of the first alone, and of the second alone;
// row [pairs, 2]: the rows of the result to which a pair belongs, -1 for none.
struct Lists {
    const int32_t *offset, *row, *column;
    const float *value;

    bool has_entries(int64_t pair) const { return offset[3 * pair] < offset[3 * pair + 3]; }
};

// The lists in the tensors of PairedRows, from pair `first` on, which is a scalar tensor.
inline Lists lists_from(const Tensor &offsets, const Tensor &rows, const Tensor &columns,
                        const Tensor &values, const Tensor &first) {
    const int64_t number = *first.data<int64_t>();
    return {offsets.data<int32_t>() + 3 * number, rows.data<int32_t>() + 2 * number,
            columns.data<int32_t>(), values.data()};
}

// Multiplies the entries of a pair: [2, 32], two rows of the result.
inline void multiply_pair(const Lists &lists, int64_t pair, const float *dense, float *result) {
    Sums sums = {};
    const int32_t *at = lists.offset + 3 * pair;
    add_entries<true, true>(sums, lists.column, lists.value, at[0], at[1], dense);
    add_entries<true, false>(sums, lists.column, lists.value, at[1], at[2], dense);
    add_entries<false, true>(sums, lists.column, lists.value, at[2], at[3], dense);
#pragma GCC unroll 2
    for (int r = 0; r < 2; r++)
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) {
            Vector sum = sums[0][r][v];
            if (SUMS > 1) sum += sums[SUMS - 1][r][v];
            store(result + r * BLOCK + v * LANES, sum);
        }
}

// Multiplies the entries of pairs `first` to `last`, into rows of result [row, 32].
inline void multiply_pairs(const Lists &lists, const float *dense, int64_t first, int64_t last,
                           float *result) {
    for (int64_t p = first; p < last; p++) {
        float sums[2 * BLOCK];
        multiply_pair(lists, p, dense, sums);
        for (int r = 0; r < 2; r++)
            if (lists.row[2 * p + r] >= 0)
                __builtin_memcpy(result + int64_t(lists.row[2 * p + r]) * BLOCK, sums + r * BLOCK,
                                 BLOCK * sizeof(float));
    }
}

// Copies a gradient [outputs, k] to `room` as the dense matrix of a block, [k, 32], which begins on
// a line of the cache; columns beyond the outputs are zero.
inline const float *dense_of(const float *gradient, int64_t outputs, int64_t k,
                             std::vector<float> &room) {
    room.assign(k * BLOCK + LINE, 0.0f);
    float *dense = room.data() + (LINE - uintptr_t(room.data()) / sizeof(float) % LINE) % LINE;
    transpose(gradient, outputs, k, dense, k, BLOCK);
    return dense;
}

// The number of parts into which the pairs are divided, so that every thread has work.
inline int64_t parts_of(int64_t items, int threads) { return (threads + items - 1) / items; }

}  // namespace
