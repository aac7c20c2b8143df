"""The two training loops: a head on cached features, and fine-tuning."""
