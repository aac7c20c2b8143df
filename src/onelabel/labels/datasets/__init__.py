"""Published data sets, read from their original archives: one file each."""
