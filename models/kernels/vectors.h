// What the kernels have in common: the vectors that fit the processor's registers.

#pragma once

#include <cstdint>

#ifdef __AVX512F__
constexpr int BYTES = 64;
#else
constexpr int BYTES = 32;  // wider than the processor's, vectors do not stay in registers
#endif
constexpr int LANES = BYTES / sizeof(float);

typedef float Vector __attribute__((vector_size(BYTES)));
typedef int32_t Integers __attribute__((vector_size(BYTES)));
// The same as it stands in memory, on any edge.
typedef float Stored __attribute__((vector_size(BYTES), aligned(sizeof(float)), may_alias));

// Of two vectors the lanes of these numbers, those of the second counted on from the first's.
#ifdef __clang__
#define SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLED(a, b, ...) __builtin_shuffle(a, b, decltype((a) > (b)){__VA_ARGS__})
#endif

inline Vector load(const float *memory) { return *reinterpret_cast<const Stored *>(memory); }
inline void store(float *memory, Vector vector) { *reinterpret_cast<Stored *>(memory) = vector; }
