// Lists the entries of images that are not zero for the sparse products: see sparse_inputs.py.

#include <cstdint>
#include <vector>

namespace {

constexpr int64_t GROUP = 128;  // images, among which an image's partner is searched

int common(const uint64_t *a, const uint64_t *b, int64_t words) {
    int count = 0;
    for (int64_t w = 0; w < words; w++) count += __builtin_popcountll(a[w] & b[w]);
    return count;
}

}  // namespace

// Pairs images that have much in common, within batches of `size`: row [batch, pair, 2], numbers of
// images within the batch, -1 where an image is left over. The first image without a partner takes
// the image with the largest number of common active pixels minus half the active pixels of that
// image, which makes the list of both the shortest.
extern "C" void pair_images(const uint8_t *image, int64_t n, int64_t pixels, int64_t size,
                            int32_t *row) {
    const int64_t words = (pixels + 63) / 64;
    std::vector<uint64_t> active(GROUP * words);
    std::vector<int> total(GROUP);
    for (int64_t batch = 0; batch < n; batch += size) {
        const int64_t end = batch + size < n ? batch + size : n;
        for (int64_t first = batch; first < end; first += GROUP) {
            const int64_t count = end - first < GROUP ? end - first : GROUP;
            for (auto &word : active) word = 0;
            for (int64_t i = 0; i < count; i++) {
                const uint8_t *pixel = image + (first + i) * pixels;
                for (int64_t p = 0; p < pixels; p++)
                    active[i * words + p / 64] |= uint64_t(pixel[p] != 0) << (p % 64);
                total[i] = common(&active[i * words], &active[i * words], words);
            }
            std::vector<bool> is_taken(count);
            for (int64_t i = 0; i < count; i++) {
                if (is_taken[i]) continue;
                int64_t best = -1;
                int most = 0;
                for (int64_t j = i + 1; j < count; j++) {
                    if (is_taken[j]) continue;
                    const int gain =
                        2 * common(&active[i * words], &active[j * words], words) - total[j];
                    if (best < 0 || gain > most) best = j, most = gain;
                }
                *row++ = first - batch + i;
                *row++ = best < 0 ? -1 : first - batch + best;
                if (best >= 0) is_taken[best] = true;
            }
        }
    }
}

// Lists the entries of pairs of rows: columns in which at least one row is not zero, and the levels
// of both rows there; first columns of both rows, then of the first row alone, then of the second.
// Rows are the images of batches of `size` images and columns their pixels, or the other way round
// if by_input; row [batch, pair, 2], offset [3 pairs + 1].
extern "C" void list_pairs(const uint8_t *image, int64_t n, int64_t pixels, int64_t size,
                           int64_t by_input, const int32_t *row, const float *level,
                           int32_t *offset, int32_t *column, float *value) {
    struct Entry { int32_t column; uint8_t in_a, in_b; };
    static const uint8_t NONE = 0;
    std::vector<Entry> found[3];
    int64_t entries = 0;
    *offset++ = 0;
    for (int64_t first = 0; first < n; first += size) {
        const int64_t images = n - first < size ? n - first : size;
        const int64_t rows = by_input ? pixels : images, columns = by_input ? images : pixels;
        const int64_t row_step = by_input ? 1 : pixels, step = by_input ? pixels : 1;
        const uint8_t *batch = image + first * pixels;
        for (int64_t pair = 0; pair < (rows + 1) / 2; pair++, row += 2) {
            const uint8_t *a = batch + row[0] * row_step;
            const bool two = row[1] >= 0;
            const uint8_t *b = two ? batch + row[1] * row_step : &NONE;
            for (auto &part : found) part.clear();
            for (int64_t c = 0; c < columns; c++) {
                const uint8_t in_a = a[c * step], in_b = two ? b[c * step] : NONE;
                if (!(in_a | in_b)) continue;
                const int part = !in_b ? 1 : !in_a ? 2 : 0;
                found[part].push_back({int32_t(c), in_a, in_b});
            }
            for (const auto &part : found) {
                for (const Entry &entry : part) {
                    column[entries] = entry.column;
                    value[2 * entries] = level[entry.in_a];
                    value[2 * entries + 1] = level[entry.in_b];
                    entries++;
                }
                *offset++ = entries;
            }
        }
    }
}
