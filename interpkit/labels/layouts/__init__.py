"""Layouts of label sets: one file each, each with its ``OFFER``. The folder is the list."""
