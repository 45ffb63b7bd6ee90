"""The one flow of a document: load, split, embed, stage, publish."""
