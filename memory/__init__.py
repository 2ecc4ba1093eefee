"""The memory: store, index, window, recall and notes. Knows neither the assistant nor its tools."""
