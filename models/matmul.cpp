// Dense products with few outputs, as the last layer has, where a library takes longer to begin
// than to multiply.
//
// A block of the result stands in the processor's vector registers while its sums run, in the same
// order whatever the number of threads.

#include <cstdint>
#include <vector>

#include "../devices/operator.h"
#include "../devices/vectors.h"

namespace {

constexpr int ROWS = 5, VECTORS = 2;  // of a block: ten sums, and room for what they are made of
constexpr int64_t ENOUGH = 1 << 22;   // multiplications that are worth another thread

// The sum of all lanes, by halves.
inline float sum_of(Vector lanes) {
    typedef float Half __attribute__((vector_size(BYTES / 2)));
    typedef float Quarter __attribute__((vector_size(16)));
    union { Vector whole; Half half[2]; } two = {lanes};
    union { Half whole; Quarter quarter[BYTES / 32]; } four = {two.half[0] + two.half[1]};
    Quarter last = four.quarter[0];
    if (BYTES > 32) last += four.quarter[BYTES / 32 - 1];
    return (last[0] + last[2]) + (last[1] + last[3]);
}

// A block of as many rows and of V vectors of columns; a's elements lie (row, step) apart.
template <int R, int V>
inline void block_of_rows(const float *a, int64_t a_row, int64_t a_step, const float *b,
                          int64_t b_row, int64_t k, float *result, int64_t apart) {
    Vector sums[R][V] = {};
    for (int64_t i = 0; i < k; i++) {
        const Stored *values = reinterpret_cast<const Stored *>(b + i * b_row);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
#pragma GCC unroll 8
            for (int v = 0; v < V; v++) sums[r][v] += a[r * a_row + i * a_step] * values[v];
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) reinterpret_cast<Stored *>(result + r * apart)[v] = sums[r][v];
}

// As many rows as there are, up to ROWS.
template <int V>
inline void band_of_rows(const float *a, int64_t a_row, int64_t a_step, const float *b,
                         int64_t b_row, int64_t rows, int64_t k, float *result, int64_t apart) {
    if (rows == ROWS)
        return block_of_rows<ROWS, V>(a, a_row, a_step, b, b_row, k, result, apart);
    for (int64_t r = 0; r < rows; r++)
        block_of_rows<1, V>(a + r * a_row, a_row, a_step, b, b_row, k, result + r * apart, apart);
}

// A block of as many rows of the result and two columns, from rows of a and of b.
template <int R, int C>
inline void block_of_dots(const float *a, const float *b, int64_t k, float *result, int64_t n) {
    Vector sums[R][C] = {};
    int64_t i = 0;
    for (; i + LANES <= k; i += LANES)
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
#pragma GCC unroll 8
            for (int c = 0; c < C; c++)
                sums[r][c] += *reinterpret_cast<const Stored *>(a + r * k + i) *
                              *reinterpret_cast<const Stored *>(b + c * k + i);
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) {
            float sum = sum_of(sums[r][c]);
            for (int64_t j = i; j < k; j++) sum += a[r * k + j] * b[c * k + j];
            result[r * n + c] = sum;
        }
}

// result [m, n] = a b. a's elements lie (a_row, a_step) apart; b [k, n].
void product_by_rows(const float *a, int64_t a_row, int64_t a_step, const float *b, float *result,
                     int64_t m, int64_t k, int64_t n, int threads) {
    const int64_t bands = (m + ROWS - 1) / ROWS, whole = n / LANES * LANES, rest = n - whole;
    std::vector<float> last(rest > 0 ? k * LANES : 0);  // the last columns of b, filled up
    for (int64_t i = 0; rest > 0 && i < k; i++)
        for (int64_t j = 0; j < rest; j++) last[i * LANES + j] = b[i * n + whole + j];
#pragma omp parallel for num_threads(threads) if (threads > 1 && m * k * n > ENOUGH) schedule(static)
    for (int64_t band = 0; band < bands; band++) {
        const int64_t first = band * ROWS, rows = m - first < ROWS ? m - first : ROWS;
        const float *mine = a + first * a_row;
        float *target = result + first * n;
        int64_t j = 0;
        for (; j + VECTORS * LANES <= n; j += VECTORS * LANES)
            band_of_rows<VECTORS>(mine, a_row, a_step, b + j, n, rows, k, target + j, n);
        if (j + LANES <= n)
            band_of_rows<1>(mine, a_row, a_step, b + j, n, rows, k, target + j, n);
        if (rest > 0) {
            float filled[ROWS * LANES];
            band_of_rows<1>(mine, a_row, a_step, last.data(), LANES, rows, k, filled, LANES);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t c = 0; c < rest; c++) target[r * n + whole + c] = filled[r * LANES + c];
        }
    }
}

// result [m, n] = a b^T. a [m, k], b [n, k].
void product_by_dots(const float *a, const float *b, float *result, int64_t m, int64_t k, int64_t n,
                     int threads) {
    const int64_t pairs = (n + 1) / 2;
#pragma omp parallel for num_threads(threads) if (threads > 1 && m * k * n > ENOUGH) schedule(static)
    for (int64_t pair = 0; pair < pairs; pair++) {
        const int64_t column = pair * 2;
        const bool two = column + 1 < n;
        const float *mine = b + column * k;
        int64_t r = 0;
        for (; two && r + ROWS <= m; r += ROWS)
            block_of_dots<ROWS, 2>(a + r * k, mine, k, result + r * n + column, n);
        for (; r < m; r++) {
            if (two)
                block_of_dots<1, 2>(a + r * k, mine, k, result + r * n + column, n);
            else
                block_of_dots<1, 1>(a + r * k, mine, k, result + r * n + column, n);
        }
    }
}

Tensor small_product(Tensor a, Tensor b) {
    const int64_t m = a.size(0), k = a.size(1), n = b.size(1);
    Tensor result = Tensor::of({m, n});
    product_by_rows(a.data(), a.stride(0), a.stride(1), b.data(), result.data(), m, k, n,
                    threads());
    return result;
}

Tensor small_product_transposed(Tensor a, Tensor b) {
    const int64_t m = a.size(0), k = a.size(1), n = b.size(0);
    Tensor result = Tensor::of({m, n});
    product_by_dots(a.data(), b.data(), result.data(), m, k, n, threads());
    return result;
}

const Operator<small_product> by_rows("small_product");
const Operator<small_product_transposed> by_dots("small_product_transposed");

}  // namespace
