"""Where pseudo-labels come from, and how good they are on what is known."""
