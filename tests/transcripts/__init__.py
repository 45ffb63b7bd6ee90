"""Makes docs/transcripts.md: what people see, from what the doubles recorded."""
