// The gradient of the first layer and the update of its pairs in one pass, for sparse inputs: see
// sparse_update.py.
//
// The formulas of an update are in formulas.h, which formulas.py prints.

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "philox.h"
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

// The pairs of a block, each array [k, 32]. accumulator is null without one, noise and noise_up
// without write noise or a second device that is written. Arrays of their wear are null if it is not
// counted; raised1 and raised2, too, if no device is raised.
struct Pairs {
    float *w1, *w2;
    const float *slope1, *slope2;
    float *weight, *accumulator;
    double *pulses1, *pulses2;
    float *refreshes;
    double *raised1, *raised2;
    const float *noise, *noise_up;
};

struct Address {  // of the random numbers of a layer in one step
    uint64_t seed;
    uint32_t step, purpose;
};

struct Counts {  // the counts of a block by lane; integers are negative, since true is -1
    Vector pulses = {};
    Integers writes = {}, dropped = {}, refreshes = {};
    Integers outside = {};  // whether a pair that was written ended beyond the range
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

// Adds the pulses of an update to the wear of the devices. lowers: whether weights have to fall.
inline void add_wear(const Pairs &pairs, int64_t at, Vector pulses, Vector pulses_up,
                     Integers lowers) {
    const Vector none = all(0.0f);
    add(pairs.pulses2 + at, choose(lowers, pulses, none));
    if (WRITES_BOTH) {
        add(pairs.raised1 + at, choose(lowers, pulses_up, none));
        add(pairs.raised2 + at, choose(lowers, none, pulses_up));
    }
    if (WRITES_BOTH || REFRESHES)
        add(pairs.pulses1 + at, choose(lowers, none, pulses));
    else  // pairs with a reference, of which device 2 alone is driven
        add(pairs.raised2 + at, choose(lowers, none, pulses));
}

// Whether an update without a pulse leaves a pair as it is: both devices are within their range, or
// one of them is used up and the other at the top. Other pairs are clamped and refreshed; they come
// from a switch of the field, from write noise, and from writes far beyond the end of the range.
inline Integers is_in_range(const Constants &c, Vector w1, Vector w2) {
    const Integers inside =
        (w1 > c.lowest) & (w1 <= c.highest) & (w2 > c.lowest) & (w2 <= c.highest);
    return inside | ((w1 == c.lowest) & (w2 == c.w_max)) | ((w2 == c.lowest) & (w1 == c.w_max));
}

inline bool is_row_in_range(const Constants &c, const Pairs &pairs, int64_t at) {
    if (!REFRESHES) return true;  // each write clamps
    Integers outside = {};
    for (int v = 0; v < BLOCK; v += LANES)
        outside |= ~is_in_range(c, load(pairs.w1 + at + v), load(pairs.w2 + at + v));
    return !any(outside);
}

template <bool COUNTED>
inline void write_at(const Constants &c, const Pairs &pairs, Counts &counts, int64_t at,
                     Integers lowers, Vector applied, Vector applied_up) {
    Vector w1, w2, weight;
    Integers refreshed;
    const Vector none = {};
    write_pair(c, load(pairs.w1 + at), load(pairs.w2 + at), load(pairs.slope1 + at),
               load(pairs.slope2 + at), applied, applied_up,
               NOISY ? load(pairs.noise + at) : none,
               NOISY && WRITES_BOTH ? load(pairs.noise_up + at) : none, lowers, w1, w2, weight,
               refreshed);
    if (REFRESHES || WRITES_BOTH) store(pairs.w1 + at, w1);
    store(pairs.w2 + at, w2);
    store(pairs.weight + at, weight);
    if (!REFRESHES) return;
    // Without noise, a refresh leaves no pair below the range.
    counts.outside |= NOISY ? ~is_in_range(c, w1, w2) : (w1 > c.highest) | (w2 > c.highest);
    if (!COUNTED) return;
    counts.refreshes += refreshed;
    float *refreshes = pairs.refreshes ? pairs.refreshes + at : nullptr;
    if (refreshes) store(refreshes, load(refreshes) - __builtin_convertvector(refreshed, Vector));
}

inline void count(Counts &counts, Vector applied, Integers dropped) {
    counts.pulses += applied;
    counts.writes += applied > 0.0f;
    counts.dropped += dropped;
}

// Programs the pairs of one block on pairs of inputs `first` to `last`. gradient: the dense matrix
// of the block; in_range: whether an update without a pulse is known to leave all of them as they
// are; block_row: the number of the block's first row among all rows of the layer.
template <bool COUNTED>
Counts program(const Constants &constants, const Pairs &pairs, const Lists &lists,
               const float *gradient, bool in_range, int64_t first, int64_t last,
               const Address &address, int64_t block_row) {
    const Constants c = constants;  // a copy, which the compiler knows no store to change
    Counts counts;
    for (int64_t p = first; p < last; p++) {
        const bool is_active = lists.has_entries(p);
        float sums[2 * BLOCK] = {};
        if (is_active) gradient_of(lists, p, gradient, sums);
        for (int r = 0; r < 2; r++) {
            const int64_t row = lists.row[2 * p + r];
            if (row < 0) continue;
            const int64_t at = row * BLOCK;
            // An input that is always zero in the batch has no gradient.
            if (!is_active && (in_range || is_row_in_range(c, pairs, at))) continue;
            float numbers[BLOCK];
            if (DRAWS)
                draw_row(block_row + row, address.step, address.purpose, 0, address.seed, numbers);
            Vector applied[VECTORS], applied_up[VECTORS];
            Integers lowers[VECTORS], written = {};
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) {
                const int64_t i = at + v * LANES;
                Integers dropped, dropped_up;
                Vector remainder;
                const Vector none = {};
                decide(c, load(sums + r * BLOCK + v * LANES),
                       USES_SLOPES ? load(pairs.slope1 + i) : none,
                       USES_SLOPES ? load(pairs.slope2 + i) : none,
                       ACCUMULATES ? load(pairs.accumulator + i) : none,
                       DRAWS ? load(numbers + v * LANES) : none, lowers[v], applied[v], dropped,
                       applied_up[v], dropped_up, remainder);
                if (ACCUMULATES) store(pairs.accumulator + i, remainder);
                written |= applied[v] > 0.0f;
                if (WRITES_BOTH) written |= applied_up[v] > 0.0f;
                if (!COUNTED) continue;
                count(counts, applied[v], dropped);
                if (WRITES_BOTH) count(counts, applied_up[v], dropped_up);
            }
            if (!any(written) && (in_range || is_row_in_range(c, pairs, at))) continue;
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) {
                const int64_t i = at + v * LANES;
                if (COUNTED && pairs.pulses1)
                    add_wear(pairs, i, applied[v], applied_up[v], lowers[v]);
                write_at<COUNTED>(c, pairs, counts, i, lowers[v], applied[v], applied_up[v]);
            }
        }
    }
    return counts;
}

// Programs all pairs. Rows of the lists are inputs; gradient [model, n_out, k] for k images.
// constants: [model, 1, 1]; tables: [model, cell, 2]; both in the order of Constants. w1, w2, slope1,
// slope2, weight, accumulator, pulses1, pulses2, refreshes, raised1, raised2, noise, noise_up: [model,
// block, n_inputs, 32]; noise, noise_up: N(0, 1) for the write noise. totals [model, 4], to which
// pulses, writes, dropped requests and refreshes are added. totals and wear are absent where nothing
// is counted. in_range [model, block]: whether an update without a pulse is known to leave all pairs
// of a block as they are. seed [model], step and purpose: the address of the numbers of stochastic
// rounding.
void sparse_update(Tensor offsets, Tensor rows, Tensor columns, Tensor values, Tensor first,
                   Tensor gradient, std::vector<Tensor> constants, std::vector<Tensor> tables,
                   Tensor w1, Tensor w2, Tensor slope1, Tensor slope2,
                   Tensor weight, std::optional<Tensor> accumulator, Tensor in_range,
                   std::optional<Tensor> totals, std::optional<Tensor> pulses1,
                   std::optional<Tensor> pulses2, std::optional<Tensor> refreshes,
                   std::optional<Tensor> raised1, std::optional<Tensor> raised2,
                   std::optional<Tensor> noise, std::optional<Tensor> noise_up, Tensor seed,
                   Tensor step, int64_t purpose, int64_t n_inputs) {
    require(accumulator.has_value() == ACCUMULATES && (!pulses1 || raised1 || REFRESHES));
    require(noise.has_value() == NOISY && noise_up.has_value() == (NOISY && WRITES_BOTH));
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
        auto sums_here = [&](const std::optional<Tensor> &pairs) {
            return pairs ? pairs->data<double>() + start : nullptr;
        };
        const Pairs pairs = {
            here(w1), here(w2), here(slope1), here(slope2), here(weight),
            accumulator ? here(*accumulator) : nullptr, sums_here(pulses1), sums_here(pulses2),
            refreshes ? here(*refreshes) : nullptr, sums_here(raised1), sums_here(raised2),
            noise ? here(*noise) : nullptr, noise_up ? here(*noise_up) : nullptr};
        const Address address = {uint64_t(seed.data<int64_t>()[model]),
                                 uint32_t(*step.data<int64_t>()), uint32_t(purpose)};
        const Counts counts = (totals ? program<true> : program<false>)(
            c, pairs, lists, dense, block_in_range[work / parts],
            work % parts * n_pairs / parts, (work % parts + 1) * n_pairs / parts, address,
            block * n_inputs);
        ends_in_range[work] = !any(counts.outside);
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
