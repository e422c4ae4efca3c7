"""Processors, worker processes, compiler, CUDA graphs, torchrun, signals, builder of kernels."""
