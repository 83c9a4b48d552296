"""Build the committed example reports again: ``python reports/build_examples.py [--into FOLDER]``.

Small on purpose: one middle layer of the embedded default network, on images of the embedded label set; and the same
network before and after fine-tuning on that set's classes, without the weights; and its part patterns on one class.
Each is a page and, beside it, the same on paper; of the two networks that are compared the pages suffice.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
EXAMPLES = CHECKOUT / "reports" / "examples"
# Bytes that all of them may have together, as the tests know it.
LARGEST = 25_000_000
RUNS = {
    "efficientnet-lite0-broden-mini": [
        *("dissect", "lite:efficientnet-lite0", "--labels", "broden-mini", "--layer", "_blocks.10"),
        *("--limit", "120", "--top", "6", "--threads", "2", "--batch-size", "4", "--memory-format", "channels_last"),
    ],
    "efficientnet-lite0-broden-mini-before-after": [
        *("finetune", "lite:efficientnet-lite0", "--labels", "broden-mini", "--loss", "icnn", "--before-after"),
        *("--threads", "2"),
    ],
    "efficientnet-lite0-broden-mini-cat": [
        *("graph", "lite:efficientnet-lite0", "--labels", "broden-mini", "--class", "cat"),
        *("--threads", "2", "--batch-size", "4", "--memory-format", "channels_last"),
    ],
}
# What a reader of the pages has no use for; edges are in scores.npz too.
LEFT_OUT = ("weights.safetensors", "edges.csv")


def main() -> None:
    """Run each command into a fresh folder and put it in the place of the old one."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--into", type=Path, default=EXAMPLES, help="another folder, for a trial")
    examples = parser.parse_args().into.resolve()
    for name, command in RUNS.items():
        folder = examples / name
        shutil.rmtree(folder, ignore_errors=True)
        # From the checkout, so that what is kept names no place on this machine.
        out = str(folder.relative_to(CHECKOUT) if folder.is_relative_to(CHECKOUT) else folder)
        asked = [sys.executable, "-m", "interpkit", *command, "--pdf", "--out", out]
        subprocess.run(asked, check=True, cwd=CHECKOUT)
        for file in [*(file for name in LEFT_OUT for file in folder.rglob(name)), *folder.glob("*/report.pdf")]:
            file.unlink()
        print(f"{folder}: {size(folder) / 1e6:.1f} MB")
    if size(examples) > LARGEST:
        raise SystemExit(f"{examples} has {size(examples):,} bytes, more than {LARGEST:,}")


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
