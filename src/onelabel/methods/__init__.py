"""Presets that bind a loss, a source, schedules and per-image state."""
