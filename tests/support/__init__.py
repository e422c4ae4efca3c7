"""What starts, merges and breaks the processes that tests run."""
