// Tables of measured points after pulses, as lookup.py says it, for tables of which a cell holds one
// point at most: a chunk of devices at a time.

#pragma once

#include "operator.h"

#include "arithmetic.h"

namespace {

constexpr int CHUNK = 16;  // vectors of devices
typedef float Four __attribute__((vector_size(16), aligned(sizeof(float)), may_alias));

struct Lines {  // of one network; see lookup.Lines
    const float *cells;
    int64_t numbers;  // of a cell
    float scale, width, last;
};

// The table of a network, from the tensors of all: of both directions cells, scale, width and last,
// and the highest voltage. knots: looked at on the way to a voltage.
struct Table {
    Lines inverse, response;
    float top;
    int64_t knots;

    Table(const std::vector<Tensor> &tables, int64_t knots, int64_t model)
        : inverse(lines(&tables[0], model)), response(lines(&tables[4], model)),
          top(tables[8].data()[model]), knots(knots) {}

    static Lines lines(const Tensor *tensors, int64_t model) {
        const int64_t cells = tensors[0].size(1), numbers = tensors[0].size(2);
        auto number = [&](int i) { return tensors[i].data()[model]; };
        return {tensors[0].data() + model * cells * numbers, numbers, number(1), number(2),
                number(3)};
    }
};

// What is known of a chunk of devices. Each of the steps below goes over all of it, so that reading
// from tables, which takes its time, does not hold up the next devices.
struct Chunk {
    Vector x[CHUNK], value[CHUNK], slope[CHUNK], room[CHUNK];
    int32_t cell[CHUNK * LANES] __attribute__((aligned(BYTES)));
    // Four numbers of each device, those of devices that are four apart beside each other.
    Four read[CHUNK * LANES] __attribute__((aligned(BYTES)));
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
inline void table_after(const Table &table, Chunk &chunk, const Vector *w, const Vector *pulses,
                        Vector *lower, int vectors) {
    Vector near[CHUNK], stays[CHUNK];
    for (int v = 0; v < vectors; v++) chunk.x[v] = table.top - w[v];
    find<1>(table.inverse, chunk, vectors);
    for (int v = 0; v < vectors; v++) {
        const Vector down = pulses[v] / chunk.slope[v];  // cells
        near[v] = w[v] - table.inverse.width * down;
        stays[v] = chunk.room[v] - down;
        chunk.x[v] = chunk.value[v] + pulses[v];
    }
    (table.knots ? find<1> : find<0>)(table.response, chunk, vectors);
    for (int v = 0; v < vectors; v++) {
        const Vector after = choose(stays[v] >= 0.0f, near[v], chunk.value[v]);
        const Vector least = choose(after >= w[v], w[v], after);  // against rounding
        lower[v] = choose(pulses[v] > 0.0f, least, w[v]);
    }
}

}  // namespace
