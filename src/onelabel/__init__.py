"""OneLabel: multi-label image classifiers from one known label per image."""

__version__ = "0.1.0"
