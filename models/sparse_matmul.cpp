// Products of the first layer with what is lit alone: see sparse_matmul.py.

#include "sparse.h"

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
            const int64_t begin = offset[p], count = offset[p + 1] - begin;
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
        std::vector<float> room;
        const float *mine = gradient + (model * n_out + block * BLOCK) * k;
        const float *dense = dense_of(mine, outputs, k, room);
        float *target = result + (model * blocks + block) * rows * BLOCK;
        for (int64_t p = work % parts * pairs / parts; p < (work % parts + 1) * pairs / parts; p++) {
            float sums[2 * BLOCK];
            const int64_t begin = offset[p], count = offset[p + 1] - begin;
            multiply_pair(column + begin, value + 2 * begin, count, dense, sums);
            for (int r = 0; r < 2; r++)
                if (row[2 * p + r] >= 0)
                    __builtin_memcpy(target + int64_t(row[2 * p + r]) * BLOCK, sums + r * BLOCK,
                                     sizeof(float) * BLOCK);
        }
    }
}
