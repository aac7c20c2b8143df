"""The embedded example: toy scenes with full labels, a tiny vision-language model, and what they show."""
