"""Frozen vision-language encoders, their text features, and the store of image embeddings on disk."""
