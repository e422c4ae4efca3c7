// What the kernels have in common: the vectors that fit the processor's registers.

#pragma once

#ifdef __AVX512F__
constexpr int BYTES = 64;
#else
constexpr int BYTES = 32;  // wider than the processor's, vectors do not stay in registers
#endif
constexpr int LANES = BYTES / sizeof(float);
