// Dense products with few outputs, as the last layer has, for which a library spends more time on
// the call than on the product.
//
// A block of the result stays in the processor's vector registers while its sums are computed. Their
// order does not depend on the number of threads.

#include <cstdint>
#include <vector>

#include "operator.h"
#include "vectors.h"

namespace {

constexpr int ROWS = 5, VECTORS = 2;  // of a block: ten sums, which leaves registers for factors
constexpr int DOT_ROWS = LANES == 16 ? 5 : 2, DOTS = 4;  // of a block of dot products
constexpr int64_t MIN_PARALLEL = 1 << 22;  // multiplications; with fewer, threads do not pay

typedef float Four __attribute__((vector_size(16)));

// The lanes, added half by half until four are left.
inline Four four_of(Vector lanes) {
    typedef float Half __attribute__((vector_size(BYTES / 2)));
    union { Vector whole; Half half[2]; } two = {lanes};
    union { Half whole; Four four[BYTES / 32]; } last = {two.half[0] + two.half[1]};
    return BYTES > 32 ? last.four[0] + last.four[BYTES / 32 - 1] : last.four[0];
}

// The sum of all lanes of each vector, added half by half.
inline Four sums_of(const Vector (&lanes)[DOTS]) {
    const Four a = four_of(lanes[0]), b = four_of(lanes[1]);
    const Four c = four_of(lanes[2]), d = four_of(lanes[3]);
    const Four ab = SHUFFLED(a, b, 0, 4, 1, 5) + SHUFFLED(a, b, 2, 6, 3, 7);
    const Four cd = SHUFFLED(c, d, 0, 4, 1, 5) + SHUFFLED(c, d, 2, 6, 3, 7);
    return SHUFFLED(ab, cd, 0, 1, 4, 5) + SHUFFLED(ab, cd, 2, 3, 6, 7);
}

// A block of R rows and V vectors of columns; elements of `a` are (a_row, a_step) apart in memory.
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

// A block of up to ROWS rows.
template <int V>
inline void band_of_rows(const float *a, int64_t a_row, int64_t a_step, const float *b,
                         int64_t b_row, int64_t rows, int64_t k, float *result, int64_t apart) {
    if (rows == ROWS)
        return block_of_rows<ROWS, V>(a, a_row, a_step, b, b_row, k, result, apart);
    for (int64_t r = 0; r < rows; r++)
        block_of_rows<1, V>(a + r * a_row, a_row, a_step, b, b_row, k, result + r * apart, apart);
}

// Adds the terms from number `first` on, which are too few for a vector. This is not inlined, since
// the compiler would then prepare for it in every block.
template <int C>
__attribute__((noinline)) void add_rest(const float *a, const float *b, int64_t k, int64_t first,
                                        Four &sums) {
    for (int c = 0; c < C; c++)
        for (int64_t i = first; i < k; i++) sums[c] += a[i] * b[c * k + i];
}

// A block of R rows and C columns of the result: dot products of rows of a and of b.
template <int R, int C>
inline void block_of_dots(const float *a, const float *b, int64_t k, float *result, int64_t n) {
    Vector sums[R][DOTS] = {};
    int64_t i = 0;
    for (; i + LANES <= k; i += LANES)
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
#pragma GCC unroll 8
            for (int c = 0; c < C; c++)
                sums[r][c] += *reinterpret_cast<const Stored *>(a + r * k + i) *
                              *reinterpret_cast<const Stored *>(b + c * k + i);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        Four whole = sums_of(sums[r]);
        if (i < k) add_rest<C>(a + r * k, b, k, i, whole);
        __builtin_memcpy(result + r * n, &whole, C * sizeof(float));
    }
}

// All rows of C columns of the result: dot products of rows of a and of b.
template <int C>
inline void band_of_dots(const float *a, const float *b, int64_t m, int64_t k, float *result,
                         int64_t n) {
    int64_t r = 0;
    for (; r + DOT_ROWS <= m; r += DOT_ROWS)
        block_of_dots<DOT_ROWS, C>(a + r * k, b, k, result + r * n, n);
    for (; r < m; r++) block_of_dots<1, C>(a + r * k, b, k, result + r * n, n);
}

// result [m, n] = a b, where b is [k, n]; elements of `a` are (a_row, a_step) apart in memory.
void product_by_rows(const float *a, int64_t a_row, int64_t a_step, const float *b, float *result,
                     int64_t m, int64_t k, int64_t n, int threads) {
    const int64_t bands = (m + ROWS - 1) / ROWS, whole = n / LANES * LANES, rest = n - whole;
    std::vector<float> last(rest > 0 ? k * LANES : 0);  // the last columns of b, with zeros
    for (int64_t i = 0; rest > 0 && i < k; i++)
        for (int64_t j = 0; j < rest; j++) last[i * LANES + j] = b[i * n + whole + j];
#pragma omp parallel for num_threads(threads) if (threads > 1 && m * k * n > MIN_PARALLEL) schedule(static)
    for (int64_t band = 0; band < bands; band++) {
        const int64_t first = band * ROWS, rows = m - first < ROWS ? m - first : ROWS;
        const float *rows_of_a = a + first * a_row;
        float *target = result + first * n;
        int64_t j = 0;
        for (; j + VECTORS * LANES <= n; j += VECTORS * LANES)
            band_of_rows<VECTORS>(rows_of_a, a_row, a_step, b + j, n, rows, k, target + j, n);
        if (j + LANES <= n)
            band_of_rows<1>(rows_of_a, a_row, a_step, b + j, n, rows, k, target + j, n);
        if (rest > 0) {
            float filled[ROWS * LANES];
            band_of_rows<1>(rows_of_a, a_row, a_step, last.data(), LANES, rows, k, filled, LANES);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t c = 0; c < rest; c++) target[r * n + whole + c] = filled[r * LANES + c];
        }
    }
}

// result [m, n] = a b^T, where a is [m, k] and b is [n, k].
void product_by_dots(const float *a, const float *b, float *result, int64_t m, int64_t k, int64_t n,
                     int threads) {
    const int64_t whole = n / DOTS;
#pragma omp parallel for num_threads(threads) if (threads > 1 && m * k * n > MIN_PARALLEL) schedule(static)
    for (int64_t band = 0; band < whole; band++)
        band_of_dots<DOTS>(a, b + band * DOTS * k, m, k, result + band * DOTS, n);
    for (int64_t column = whole * DOTS; column < n; column++)
        band_of_dots<1>(a, b + column * k, m, k, result + column, n);
}

// Numbers [models, rows, columns], contiguous in this order. If a compiled program has stored them
// in another order, they are copied to `room`.
const float *in_order(const Tensor &numbers, std::vector<float> &room) {
    const int64_t models = numbers.size(0), rows = numbers.size(1), columns = numbers.size(2);
    const int64_t apart[] = {numbers.stride(0), numbers.stride(1), numbers.stride(2)};
    const float *data = numbers.data();
    if ((apart[2] == 1 || columns == 1) && (apart[1] == columns || rows == 1) &&
        (apart[0] == rows * columns || models == 1))
        return data;
    room.reserve(models * rows * columns);
    for (int64_t model = 0; model < models; model++)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < columns; c++)
                room.push_back(data[model * apart[0] + r * apart[1] + c * apart[2]]);
    return room.data();
}

Tensor small_product(Tensor a, Tensor b) {
    const int64_t models = a.size(0), m = a.size(1), k = a.size(2), n = b.size(2);
    require(b.size(0) == models && b.size(1) == k);
    std::vector<float> room;
    const float *factor = in_order(b, room);
    Tensor result = Tensor::empty({models, m, n});
    for (int64_t model = 0; model < models; model++)
        product_by_rows(a.data() + model * a.stride(0), a.stride(1), a.stride(2),
                        factor + model * k * n, result.data() + model * m * n, m, k, n, threads());
    return result;
}

Tensor small_product_transposed(Tensor a, Tensor b) {
    const int64_t models = a.size(0), m = a.size(1), k = a.size(2), n = b.size(1);
    require(b.size(0) == models && b.size(2) == k);
    std::vector<float> room_of_a, room_of_b;
    const float *left = in_order(a, room_of_a), *right = in_order(b, room_of_b);
    Tensor result = Tensor::empty({models, m, n});
    for (int64_t model = 0; model < models; model++)
        product_by_dots(left + model * m * k, right + model * n * k,
                        result.data() + model * m * n, m, k, n, threads());
    return result;
}

}  // namespace

OPERATORS(as_operator<small_product>("small_product"),
          as_operator<small_product_transposed>("small_product_transposed"))
