"""From the bytes of a file to the curves in it, which know line and column of every reading."""
