"""What the papers did, ready to be done again: recipes, ablations and diagnostics."""
