"""Kernels in C++, and the printer that writes formulas of Python as C++."""
