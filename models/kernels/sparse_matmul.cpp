// Products of the first layer over the inputs that are not zero: see sparse_matmul.py.

#include "sparse.h"

namespace {

// The voltages: rows are images. weight [model, block, k, 32], where the last block may have fewer
// than 32 outputs; result [model, n_out, rows].
void multiply_images(const Lists &lists, const float *weight, float *result, int64_t models,
                     int64_t rows, int64_t k, int64_t n_out, int threads) {
    const int64_t blocks = (n_out + BLOCK - 1) / BLOCK, pairs = (rows + 1) / 2;
    const int64_t parts = parts_of(models * blocks, threads);
    const Tensor images = Tensor::empty({models, blocks, rows, BLOCK});
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (int64_t work = 0; work < models * blocks * parts; work++) {
            const float *dense = weight + work / parts * k * BLOCK;
            float *target = images.data() + work / parts * rows * BLOCK;
            multiply_pairs(lists, dense, work % parts * pairs / parts,
                           (work % parts + 1) * pairs / parts, target);
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < models * blocks; i++) {
            const int64_t model = i / blocks, first = i % blocks * BLOCK;
            const int64_t outputs = n_out - first < BLOCK ? n_out - first : BLOCK;
            transpose(images.data() + i * rows * BLOCK, rows, BLOCK,
                      result + (model * n_out + first) * rows, outputs, rows);
        }
    }
}

// The gradient: rows are inputs. gradient [model, n_out, k] for k images; result
// [model, block, rows, 32].
void multiply_inputs(const Lists &lists, const float *gradient, float *result, int64_t models,
                     int64_t rows, int64_t k, int64_t n_out, int threads) {
    const int64_t blocks = (n_out + BLOCK - 1) / BLOCK, pairs = (rows + 1) / 2;
    const int64_t parts = parts_of(models * blocks, threads);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t work = 0; work < models * blocks * parts; work++) {
        const int64_t model = work / parts / blocks, block = work / parts % blocks;
        const int64_t outputs = n_out - block * BLOCK < BLOCK ? n_out - block * BLOCK : BLOCK;
        std::vector<float> room;
        const float *block_gradient = gradient + (model * n_out + block * BLOCK) * k;
        const float *dense = dense_of(block_gradient, outputs, k, room);
        multiply_pairs(lists, dense, work % parts * pairs / parts,
                       (work % parts + 1) * pairs / parts, result + work / parts * rows * BLOCK);
    }
}

Tensor sparse_voltage(Tensor offsets, Tensor rows, Tensor columns, Tensor values, Tensor first,
                      int64_t n_rows, Tensor weight, int64_t k, int64_t n_outputs) {
    const int64_t models = weight.size(0);
    Tensor result = Tensor::empty({models, n_outputs, n_rows});
    multiply_images(lists_from(offsets, rows, columns, values, first), weight.data(),
                    result.data(), models, n_rows, k, n_outputs, threads());
    return result;
}

Tensor sparse_gradient(Tensor offsets, Tensor rows, Tensor columns, Tensor values, Tensor first,
                       int64_t n_rows, Tensor gradient) {
    const int64_t models = gradient.size(0), n_outputs = gradient.size(1);
    Tensor result = Tensor::empty({models, (n_outputs + BLOCK - 1) / BLOCK * n_rows, BLOCK});
    multiply_inputs(lists_from(offsets, rows, columns, values, first), gradient.data(),
                    result.data(), models, n_rows, gradient.size(2), n_outputs, threads());
    return result;
}

}  // namespace

OPERATORS(as_operator<sparse_voltage>("sparse_voltage"),
          as_operator<sparse_gradient>("sparse_gradient"))
