// Tables of measured points after pulses, as lookup.py says it, for tables of which a cell holds one
// point at most.
//
// No product and sum is rounded as one, so that the numbers are those of lookup.py to the bit.

#include <cstdint>

#include "vectors.h"

#ifdef __clang__
#pragma clang fp contract(off)
#else
#pragma GCC optimize("fp-contract=off")
#endif

namespace {

constexpr int VECTORS = 16;     // of a chunk of devices
constexpr int64_t PART = 4096;  // devices that a thread takes at once, a multiple of the lanes
typedef float Vector __attribute__((vector_size(BYTES)));
typedef int32_t Integers __attribute__((vector_size(BYTES)));
typedef float Four __attribute__((vector_size(16), aligned(sizeof(float)), may_alias));

struct Lines {  // of one network; see lookup.Lines
    const float *cells;
    int64_t numbers;  // of a cell
    float scale, width, last;
};

// What is known of a chunk of devices. Each of the steps below goes over all of it, so that reading
// from tables, which takes its time, does not hold up the next devices.
struct Chunk {
    Vector x[VECTORS], value[VECTORS], slope[VECTORS], room[VECTORS];
    int32_t cell[VECTORS * LANES] __attribute__((aligned(BYTES)));
    // Four numbers of each device, those of devices that are four apart beside each other.
    Four read[VECTORS * LANES] __attribute__((aligned(BYTES)));
};

// Lanes of two vectors by their places, those of b after those of a.
inline Vector pick(Vector a, Vector b, Integers places) {
#ifdef __clang__
    Vector picked;
    for (int l = 0; l < LANES; l++)
        picked[l] = places[l] < LANES ? a[places[l]] : b[places[l] - LANES];
    return picked;
#else
    return __builtin_shuffle(a, b, places);
#endif
}

inline Vector choose(Integers which, Vector yes, Vector no) { return which ? yes : no; }

// The first four numbers of each device's cell.
void read(const Lines &lines, Chunk &chunk, int vectors) {
    for (int v = 0; v < vectors * LANES; v += LANES)
#pragma GCC unroll 16
        for (int l = 0; l < LANES; l++)
            chunk.read[v + l % 4 * (LANES / 4) + l / 4] = *reinterpret_cast<const Four *>(
                lines.cells + uint32_t(chunk.cell[v + l]) * uint64_t(lines.numbers));
}

// What was read, number by number: squares of 4 by 4 are turned around.
inline void turned(const Chunk &chunk, int vector, Vector found[4]) {
    const Vector *rows = reinterpret_cast<const Vector *>(chunk.read + vector * LANES);
    Integers low, high, front, back;
#pragma GCC unroll 16
    for (int l = 0; l < LANES; l++) {
        const int start = l / 4 * 4, odd = l % 2 * LANES, half = l % 4 / 2;
        low[l] = start + half + odd;
        high[l] = start + 2 + half + odd;
        front[l] = start + l % 2 + half * LANES;
        back[l] = start + 2 + l % 2 + half * LANES;
    }
    const Vector a = pick(rows[0], rows[1], low);
    const Vector b = pick(rows[2], rows[3], low);
    const Vector c = pick(rows[0], rows[1], high);
    const Vector d = pick(rows[2], rows[3], high);
    found[0] = pick(a, b, front);
    found[1] = pick(a, b, back);
    found[2] = pick(c, d, front);
    found[3] = pick(c, d, back);
}

// value, slope and room of the chunk at x, which is scaled to cells; see lookup.Lines.forward.
template <int DEPTH>
void find(const Lines &lines, Chunk &chunk, int vectors) {
    const Vector zero = {}, last = zero + lines.last;
    for (int v = 0; v < vectors; v++) {
        const Vector z = chunk.x[v] *= lines.scale;
        Vector within = choose(z < last, z, last);
        within = choose(within > zero, within, zero);  // also of a NaN
        *reinterpret_cast<Integers *>(chunk.cell + v * LANES) =
            __builtin_convertvector(within, Integers);
    }
    read(lines, chunk, vectors);
    for (int v = 0; v < vectors; v++) {
        const Integers cell = *reinterpret_cast<const Integers *>(chunk.cell + v * LANES);
        const Vector beyond = chunk.x[v] - __builtin_convertvector(cell, Vector);
        Vector numbers[4];
        turned(chunk, v, numbers);
        Vector value = numbers[0] + numbers[1] * beyond, slope = numbers[1], room = zero + 1.0f;
        if (DEPTH > 0) {
            const Vector past = beyond - numbers[2];
            value += numbers[3] * choose(past > zero, past, zero);
            slope = choose(past >= zero, slope + numbers[3], slope);
            room = choose(past >= zero, room, numbers[2]);
        }
        chunk.value[v] = value;
        chunk.slope[v] = slope;
        chunk.room[v] = room - beyond;
    }
}

// Voltages of a chunk after pulses; see lookup.Tables.after.
template <int RESPONSE_DEPTH>
void program(const Lines &inverse, const Lines &response, float top, Chunk &chunk,
             const Vector *w, const Vector *pulses, Vector *lower, int vectors) {
    Vector near[VECTORS], stays[VECTORS];
    for (int v = 0; v < vectors; v++) chunk.x[v] = top - w[v];
    find<1>(inverse, chunk, vectors);
    for (int v = 0; v < vectors; v++) {
        const Vector down = pulses[v] / chunk.slope[v];  // cells
        near[v] = w[v] - inverse.width * down;
        stays[v] = chunk.room[v] - down;
        chunk.x[v] = chunk.value[v] + pulses[v];
    }
    find<RESPONSE_DEPTH>(response, chunk, vectors);
    for (int v = 0; v < vectors; v++) {
        const Vector after = choose(stays[v] >= 0.0f, near[v], chunk.value[v]);
        const Vector least = choose(after >= w[v], w[v], after);  // against rounding
        lower[v] = choose(pulses[v] > 0.0f, least, w[v]);
    }
}

// Devices of one network; vectors of which none receives a pulse are passed over.
template <int RESPONSE_DEPTH>
void program_all(const Lines &inverse, const Lines &response, float top, const float *voltage,
                 const float *pulses, float *result, int64_t n) {
    Chunk chunk;
    Vector w[VECTORS] = {}, wanted[VECTORS] = {}, lower[VECTORS];
    int64_t place[VECTORS];
    int vectors = 0;
    auto finish = [&] {
        program<RESPONSE_DEPTH>(inverse, response, top, chunk, w, wanted, lower, vectors);
        for (int v = 0; v < vectors; v++)
            __builtin_memcpy(result + place[v], lower + v,
                             n - place[v] < LANES ? (n - place[v]) * sizeof(float) : BYTES);
        vectors = 0;
    };
    for (int64_t i = 0; i < n; i += LANES) {
        if (i + LANES <= n) {
            __builtin_memcpy(w + vectors, voltage + i, BYTES);
            __builtin_memcpy(wanted + vectors, pulses + i, BYTES);
            __builtin_memcpy(result + i, w + vectors, BYTES);
            float most = 0;
            for (int l = 0; l < LANES; l++) most = pulses[i + l] > most ? pulses[i + l] : most;
            if (!(most > 0)) continue;
        } else {
            w[vectors] = wanted[vectors] = Vector{};
            __builtin_memcpy(w + vectors, voltage + i, (n - i) * sizeof(float));
            __builtin_memcpy(wanted + vectors, pulses + i, (n - i) * sizeof(float));
        }
        place[vectors] = i;
        if (++vectors == VECTORS) finish();
    }
    finish();
}

}  // namespace

// voltage, pulses, result [models, n]; top [models]. Of both directions: cells [models, count,
// numbers], scale, width and last [models]; knots looked at in a cell: one of the inverse, none or
// one of the response.
extern "C" void table_after(const float *cells, const float *scale, const float *width,
                            const float *last, int64_t count, int64_t numbers,
                            const float *response_cells, const float *response_scale,
                            const float *response_width, const float *response_last,
                            int64_t response_count, int64_t response_numbers, int64_t knots,
                            const float *top, const float *voltage, const float *pulses,
                            float *result, int64_t models, int64_t n, int threads) {
    const int64_t parts = (n + PART - 1) / PART;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t work = 0; work < models * parts; work++) {
        const int64_t m = work / parts, first = work % parts * PART, place = m * n + first;
        const Lines inverse = {cells + m * count * numbers, numbers, scale[m], width[m], last[m]};
        const Lines response = {response_cells + m * response_count * response_numbers,
                                response_numbers, response_scale[m], response_width[m],
                                response_last[m]};
        (knots ? program_all<1> : program_all<0>)(
            inverse, response, top[m], voltage + place, pulses + place, result + place,
            n - first < PART ? n - first : PART);
    }
}
