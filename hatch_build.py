"""Puts the data of the embedded label sets into the wheel."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LabelSets(BuildHookInterface):  # type: ignore[type-arg]
    """Adds ``datasets/`` to the wheel as ``interpkit/datasets/``, without the programs that made it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Map every data file to its place in the wheel; an editable install reads the checkout's own folder."""
        if version == "editable":
            return
        root = Path(self.root)
        datasets = root / "datasets"
        # Of the others what says where they are to be had, and tables that the authors' archives lack.
        wanted = [*(datasets / "broden-mini").rglob("*"), *datasets.glob("*/manifest.toml"), *datasets.glob("*/*.csv")]
        build_data["force_include"] |= {
            str(path): f"interpkit/{path.relative_to(root).as_posix()}"
            for path in wanted
            if path.is_file() and path.suffix not in {".py", ".pyc"}
        }
