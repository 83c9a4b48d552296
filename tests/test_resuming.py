"""Dissections, and what judges them, that are stopped at every commit or batch and go on."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import probe, small_set
from stopping import assert_same_files, saved, through

from interpkit.dissection import (
    _partners,
    _source,
    dissect_layers,
    rotate_layers,
    shuffle_layers,
    untrained_layers,
)
from interpkit.dissection._partners import Segments
from interpkit.dissection._pixels import PackedLabels
from interpkit.errors import ImageError, LabelSetError
from interpkit.feeding import Batch, Feeder
from interpkit.keeping import ABOUT, LostError, Work
from interpkit.labels import LabelSet, content
from interpkit.running import resumed

FED: dict[str, Any] = {"batch_size": 3, "memory_format": "contiguous", "threads": 1}
LAYERS = ("early", "norm")
VERBS: dict[str, tuple[Callable[..., Mapping[str, Any]], dict[str, Any]]] = {
    "dissect": (dissect_layers, {"top": 3}),
    "rotate": (rotate_layers, {"alphas": (0.0, 0.5), "rotations": 2}),
    "shuffle": (shuffle_layers, {"shuffles": 3}),
    "untrained": (untrained_layers, {}),
}


@pytest.fixture(autouse=True)
def small_segments(monkeypatch):
    """Partners are drawn anew twice on the way."""
    monkeypatch.setattr(_partners, "SEGMENT", 9)


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> LabelSet:
    return small_set(tmp_path_factory.mktemp("labels") / "set", images=23)


def run(verb: str, labels: LabelSet, work: Work | None, *, cache: str = "disk", **asked: Any) -> Mapping[str, Any]:
    function, own = VERBS[verb]
    return function(probe(LAYERS), labels, **{**FED, **own, "cache": cache, **asked}, work=work)


@pytest.mark.parametrize(("verb", "cache"), [("dissect", "disk"), ("dissect", "none"), ("dissect", "ram")])
def test_stopped_at_every_commit_it_ends_the_same(labels, tmp_path, verb, cache):
    whole = saved(run(verb, labels, None, cache=cache), tmp_path / "whole")
    found, times = through(lambda work: run(verb, labels, work, cache=cache), tmp_path / "work")
    assert times > len(labels) // FED["batch_size"] + 2
    assert_same_files(saved(found, tmp_path / "run"), whole)


@pytest.mark.parametrize(("verb", "cache"), [("rotate", "disk"), ("shuffle", "none"), ("untrained", "disk")])
def test_what_judges_it_ends_the_same_too(labels, tmp_path, verb, cache):
    whole = saved(run(verb, labels, None, cache=cache), tmp_path / "whole")
    found, times = through(lambda work: run(verb, labels, work, cache=cache), tmp_path / "work", commits=5)
    assert times > 3
    assert_same_files(saved(found, tmp_path / "run"), whole)


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("cache", ["disk", "none", "ram"])
@pytest.mark.parametrize("every", [0.0, 1e9])
def test_stopped_at_every_batch_it_ends_the_same(labels, tmp_path, monkeypatch, cache, every):
    whole = saved(run("dissect", labels, None, cache=cache), tmp_path / "whole")
    forward, left = _source.forward, [0]

    def mortal(*args: Any) -> Any:
        if left[0] == 0:
            raise KilledError
        left[0] -= 1
        return forward(*args)

    monkeypatch.setattr(_source, "forward", mortal)
    for number in range(1, 40):
        left[0] = number
        try:
            with Work(tmp_path / "work", title="dissect", every=every) as work:
                found = run("dissect", labels, work, cache=cache)
            break
        except KilledError:
            continue
    assert number > 2
    assert_same_files(saved(found, tmp_path / "run"), whole)


@pytest.fixture
def stopped_midway(labels, tmp_path) -> Path:
    """The work of a dissection that was stopped in its second pass."""
    commits = Work.commit

    class Stopping(Work):
        left = 2

        def commit(self, *args: Any) -> None:
            commits(self, *args)
            self.left -= args[0] == "counting"
            if not self.left:
                raise KilledError

    with pytest.raises(KilledError), Stopping(tmp_path / "work", title="dissect", every=0) as work:
        run("dissect", labels, work)
    return tmp_path / "work"


def names_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_finished_work_is_not_done_again(labels, stopped_midway, monkeypatch):
    def never(*_: Any) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr(_source, "forward", never)
    with Work(stopped_midway, title="dissect") as work:
        run("dissect", labels, work)


STATES = ["batches.npz", "counting.npz", "feeding.npz", "files.npz", "maps-place.npz"]
FILES = ["about.json", *STATES, "maps.bin", "thresholds.npz"]


def test_these_files_are_kept(stopped_midway):
    assert names_of(stopped_midway) == FILES


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["gone", "short", "edited"])
def test_damage_costs_time_and_no_number(labels, stopped_midway, tmp_path, name, damage):
    path = stopped_midway / name
    data = bytearray(path.read_bytes())
    if damage == "edited":
        data[len(data) // 2] ^= 0x55
    path.unlink() if damage == "gone" else path.write_bytes(data[: len(data) // 2] if damage == "short" else data)
    with Work(stopped_midway, title="dissect") as work:
        found = run("dissect", labels, work)
    assert_same_files(saved(found, tmp_path / "run"), saved(run("dissect", labels, None), tmp_path / "whole"))


@pytest.mark.parametrize("asked", [{"quantile": 0.1}, {"cache": "ram"}, {"limit": 20}, {"batch_size": 2}, {"seed": 4}])
def test_another_run_begins_at_the_beginning(labels, stopped_midway, tmp_path, asked):
    with Work(stopped_midway, title="dissect") as work:
        found = run("dissect", labels, work, **asked)
    assert_same_files(saved(found, tmp_path / "run"), saved(run("dissect", labels, None, **asked), tmp_path / "whole"))


def test_a_changed_image_gives_no_stale_number(labels, stopped_midway, tmp_path):
    shutil.copytree(labels.root, tmp_path / "before")
    before, first, second = labels.root, labels.path(0), labels.path(1)
    try:
        old = first.read_bytes()
        shutil.copy2(second, first)
        changed = LabelSet.open(before)
        with Work(stopped_midway, title="dissect") as work:
            found = run("dissect", changed, work)
        whole = run("dissect", changed, None)
        assert_same_files(saved(found, tmp_path / "run"), saved(whole, tmp_path / "whole"))
        assert found["norm"].provenance.labels_content == content(changed)
    finally:
        first.write_bytes(old)


def test_what_a_run_goes_on_with_is_said_where_there_is_any(labels, stopped_midway, caplog):
    caplog.set_level("INFO", "interpkit")
    again, path = touched(labels), stopped_midway / "batches.npz"
    path.write_bytes(b"")
    with Work(stopped_midway, title="dissect") as work:
        run("dissect", again, work)
    assert "going on with" not in caplog.text
    with Work(stopped_midway, title="dissect") as work:
        run("dissect", again, work)
    assert "going on with what an earlier run has done (dissect)" in caplog.text


def touched(labels: LabelSet) -> LabelSet:
    """The set, of which an image went and came back."""
    path = labels.path(3)
    path.rename(path.with_suffix(".away"))
    path.with_suffix(".away").rename(path)
    return LabelSet.open(labels.root)


def test_images_that_were_touched_and_are_the_same_go_on(labels, stopped_midway, tmp_path, monkeypatch):
    before, again = labels.stamp, touched(labels)
    assert again.stamp != before
    forward = _source.forward
    monkeypatch.setattr(_source, "forward", lambda *_: pytest.fail("done again"))
    with Work(stopped_midway, title="dissect") as work:
        found = run("dissect", again, work)
    monkeypatch.setattr(_source, "forward", forward)
    assert_same_files(saved(found, tmp_path / "run"), saved(run("dissect", again, None), tmp_path / "whole"))


def test_without_a_sound_word_of_their_bytes_touched_images_begin_again(labels, stopped_midway, monkeypatch):
    again, forward = touched(labels), _source.forward
    (stopped_midway / "batches.npz").write_bytes(b"")
    seen: list[list[str]] = []

    def looking(*given: Any) -> Any:
        seen.append(names_of(stopped_midway))
        return forward(*given)

    monkeypatch.setattr(_source, "forward", looking)
    with Work(stopped_midway, title="dissect", every=1e9) as work:
        run("dissect", again, work)
    assert not {"counting.npz", "thresholds.npz"} & set(seen[0])


def test_an_image_that_is_missing_takes_no_work_with_it(labels, stopped_midway, tmp_path):
    path, kept = labels.path(3), names_of(stopped_midway)
    path.rename(tmp_path / "away")
    try:
        with (
            Work(stopped_midway, title="dissect") as work,
            pytest.raises(ImageError, match=r"image street/3\.png|is missing"),
        ):
            run("dissect", LabelSet.open(labels.root), work)
    finally:
        (tmp_path / "away").rename(path)
    assert names_of(stopped_midway) == kept


def test_an_image_that_goes_in_the_middle_is_named(labels, tmp_path, monkeypatch):
    root = tmp_path / "set"
    shutil.copytree(labels.root, root)
    here = LabelSet.open(root)
    batches, gone = _source.Source.batches, here.path(7)

    def vanishing(self: Any, first: int = 0) -> Any:
        if len(self.rows) == len(here):
            gone.unlink(missing_ok=True)
        return batches(self, first)

    monkeypatch.setattr(_source.Source, "batches", vanishing)
    with Work(tmp_path / "work", title="dissect", every=0) as work:
        with pytest.raises(ImageError, match=r"image street/7\.png|is missing") as caught:
            run("dissect", here, work, cache="none")
        assert "\n" not in str(caught.value)
        assert "thresholds.npz" in names_of(work.folder)
    shutil.rmtree(root)
    shutil.copytree(labels.root, root)
    here = LabelSet.open(root)
    gone.unlink()
    with pytest.raises(ImageError, match="changed during the run"), Work(tmp_path / "two", title="t") as work:
        gone_again(here, work, labels, monkeypatch)


def gone_again(here: LabelSet, work: Work, labels: LabelSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that can only be read in the second pass."""
    batches, there = _source.Source.batches, here.path(7)

    def appearing(self: Any, first: int = 0) -> Any:
        if self._next == self.span.stop:
            shutil.copy2(labels.path(7), there)
        return batches(self, first)

    monkeypatch.setattr(_source.Source, "batches", appearing)
    run("dissect", here, work, cache="none", skip_bad=True)


# --- partners


def packed(row: int) -> PackedLabels:
    """Labels of two categories that say which image they are of."""
    return PackedLabels((np.array([[0, row % 2, row, 1]], np.uint64),), np.zeros(0, np.int32), np.ones(2, np.bool_))


def images_of(labels: PackedLabels) -> list[int]:
    return labels.entries[0][:, 2].tolist()


def handed(rows: Sequence[int], *, first: int = 0, shuffles: int = 1) -> dict[int, list[list[int]]]:
    """Whose labels each image from ``first`` on is handed, by shuffle."""
    every = np.array(rows)
    options: dict[str, Any] = {"category": np.array([0, 1]), "seed": 5, "shuffles": shuffles}
    segments = Segments(every, **options, read=lambda wanted, _: {row: packed(row) for row in wanted.tolist()})
    segments.begin(first)
    for row in segments.before(first).tolist():
        segments.of(row, packed(row))
    return {row: [images_of(one) for one in segments.of(row, packed(row))] for row in every[every >= first].tolist()}


def test_partners_of_the_first_rows_are_those_of_one_pool(monkeypatch):
    monkeypatch.setattr(_partners, "SEGMENT", 40)
    rows = np.delete(np.arange(40), [3, 17])
    for shuffle, seed in enumerate([5, (5, 1)]):
        one = _partners.Partners(rows, category=np.array([0, 1]), seed=seed)
        one.fill([packed(row) for row in one.first.tolist()])
        alone = {row: images_of(one.of(row, packed(row))) for row in rows.tolist()}
        both = handed(rows.tolist(), shuffles=2)
        assert {row: found[shuffle] for row, found in both.items()} == alone


def test_partners_depend_on_the_segment_alone(monkeypatch):
    monkeypatch.setattr(_partners, "SEGMENT", 16)
    monkeypatch.setattr(_partners, "POOL", 6)
    rows = np.delete(np.arange(70), [3, 17, 48]).tolist()
    whole = handed(rows, shuffles=2)
    for first in (0, 5, 16, 31, 47, 49, 69):
        part = handed(rows, first=first, shuffles=2)
        assert part == {row: whole[row] for row in part}
    assert all(row not in found for row, both in whole.items() for found in both)
    # All of a segment's images are drawn from, and those of others: a pool of its own, used up as images come.
    drawn = {row for image in range(32, 48) for found in whole[image] for row in found}
    assert drawn & set(range(32, 48))
    assert drawn - set(range(32, 48))
    for start in (0, 16, 32, 48):
        shuffles = zip(*(whole[row] for row in rows if row // 16 == start // 16), strict=True)
        first, second = shuffles
        assert first != second


# --- images left out


@pytest.fixture(scope="module")
def spoilt(labels, tmp_path_factory) -> LabelSet:
    root = tmp_path_factory.mktemp("spoilt") / "set"
    shutil.copytree(labels.root, root)
    here = LabelSet.open(root)
    for row in (0, 5, 6, 20, 21, 22):
        here.path(row).write_bytes(b"no image")
    return LabelSet.open(root)


@pytest.mark.parametrize("cache", ["disk", "none"])
def test_images_left_out_stay_left_out(spoilt, tmp_path, cache):
    whole = run("dissect", spoilt, None, cache=cache, skip_bad=True)
    assert whole["norm"].images == 17
    assert len(whole["norm"].skipped) == 6
    assert whole["norm"].provenance.labels_content == content(spoilt)
    found, _ = through(lambda work: run("dissect", spoilt, work, cache=cache, skip_bad=True), tmp_path / "work")
    assert_same_files(saved(found, tmp_path / "run"), saved(whole, tmp_path / "whole"))


# --- the passes themselves


class Rows:
    """Takes in the rows of batches."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.lost = False

    def add(self, batch: Batch) -> None:
        self.rows += batch.rows.tolist()

    def state(self) -> dict[str, Any]:
        return {"rows": np.array(self.rows)}

    def restore(self, arrays: Mapping[str, Any]) -> None:
        if self.lost:
            raise LostError("gone")
        self.rows = arrays["rows"].tolist()


class Tape(Feeder):
    """Batches of two rows each, and which rows were asked for."""

    def __init__(self, rows: int, *, bad: int | None = None) -> None:
        self.span = range(rows)
        self.bad = bad
        self.skipped = []
        self.content = 0
        self.asked: list[int] = []
        self._looked = 0

    def batches(self, *, first: int | None = None) -> Any:
        for start in range(first or 0, self.span.stop, 2):
            self.asked.append(start)
            self.content += start
            if start == self.bad:
                self.skipped.append(start)
                raise ImageError("gone")
            yield Batch(np.arange(start, start + 2), None, start + 2)  # type: ignore[arg-type]


def take_in(tape: Tape, rows: Rows, work: Work) -> None:
    for batch in resumed(tape, rows, work=work, name="pass"):
        rows.add(batch)


def test_a_pass_that_lost_what_it_knew_begins_again(tmp_path):
    with Work(tmp_path / "work", title="t", every=0) as work:
        tape, rows = Tape(6), Rows()
        for batch in resumed(tape, rows, work=work, name="pass"):
            rows.add(batch)
            if batch.stop == 4:
                break
        again, tape = Rows(), Tape(6)
        take_in(tape, again, work)
        assert (again.rows, tape.asked) == ([0, 1, 2, 3, 4, 5], [2, 4])
        assert tape.content == 0 + 2 + 4
        again, tape = Rows(), Tape(6)
        again.lost = True
        take_in(tape, again, work)
        assert tape.asked == [0, 2, 4]
        again, tape = Rows(), Tape(6)
        assert list(resumed(tape, again, work=work, name="pass")) == []
        assert again.rows == [0, 1, 2, 3, 4, 5]


def test_an_image_that_cannot_be_read_leaves_what_came_before_it(tmp_path):
    with Work(tmp_path / "work", title="t", every=1000) as work:
        tape, rows = Tape(8, bad=4), Rows()
        with pytest.raises(ImageError, match="gone"):
            take_in(tape, rows, work)
    with Work(tmp_path / "work", title="t") as work:
        tape, again = Tape(8), Rows()
        take_in(tape, again, work)
        assert tape.asked == [4, 6]
        assert again.rows == list(range(8))
        # What the pass had looked at beyond its last batch is looked at again.
        assert tape.content == 0 + 2 + 4 + 6
        assert tape.skipped == []


def test_a_set_without_labels_goes_on_too(labels, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for row in range(6):
        os.link(labels.path(row), folder / f"{row}.png")
    here = LabelSet.open(folder)
    found, _ = through(lambda work: run("dissect", here, work), tmp_path / "work")
    assert_same_files(saved(found, tmp_path / "run"), saved(run("dissect", here, None), tmp_path / "whole"))
    for row in range(6):
        (folder / f"{row}.png").unlink()
        (folder / f"{row}.png").write_bytes(b"")
    with pytest.raises(LabelSetError, match="none of its 6 images"):
        run("dissect", LabelSet.open(folder), None, skip_bad=True)
    assert ABOUT in names_of(tmp_path / "work")


def test_another_version_of_a_package_takes_nothing_over(labels, tmp_path, monkeypatch):
    """Not torch and numpy alone: images are read and resized by others."""
    from interpkit.processes import ALONE
    from interpkit.running import asking, beginning

    keys = []

    class Keys:
        def begin(self, key: str) -> None:
            keys.append(key)

        def state(self, name: str) -> None:
            """Nothing was kept."""

        def under(self, name: str, plain: Mapping[str, Any]) -> None:
            """Nothing is kept."""

        def announce(self) -> None:
            """Nothing to say."""

    told = asking.versions()
    for here in (told, {**told, "pillow": "other"}, {**told, "torchvision": "other"}):
        monkeypatch.setattr(beginning, "versions", here.copy)
        beginning.begin(Keys(), probe(), labels, verb="dissect", options={}, group=ALONE)
    assert len(set(keys)) == 3
