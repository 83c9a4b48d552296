"""The parts of a page: each file offers one ``Section``."""
