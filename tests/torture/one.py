"""One kind of fault on one command: ``python tests/torture/one.py FAULT COMMAND TIMES SEED [cold]``; prints JSON."""

import json
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from faults import FAULTS  # noqa: E402 - found once the folders are on the path
from scenes import JOBS, Scene, import_all  # noqa: E402

if __name__ == "__main__":
    fault, command, times, seed = sys.argv[1:5]
    cold = "cold" in sys.argv[5:]
    if not cold:
        import_all(JOBS[command].arguments[0])
    with tempfile.TemporaryDirectory() as place:
        scene = Scene(JOBS[command], Path(place) / "scene", cold=cold)
        try:
            told = FAULTS[fault](scene, seed=int(seed), times=int(times))
        finally:
            scene.close()
    print(json.dumps(vars(told)))
