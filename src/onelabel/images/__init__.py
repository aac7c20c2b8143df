"""From a path to pixels, always the same way: for training, embedding, prediction and checks.

This file imports nothing, so that finding and decoding images does not load torch.
"""
