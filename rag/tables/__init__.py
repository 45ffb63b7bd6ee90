"""Questions that are computed from the rows of sheets."""
