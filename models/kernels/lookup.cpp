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

Tensor table_after_of(Tensor voltage, Tensor pulses, std::vector<Tensor> tables, int64_t knots) {
    const int64_t models = voltage.size(0), n = voltage.size(1) * voltage.size(2);
    const int64_t parts = (n + PART - 1) / PART;
    Tensor result = Tensor::of({models, voltage.size(1), voltage.size(2)});
    const float *before = voltage.data(), *wanted = pulses.data();
    float *after = result.data();
    const int n_threads = threads();
#pragma omp parallel for num_threads(n_threads) if (n_threads > 1) schedule(static)
    for (int64_t work = 0; work < models * parts; work++) {
        const int64_t model = work / parts, first = work % parts * PART, place = model * n + first;
        after_all(Table(tables, knots, model), before + place, wanted + place, after + place,
                  n - first < PART ? n - first : PART);
    }
    return result;
}

const Operator<table_after_of> registered("table_after");

}  // namespace
