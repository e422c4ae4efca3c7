// A matrix of few entries, by pairs of its rows, times a dense one: an entry of a pair adds multiples
// of one row of the dense matrix to two rows of the result.
//
// What limits this are the vectors that come from the cache, so two rows that have much in common
// take turns with each of them. The dense matrix stands in blocks of 32 columns, each block
// contiguous, [block, k, 32]: the sums of two rows fit the processor's vector registers. Sums run in
// the order of the entries, whatever the number of threads.

#include <cstdint>
#include <vector>

#include "../devices/vectors.h"

namespace {

constexpr int BLOCK = 32;
constexpr int VECTORS = BLOCK / LANES;
constexpr int LINE = 64 / sizeof(float);  // of the cache
// Sums of even and of odd entries, where there are registers enough for both, so that an addition
// need not wait for the one before.
constexpr int SUMS = LANES == 16 ? 2 : 1;
typedef float Vector __attribute__((vector_size(BYTES), aligned(sizeof(float)), may_alias));

// A vector in a register: some compilers would rather read it from memory twice.
inline Vector held(const float *memory) {
    Vector vector = *reinterpret_cast<const Vector *>(memory);
#ifdef __x86_64__
    asm("" : "+v"(vector));
#endif
    return vector;
}

// Entry by entry, its column and the values in both rows: [2, 32], the two rows of the result.
inline void multiply_pair(const int32_t *column, const float *value, int count, const float *dense,
                          float *result) {
    Vector sums[SUMS][2][VECTORS] = {};
    int i = 0;
    for (; i + SUMS <= count; i += SUMS)
#pragma GCC unroll 2
        for (int s = 0; s < SUMS; s++) {
            const float *row = dense + int64_t(column[i + s]) * BLOCK;
            const float *values = value + 2 * (i + s);
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; v++) {
                const Vector vector = held(row + v * LANES);
                sums[s][0][v] += values[0] * vector;
                sums[s][1][v] += values[1] * vector;
            }
        }
    for (; i < count; i++) {
        const float *row = dense + int64_t(column[i]) * BLOCK, *values = value + 2 * i;
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) {
            const Vector vector = held(row + v * LANES);
            sums[0][0][v] += values[0] * vector;
            sums[0][1][v] += values[1] * vector;
        }
    }
#pragma GCC unroll 2
    for (int r = 0; r < 2; r++)
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) {
            Vector sum = sums[0][r][v];
            if (SUMS > 1) sum += sums[SUMS - 1][r][v];
            reinterpret_cast<Vector *>(result)[r * VECTORS + v] = sum;
        }
}

// target [n, m] from source [m, n], whose rows lie so many numbers apart. Not by the compiler's
// vectors: what it makes of this, gathers, takes several times as long.
__attribute__((noinline, optimize("no-tree-vectorize"))) void transpose(
    const float *source, int64_t m, int64_t apart, float *target, int64_t n, int64_t target_apart) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) target[j * target_apart + i] = source[i * apart + j];
}

// How many parts the pairs are divided into, so that there is work for every thread.
int64_t parts_of(int64_t items, int threads) { return (threads + items - 1) / items; }

}  // namespace

// Of both: offset [pairs + 1] says which of the entries, column and two values, are those of a pair,
// row [pairs, 2] which rows of the result it stands for, -1 for none; n_out are the outputs of a
// model, of which the last block may hold fewer than 32.

// Rows are images. weight [model, block, k, 32], result [model, n_out, rows].
extern "C" void sparse_voltage(const int32_t *offset, const int32_t *row, const int32_t *column,
                               const float *value, const float *weight, float *result,
                               int64_t models, int64_t rows, int64_t k, int64_t n_out,
                               int threads) {
    const int64_t blocks = (n_out + BLOCK - 1) / BLOCK, pairs = (rows + 1) / 2;
    const int64_t parts = parts_of(models * blocks, threads);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t work = 0; work < models * blocks * parts; work++) {
        const int64_t model = work / parts / blocks, block = work / parts % blocks;
        const float *dense = weight + (model * blocks + block) * k * BLOCK;
        const int64_t outputs = n_out - block * BLOCK < BLOCK ? n_out - block * BLOCK : BLOCK;
        float *target = result + (model * n_out + block * BLOCK) * rows;
        for (int64_t p = work % parts * pairs / parts; p < (work % parts + 1) * pairs / parts; p++) {
            float sums[2 * BLOCK];
            const int32_t begin = offset[p], count = offset[p + 1] - begin;
            multiply_pair(column + begin, value + 2 * begin, count, dense, sums);
            for (int r = 0; r < 2; r++)
                if (row[2 * p + r] >= 0)
                    transpose(sums + r * BLOCK, 1, BLOCK, target + row[2 * p + r], outputs, rows);
        }
    }
}

// Rows are inputs. gradient [model, n_out, k], k images; result [model, block, rows, 32].
extern "C" void sparse_gradient(const int32_t *offset, const int32_t *row, const int32_t *column,
                                const float *value, const float *gradient, float *result,
                                int64_t models, int64_t rows, int64_t k, int64_t n_out,
                                int threads) {
    const int64_t blocks = (n_out + BLOCK - 1) / BLOCK, pairs = (rows + 1) / 2;
    const int64_t parts = parts_of(models * blocks, threads);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t work = 0; work < models * blocks * parts; work++) {
        const int64_t model = work / parts / blocks, block = work / parts % blocks;
        const int64_t outputs = n_out - block * BLOCK < BLOCK ? n_out - block * BLOCK : BLOCK;
        const float *mine = gradient + (model * n_out + block * BLOCK) * k;
        // [k, 32], on a cache line's edge; zeros where there is no output
        std::vector<float> room(k * BLOCK + LINE);
        float *dense = room.data() + (LINE - uintptr_t(room.data()) / sizeof(float) % LINE) % LINE;
        transpose(mine, outputs, k, dense, k, BLOCK);
        float *target = result + (model * blocks + block) * rows * BLOCK;
        for (int64_t p = work % parts * pairs / parts; p < (work % parts + 1) * pairs / parts; p++) {
            float sums[2 * BLOCK];
            const int32_t begin = offset[p], count = offset[p + 1] - begin;
            multiply_pair(column + begin, value + 2 * begin, count, dense, sums);
            for (int r = 0; r < 2; r++)
                if (row[2 * p + r] >= 0)
                    __builtin_memcpy(target + int64_t(row[2 * p + r]) * BLOCK, sums + r * BLOCK,
                                     sizeof(float) * BLOCK);
        }
    }
}
