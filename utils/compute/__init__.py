"""Processors, worker processes, compiler, CUDA graphs, torchrun, signals, the builder of kernels."""
