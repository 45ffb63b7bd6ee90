"""Chat models and embeddings, chosen by config."""
