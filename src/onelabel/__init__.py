"""OneLabel: multi-label image classifiers from one known label per image."""
