"""Kernels in C++, and the printer that writes Python formulas as C++."""
