// The gradient of the first layer and the update of its pairs in one pass, for sparse inputs: see
// sparse_update.py.
//
// The formulas of an update are in formulas.h, which formulas.py prints.

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "sparse.h"

namespace {

// This is not inlined, so that its sums are rounded as in sparse_matmul.cpp.
__attribute__((noinline)) void gradient_of(const Lists &lists, int64_t pair, const float *dense,
                                           float *result) {
    multiply_pair(lists, pair, dense, result);
}

}  // namespace

// From here on, products and sums are rounded separately.
#include "arithmetic.h"
#include "formulas.h"

namespace {

// The pairs of a block, each array [k, 32]. The last three, their wear, are null if not counted.
struct Pairs {
    float *w1, *w2;
    const float *slope1, *slope2;
    float *weight;
    double *pulses1, *pulses2;
    float *refreshes;
};

struct Counts {  // the counts of a block by lane; integers are negative, since true is -1
    Vector pulses = {};
    Integers writes = {}, dropped = {}, refreshes = {};
    Integers above = {};  // whether a pair that was written ended above the range
};

inline bool any(Integers which) {
#ifdef __AVX512F__
    return _mm512_test_epi32_mask(__m512i(which), __m512i(which));
#else
    typedef int64_t Half __attribute__((vector_size(BYTES / 2)));
    union { Integers whole; Half half[2]; } two = {which};
    const Half last = two.half[0] | two.half[1];
    return last[0] | last[1];
#endif
}

// Adds a vector to numbers of double precision.
inline void add(double *numbers, Vector vector) {
    typedef float Half __attribute__((vector_size(BYTES / 2)));
    typedef double Doubles __attribute__((vector_size(BYTES), aligned(sizeof(double)), may_alias));
    union { Vector whole; Half half[2]; } two = {vector};
    for (int h = 0; h < 2; h++)
        reinterpret_cast<Doubles *>(numbers)[h] += __builtin_convertvector(two.half[h], Doubles);
}

inline void add_wear(const Pairs &pairs, int64_t at, Vector pulses, Integers second) {
    add(pairs.pulses1 + at, choose(second, all(0.0f), pulses));
    add(pairs.pulses2 + at, choose(second, pulses, all(0.0f)));
}

// Whether an update without a pulse leaves a pair as it is: both devices are within their range, or
// one of them is used up and the other at the top. Other pairs are clamped and refreshed; they come
// from a switch of the field and from writes far beyond the end of the range. After an update such
// pairs are above the range, since a refresh leaves none below.
inline Integers is_in_range(const Constants &c, Vector w1, Vector w2) {
    const Integers inside =
        (w1 > c.lowest) & (w1 <= c.highest) & (w2 > c.lowest) & (w2 <= c.highest);
    return inside | ((w1 == c.lowest) & (w2 == c.w_max)) | ((w2 == c.lowest) & (w1 == c.w_max));
}

inline bool is_row_in_range(const Constants &c, const Pairs &pairs, int64_t at) {
    Integers outside = {};
    for (int v = 0; v < BLOCK; v += LANES)
        outside |= ~is_in_range(c, load(pairs.w1 + at + v), load(pairs.w2 + at + v));
    return !any(outside);
}

template <bool COUNTED>
inline void update_at(const Constants &c, const Pairs &pairs, Counts &counts, int64_t at,
                      Vector gradient, Vector written) {
    Vector w1, w2, weight;
    Integers refreshed;
    finish_update(c, load(pairs.w1 + at), load(pairs.w2 + at), load(pairs.slope1 + at),
                  load(pairs.slope2 + at), gradient, written, w1, w2, weight, refreshed);
    store(pairs.w1 + at, w1);
    store(pairs.w2 + at, w2);
    store(pairs.weight + at, weight);
    counts.above |= (w1 > c.highest) | (w2 > c.highest);
    if (!COUNTED) return;
    counts.refreshes += refreshed;
    float *refreshes = pairs.refreshes ? pairs.refreshes + at : nullptr;
    if (refreshes) store(refreshes, load(refreshes) - __builtin_convertvector(refreshed, Vector));
}

// Programs the pairs of one block on pairs of inputs `first` to `last`. gradient: the dense matrix
// of the block; in_range: whether an update without a pulse is known to leave all of them as they
// are.
template <bool COUNTED>
Counts program(const Constants &constants, const Pairs &pairs, const Lists &lists,
               const float *gradient, bool in_range, int64_t first, int64_t last) {
    const Constants c = constants;  // a copy, which the compiler knows no store to change
    Counts counts;
    for (int64_t p = first; p < last; p++) {
        const bool is_active = lists.has_entries(p);
        float sums[2 * BLOCK] = {};
        if (is_active) gradient_of(lists, p, gradient, sums);
        for (int r = 0; r < 2; r++) {
            if (lists.row[2 * p + r] < 0) continue;
            const int64_t at = int64_t(lists.row[2 * p + r]) * BLOCK;
            // An input that is always zero in the batch has no gradient.
            if (!is_active && (in_range || is_row_in_range(c, pairs, at))) continue;
            Vector g[VECTORS], voltage[VECTORS], pulses[VECTORS];
            Integers second[VECTORS], written = {};
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) {
                const int64_t i = at + v * LANES;
                Integers dropped;
                g[v] = load(sums + r * BLOCK + v * LANES);
                request(c, load(pairs.w1 + i), load(pairs.w2 + i), load(pairs.slope1 + i),
                        load(pairs.slope2 + i), g[v], voltage[v], pulses[v], second[v], dropped);
                written |= pulses[v] > 0.0f;
                if (!COUNTED) continue;
                counts.pulses += pulses[v];
                counts.writes += pulses[v] > 0.0f;
                counts.dropped += dropped;
            }
            if (!any(written) && (in_range || is_row_in_range(c, pairs, at))) continue;
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) {
                if (COUNTED && pairs.pulses1) add_wear(pairs, at + v * LANES, pulses[v], second[v]);
                Vector written;
                respond(c, voltage[v], pulses[v], written);
                update_at<COUNTED>(c, pairs, counts, at + v * LANES, g[v], written);
            }
        }
    }
    return counts;
}

// Programs all pairs. Rows of the lists are inputs; gradient [model, n_out, k] for k images.
// constants: [model, 1, 1]; tables: [model, cell, 2]; both in the order of Constants. w1, w2, slope1,
// slope2, weight, pulses1, pulses2, refreshes: [model, block, n_inputs, 32]. totals [model, 4], to
// which pulses, writes, dropped requests and refreshes are added. totals and wear are absent where
// nothing is counted. in_range [model, block]: whether an update without a pulse is known to leave
// all pairs of a block as they are.
void sparse_update(Tensor offsets, Tensor rows, Tensor columns, Tensor values, Tensor first,
                   Tensor gradient, std::vector<Tensor> constants, std::vector<Tensor> tables,
                   Tensor w1, Tensor w2, Tensor slope1, Tensor slope2,
                   Tensor weight, Tensor in_range, std::optional<Tensor> totals,
                   std::optional<Tensor> pulses1, std::optional<Tensor> pulses2,
                   std::optional<Tensor> refreshes, int64_t n_inputs) {
    const int64_t models = gradient.size(0), n_out = gradient.size(1), k = gradient.size(2);
    const int64_t blocks = (n_out + BLOCK - 1) / BLOCK, n_pairs = (n_inputs + 1) / 2;
    const int n_threads = threads();
    const int64_t parts = parts_of(models * blocks, n_threads), works = models * blocks * parts;
    const Lists lists = lists_from(offsets, rows, columns, values, first);
    std::vector<double> sums(totals ? works * 4 : 0);
    std::vector<char> ends_in_range(works);
    bool *block_in_range = in_range.data<bool>();
#pragma omp parallel for num_threads(n_threads) if (n_threads > 1) schedule(static)
    for (int64_t work = 0; work < works; work++) {
        const int64_t model = work / parts / blocks, block = work / parts % blocks;
        const int64_t outputs = n_out - block * BLOCK < BLOCK ? n_out - block * BLOCK : BLOCK;
        std::vector<float> room;
        const float *block_gradient = gradient.data() + (model * n_out + block * BLOCK) * k;
        const float *dense = dense_of(block_gradient, outputs, k, room);
        Constants c;
        for (int i = 0; i < NUMBERS; i++)
            reinterpret_cast<Vector *>(&c)[i] = all(constants[i].data()[model]);
        for (int i = 0; i < TABLES; i++)
            c.tables[i] = tables[i].data() + model * tables[i].size(1) * tables[i].size(2);
        const int64_t start = work / parts * n_inputs * BLOCK;
        auto here = [&](const Tensor &pairs) { return pairs.data() + start; };
        const Pairs pairs = {
            here(w1), here(w2), here(slope1), here(slope2), here(weight),
            pulses1 ? pulses1->data<double>() + start : nullptr,
            pulses2 ? pulses2->data<double>() + start : nullptr,
            refreshes ? here(*refreshes) : nullptr};
        const Counts counts = (totals ? program<true> : program<false>)(
            c, pairs, lists, dense, block_in_range[work / parts],
            work % parts * n_pairs / parts, (work % parts + 1) * n_pairs / parts);
        ends_in_range[work] = !any(counts.above);
        for (int l = 0; l < LANES && totals; l++) {
            sums[4 * work] += counts.pulses[l];
            sums[4 * work + 1] -= counts.writes[l];
            sums[4 * work + 2] -= counts.dropped[l];
            sums[4 * work + 3] -= counts.refreshes[l];
        }
    }
    for (int64_t block = 0; block < models * blocks; block++) {
        block_in_range[block] = true;
        for (int64_t part = 0; part < parts; part++)
            block_in_range[block] &= bool(ends_in_range[block * parts + part]);
    }
    for (int64_t i = 0; i < int64_t(sums.size()); i++)
        totals->data<double>()[i / 4 / parts / blocks * 4 + i % 4] += sums[i];
}

}  // namespace

OPERATORS(as_operator<sparse_update>(OPERATOR))
