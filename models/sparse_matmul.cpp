// A matrix of few entries, row by row, times a dense one: every entry adds a multiple of a row.
//
// The dense matrix stands in blocks of 32 columns, each block contiguous, [block, k, 32]: the 32
// sums of a row fit the processor's vector registers, and what they are added up from the cache.
// Sums run in the order of the entries, whatever the number of threads.

#include <cstdint>
#include <vector>

#include "../devices/vectors.h"

namespace {

constexpr int BLOCK = 32;
constexpr int VECTORS = BLOCK / LANES;
constexpr int LINE = 64 / sizeof(float);  // of the cache
typedef float Vector __attribute__((vector_size(BYTES), aligned(sizeof(float)), may_alias));

// Two sums, of even and of odd entries, so that one addition need not wait for the one before.
void multiply_row(const int32_t *column, const float *value, int count, const float *dense,
                  float *result) {
    Vector even[VECTORS] = {}, odd[VECTORS] = {};
    int i = 0;
    for (; i + 1 < count; i += 2) {
        const Vector *a = reinterpret_cast<const Vector *>(dense + int64_t(column[i]) * BLOCK);
        const Vector *b = reinterpret_cast<const Vector *>(dense + int64_t(column[i + 1]) * BLOCK);
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) {
            even[v] += value[i] * a[v];
            odd[v] += value[i + 1] * b[v];
        }
    }
    if (i < count) {
        const Vector *a = reinterpret_cast<const Vector *>(dense + int64_t(column[i]) * BLOCK);
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) even[v] += value[i] * a[v];
    }
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; v++) reinterpret_cast<Vector *>(result)[v] = even[v] + odd[v];
}

// target [n, m] from source [m, n], whose rows lie so many numbers apart. Not by the compiler's
// vectors: what it makes of this, gathers, takes several times as long.
__attribute__((noinline, optimize("no-tree-vectorize"))) void transpose(
    const float *source, int64_t m, int64_t apart, float *target, int64_t n, int64_t target_apart) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) target[j * target_apart + i] = source[i * apart + j];
}

// How many parts the rows are divided into, so that there is work for every thread.
int64_t parts_of(int64_t items, int threads) { return (threads + items - 1) / items; }

}  // namespace

// Of both: offset [rows + 1] says which of the entries, column and value, are those of a row;
// n_out are the outputs of a model, of which the last block may hold fewer than 32.

// Rows are images. weight [model, block, k, 32], result [model, n_out, rows].
extern "C" void sparse_voltage(const int32_t *offset, const int32_t *column, const float *value,
                               const float *weight, float *result, int64_t models, int64_t rows,
                               int64_t k, int64_t n_out, int threads) {
    constexpr int64_t TILE = 64;  // images whose results are turned from [row, 32] to [32, row]
    const int64_t blocks = (n_out + BLOCK - 1) / BLOCK, tiles = (rows + TILE - 1) / TILE;
    const int64_t parts = parts_of(models * blocks, threads);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t work = 0; work < models * blocks * parts; work++) {
        const int64_t model = work / parts / blocks, block = work / parts % blocks;
        const float *dense = weight + (model * blocks + block) * k * BLOCK;
        const int64_t outputs = n_out - block * BLOCK < BLOCK ? n_out - block * BLOCK : BLOCK;
        float tile[TILE][BLOCK];
        for (int64_t t = work % parts * tiles / parts; t < (work % parts + 1) * tiles / parts; t++) {
            const int64_t first = t * TILE, n = rows - first < TILE ? rows - first : TILE;
            for (int64_t r = 0; r < n; r++) {
                const int32_t begin = offset[first + r], end = offset[first + r + 1];
                multiply_row(column + begin, value + begin, end - begin, dense, tile[r]);
            }
            transpose(tile[0], n, BLOCK, result + (model * n_out + block * BLOCK) * rows + first,
                      outputs, rows);
        }
    }
}

// Rows are inputs. gradient [model, n_out, k], k images; result [model, block, rows, 32].
extern "C" void sparse_gradient(const int32_t *offset, const int32_t *column, const float *value,
                                const float *gradient, float *result, int64_t models, int64_t rows,
                                int64_t k, int64_t n_out, int threads) {
    const int64_t blocks = (n_out + BLOCK - 1) / BLOCK;
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
        for (int64_t row = work % parts * rows / parts; row < (work % parts + 1) * rows / parts;
             row++) {
            const int32_t begin = offset[row], end = offset[row + 1];
            multiply_row(column + begin, value + begin, end - begin, dense,
                         target + row * BLOCK);
        }
    }
}
