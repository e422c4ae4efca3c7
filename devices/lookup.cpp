// Tables of measured points after pulses: see lookup.py.

#include "lookup.h"

namespace {

constexpr int64_t PART = 4096;  // devices that a thread takes at once, a multiple of the lanes

// Devices of one network; vectors of which none receives a pulse are passed over.
void after_all(const Table &table, const float *voltage, const float *pulses, float *result,
               int64_t n) {
    Chunk chunk;
    Vector w[CHUNK] = {}, wanted[CHUNK] = {}, lower[CHUNK];
    int64_t place[CHUNK];
    int vectors = 0;
    auto finish = [&] {
        table_after(table, chunk, w, wanted, lower, vectors);
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
        if (++vectors == CHUNK) finish();
    }
    finish();
}

}  // namespace

// voltage, pulses, result [models, n]; tables, sizes: of Table.
extern "C" void table_after(const float *const *tables, const int64_t *sizes, const float *voltage,
                            const float *pulses, float *result, int64_t models, int64_t n,
                            int threads) {
    const int64_t parts = (n + PART - 1) / PART;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t work = 0; work < models * parts; work++) {
        const int64_t model = work / parts, first = work % parts * PART, place = model * n + first;
        after_all(Table(tables, sizes, model), voltage + place, pulses + place, result + place,
                  n - first < PART ? n - first : PART);
    }
}
