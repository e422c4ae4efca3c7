"""Processors, worker processes, compiler, CUDA graphs, torchrun, signals: not what is trained."""
