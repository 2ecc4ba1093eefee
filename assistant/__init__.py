"""The assistant: composes the memory, the tools and a model behind a command line."""

import gc

# What is made while modules are imported stays: looking for garbage there is in vain and takes a tenth of a start.
gc.set_threshold(50_000)
