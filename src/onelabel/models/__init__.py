"""Backbones, heads, and the bundle: a trained model as a folder that needs nothing else."""
