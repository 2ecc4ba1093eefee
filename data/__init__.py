"""Data that travels with the program: the model table and a sample history. Never the owner's data."""
