"""What a run leaves on disk, written whole or not at all, and reading it back."""
