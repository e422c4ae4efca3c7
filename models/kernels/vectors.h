// Vectors that fit into the processor's registers, which all kernels use.

#pragma once

#include <cstdint>

#ifdef __AVX512F__
constexpr int BYTES = 64;
#else
constexpr int BYTES = 32;  // vectors wider than the processor's would not stay in registers
#endif
constexpr int LANES = BYTES / sizeof(float);

typedef float Vector __attribute__((vector_size(BYTES)));
typedef int32_t Integers __attribute__((vector_size(BYTES)));
// A vector in memory, which need not be aligned.
typedef float Stored __attribute__((vector_size(BYTES), aligned(sizeof(float)), may_alias));

// Takes lanes by number from two vectors; the second vector's numbers follow on the first's.
#ifdef __clang__
#define SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLED(a, b, ...) __builtin_shuffle(a, b, decltype((a) > (b)){__VA_ARGS__})
#endif

inline Vector load(const float *memory) { return *reinterpret_cast<const Stored *>(memory); }
inline void store(float *memory, Vector vector) { *reinterpret_cast<Stored *>(memory) = vector; }
