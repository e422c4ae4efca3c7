// Dense products with few outputs, as the last layer has, where a library takes longer to begin
// than to multiply.
//
// A block of the result stands in the processor's vector registers while its sums run, in the same
// order whatever the number of threads.

#include <cstdint>

namespace {

#ifdef __AVX512F__
constexpr int BYTES = 64;
#else
constexpr int BYTES = 32;  // wider than the processor's, vectors do not stay in registers
#endif
constexpr int LANES = BYTES / sizeof(float);
constexpr int ROWS = 5, VECTORS = 2;  // of a block: ten sums, and room for what they are made of
constexpr int64_t ENOUGH = 1 << 22;   // multiplications that are worth another thread
typedef float Vector __attribute__((vector_size(BYTES), aligned(sizeof(float)), may_alias));

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
inline void block_of_rows(const float *a, int64_t a_row, int64_t a_step, const float *b, int64_t n,
                          int64_t k, float *result) {
    Vector sums[R][V] = {};
    for (int64_t i = 0; i < k; i++) {
        const Vector *values = reinterpret_cast<const Vector *>(b + i * n);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
#pragma GCC unroll 8
            for (int v = 0; v < V; v++) sums[r][v] += a[r * a_row + i * a_step] * values[v];
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) reinterpret_cast<Vector *>(result + r * n)[v] = sums[r][v];
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
                sums[r][c] += *reinterpret_cast<const Vector *>(a + r * k + i) *
                              *reinterpret_cast<const Vector *>(b + c * k + i);
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) {
            float sum = sum_of(sums[r][c]);
            for (int64_t j = i; j < k; j++) sum += a[r * k + j] * b[c * k + j];
            result[r * n + c] = sum;
        }
}

}  // namespace

// result [m, n] = a b. a's elements lie (a_row, a_step) apart; b [k, n].
extern "C" void product_by_rows(const float *a, int64_t a_row, int64_t a_step, const float *b,
                                float *result, int64_t m, int64_t k, int64_t n, int threads) {
    const int64_t bands = (m + ROWS - 1) / ROWS;
#pragma omp parallel for num_threads(threads) if (threads > 1 && m * k * n > ENOUGH) schedule(static)
    for (int64_t band = 0; band < bands; band++) {
        const int64_t first = band * ROWS, rows = m - first < ROWS ? m - first : ROWS;
        const float *mine = a + first * a_row;
        float *target = result + first * n;
        int64_t j = 0;
        for (; j + VECTORS * LANES <= n; j += VECTORS * LANES) {
            if (rows == ROWS) {
                block_of_rows<ROWS, VECTORS>(mine, a_row, a_step, b + j, n, k, target + j);
                continue;
            }
            for (int64_t r = 0; r < rows; r++)
                block_of_rows<1, VECTORS>(mine + r * a_row, a_row, a_step, b + j, n, k,
                                          target + r * n + j);
        }
        for (; j < n; j++)
            for (int64_t r = 0; r < rows; r++) {
                float sum = 0;
                for (int64_t i = 0; i < k; i++) sum += mine[r * a_row + i * a_step] * b[i * n + j];
                target[r * n + j] = sum;
            }
    }
}

// result [m, n] = a b^T. a [m, k], b [n, k].
extern "C" void product_by_dots(const float *a, const float *b, float *result, int64_t m, int64_t k,
                                int64_t n, int threads) {
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
