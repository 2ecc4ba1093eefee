"""The tools a model may call. Knows nothing of memory or of the assistant."""
