"""The files of a run, which are written whole or not at all, and are read back."""
