// The entries of images that are not zero, listed for the sparse products: see sparse_inputs.py.

#include <cstdint>
#include <vector>

namespace {

constexpr int64_t GROUP = 128;  // images, among which a partner is looked for

int common(const uint64_t *a, const uint64_t *b, int64_t words) {
    int count = 0;
    for (int64_t w = 0; w < words; w++) count += __builtin_popcountll(a[w] & b[w]);
    return count;
}

}  // namespace

// Pairs of images that have much in common, within batches of `size`: row [batch, pair, 2], numbers
// of images within the batch, -1 where an image is left over. The first that has no partner takes
// the one with which most is common, less half of what that has: what both list is then least.
extern "C" void pair_images(const uint8_t *image, int64_t n, int64_t pixels, int64_t size,
                            int32_t *row) {
    const int64_t words = (pixels + 63) / 64;
    std::vector<uint64_t> lit(GROUP * words);
    std::vector<int> total(GROUP);
    for (int64_t batch = 0; batch < n; batch += size) {
        const int64_t end = batch + size < n ? batch + size : n;
        for (int64_t first = batch; first < end; first += GROUP) {
            const int64_t count = end - first < GROUP ? end - first : GROUP;
            for (auto &word : lit) word = 0;
            for (int64_t i = 0; i < count; i++) {
                const uint8_t *mine = image + (first + i) * pixels;
                for (int64_t p = 0; p < pixels; p++)
                    lit[i * words + p / 64] |= uint64_t(mine[p] != 0) << (p % 64);
                total[i] = common(&lit[i * words], &lit[i * words], words);
            }
            std::vector<bool> is_taken(count);
            for (int64_t i = 0; i < count; i++) {
                if (is_taken[i]) continue;
                int64_t best = -1;
                int most = 0;
                for (int64_t j = i + 1; j < count; j++) {
                    if (is_taken[j]) continue;
                    const int gain = 2 * common(&lit[i * words], &lit[j * words], words) - total[j];
                    if (best < 0 || gain > most) best = j, most = gain;
                }
                *row++ = first - batch + i;
                *row++ = best < 0 ? -1 : first - batch + best;
                if (best >= 0) is_taken[best] = true;
            }
        }
    }
}

// The entries of pairs of rows: columns in which one of both is not zero, and the levels of both there;
// those of both rows, then those of the first alone, then those of the second. Batches of `size`
// images; rows are their images, or (by_input) their pixels, and columns the other; row
// [batch, pair, 2], offset [3 pairs + 1].
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
        const uint8_t *mine = image + first * pixels;
        for (int64_t pair = 0; pair < (rows + 1) / 2; pair++, row += 2) {
            const uint8_t *a = mine + row[0] * row_step;
            const bool two = row[1] >= 0;
            const uint8_t *b = two ? mine + row[1] * row_step : &NONE;
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
