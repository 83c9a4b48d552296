"""Build the committed example reports again: ``python reports/build_examples.py``.

Small on purpose: one middle layer of the embedded default network, on images of the embedded label set; and the same
network before and after fine-tuning on that set's classes, without the weights; and its part patterns on one class.
"""

import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
EXAMPLES = CHECKOUT / "reports" / "examples"
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
    for name, command in RUNS.items():
        folder = EXAMPLES / name
        shutil.rmtree(folder, ignore_errors=True)
        # From the checkout, so that what is kept names no place on this machine.
        out = str(folder.relative_to(CHECKOUT))
        subprocess.run([sys.executable, "-m", "interpkit", *command, "--out", out], check=True, cwd=CHECKOUT)
        for file in [file for name in LEFT_OUT for file in folder.rglob(name)]:
            file.unlink()
        print(f"{folder}: {sum(f.stat().st_size for f in folder.rglob('*') if f.is_file()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
