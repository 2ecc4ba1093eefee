"""The assistant: composes the memory, the tools and a model behind a command line."""
