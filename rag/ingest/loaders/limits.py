"""How much of a file is read before it counts as too large."""

MAX_PAGES = 2_000
MAX_CELLS = 2_000_000
MAX_TABLE_CELLS = 500_000
"""Of a file that somebody asks a table question about: its cells are held in memory."""
MAX_CHARACTERS = 10_000_000
MAX_ENTRIES = 1_000
MAX_EXPANDED_BYTES = 200 * 1024 * 1024
MAX_EXPANSION = 100
"""Times the size of the package."""
MAX_SCANS = 200
"""Pictures and scanned pages of one file: each takes seconds to read."""
MAX_INSIDE = 50
"""Pictures in a text that are read: the text is worth having without the others."""
MAX_PIXELS = 60_000_000
"""Of a picture before it is made smaller: a phone's is 12 to 50 million."""
MAX_PIXELS_INSIDE = 200_000_000
"""Of all the pictures in a text."""
