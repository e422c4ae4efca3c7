// Products of the first layer with what is lit alone: see sparse_matmul.py.

#include <memory>

#include "sparse.h"

// Of both: the first four are Lists; n_out are the outputs of a model, of which the last block may
// hold fewer than 32.

// Rows are images. weight [model, block, k, 32], result [model, n_out, rows].
extern "C" void sparse_voltage(const int32_t *offset, const int32_t *row, const int32_t *column,
                               const float *value, const float *weight, float *result,
                               int64_t models, int64_t rows, int64_t k, int64_t n_out,
                               int threads) {
    const int64_t blocks = (n_out + BLOCK - 1) / BLOCK, pairs = (rows + 1) / 2;
    const int64_t parts = parts_of(models * blocks, threads);
    const std::unique_ptr<float[]> images(new float[models * blocks * rows * BLOCK]);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (int64_t work = 0; work < models * blocks * parts; work++) {
            const float *dense = weight + work / parts * k * BLOCK;
            float *target = images.get() + work / parts * rows * BLOCK;
            multiply_pairs({offset, row, column, value}, dense, work % parts * pairs / parts,
                           (work % parts + 1) * pairs / parts, [&](int64_t image, const float *sums) {
                               __builtin_memcpy(target + image * BLOCK, sums, BLOCK * sizeof(float));
                           });
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < models * blocks; i++) {
            const int64_t model = i / blocks, first = i % blocks * BLOCK;
            const int64_t outputs = n_out - first < BLOCK ? n_out - first : BLOCK;
            transpose(images.get() + i * rows * BLOCK, rows, BLOCK,
                      result + (model * n_out + first) * rows, outputs, rows);
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
        multiply_pairs({offset, row, column, value}, dense, work % parts * pairs / parts,
                       (work % parts + 1) * pairs / parts, [&](int64_t input, const float *sums) {
                           __builtin_memcpy(target + input * BLOCK, sums, BLOCK * sizeof(float));
                       });
    }
}
