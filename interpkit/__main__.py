"""``python -m interpkit``."""

from interpkit.cli import main

if __name__ == "__main__":
    main()
