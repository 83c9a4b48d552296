"""Images read ahead in order, and a network fed as fast as measured, with no trace left."""

import os
import sys
import threading
import time

import numpy as np
import pytest
import torch
from small_networks import probe, small_network, small_set

from interpkit import feeding
from interpkit.errors import ImageError, InterpkitError
from interpkit.feeding import Feeder, Feeding, ahead, read_image, stack, threads_set, tune, weights_in


@pytest.fixture
def labels(tmp_path):
    return small_set(tmp_path / "set", images=7)


def feeder(labels, *, batch_size: int = 3, memory_format: str = "contiguous", skip_bad: bool = False) -> Feeder:
    return Feeder(labels, probe(), feeding=Feeding(batch_size, memory_format, threads=1), skip_bad=skip_bad)


def test_batches_hold_every_image_once_in_order(labels):
    batches = list(feeder(labels).batches())
    assert [len(batch.rows) for batch in batches] == [3, 3, 1]
    assert np.concatenate([batch.rows for batch in batches]).tolist() == list(range(7))
    for batch in batches:
        for row, image in zip(batch.rows, batch.images, strict=True):
            np.testing.assert_array_equal(image.numpy(), read_image(labels, int(row), probe().preprocessing))


def test_batches_can_be_had_again(labels):
    one = feeder(labels, batch_size=2)
    first, second = list(one.batches()), list(one.batches())
    assert [batch.rows.tolist() for batch in first] == [batch.rows.tolist() for batch in second]
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("name", "layout"), [("contiguous", torch.contiguous_format), ("channels_last", torch.channels_last)]
)
def test_batches_come_in_the_format_asked_for(labels, name, layout):
    batch = next(feeder(labels, memory_format=name).batches())
    assert batch.images.is_contiguous(memory_format=layout)
    assert batch.images.dtype == torch.float32


def test_stacking_keeps_the_values():
    images = [np.random.default_rng(i).normal(size=(3, 4, 5)).astype(np.float32) for i in range(3)]
    for name in ("contiguous", "channels_last"):
        np.testing.assert_array_equal(stack(images, name).numpy(), np.stack(images))


def damage(labels, row: int) -> str:
    labels.path(row).write_bytes(b"no image")
    return str(labels.images["image"].iloc[row])


def test_a_corrupt_image_stops_the_run_and_is_named(labels):
    name = damage(labels, 4)
    with pytest.raises(ImageError, match=name):
        list(feeder(labels).batches())


def test_a_corrupt_image_is_left_out_where_that_is_asked_for(labels):
    damage(labels, 0)
    damage(labels, 4)
    one = feeder(labels, skip_bad=True)
    for _ in range(2):  # a second pass leaves out the same
        batches = list(one.batches())
        assert np.concatenate([batch.rows for batch in batches]).tolist() == [1, 2, 3, 5, 6]
        assert [len(batch.rows) for batch in batches] == [3, 2]
        assert one.skipped == [0, 4]


def test_an_image_whose_labels_cannot_be_read_is_bad_too(labels):
    labels.files(3)[1].write_bytes(b"no map")
    one = feeder(labels, skip_bad=True)
    assert 3 not in np.concatenate([batch.rows for batch in one.batches()])
    assert one.skipped == [3]


def test_images_without_labels_can_be_skipped_as_well(tmp_path, labels):
    from interpkit.labels import LabelSet

    folder = tmp_path / "plain"
    folder.mkdir()
    for row in range(3):
        (folder / f"{row}.png").write_bytes(labels.path(row).read_bytes())
    (folder / "1.png").write_bytes(b"no image")
    one = feeder(LabelSet.open(folder), skip_bad=True)
    assert np.concatenate([batch.rows for batch in one.batches()]).tolist() == [0, 2]


def test_reading_ahead_keeps_the_order():
    def slow_first(i: int) -> int:
        time.sleep(0.02 if i == 0 else 0)
        return i * i

    assert [future.result() for future in ahead(slow_first, range(20), workers=4, window=6)] == [
        i * i for i in range(20)
    ]


def test_reading_ahead_goes_no_further_than_the_window():
    started: list[int] = []
    futures = ahead(lambda i: started.append(i) or i, iter(range(1000)), workers=2, window=5)
    for taken in range(4):
        assert next(futures).result() == taken
        time.sleep(0.02)
        assert len(started) <= taken + 5
    futures.close()
    assert len(started) < 20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows the niceness of a thread")
@pytest.mark.parametrize("yielding", [False, True])
def test_yielding_workers_are_nicer_than_the_others(yielding):
    def niceness(_: int) -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    own = niceness(0)
    found = {future.result() for future in ahead(niceness, range(8), workers=2, window=4, yielding=yielding)}
    assert found == {max(own, feeding.NICENESS) if yielding else own}
    assert niceness(0) == own


def test_workers_that_may_not_yield_work_all_the_same(monkeypatch):
    def refused(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refused, raising=False)
    assert [future.result() for future in ahead(str, range(3), workers=2, window=2, yielding=True)] == ["0", "1", "2"]


@pytest.mark.parametrize(("device", "yielding"), [("cpu", True), ("cuda", False)])
def test_decoding_yields_to_a_network_on_the_processor(labels, monkeypatch, device, yielding):
    asked = []

    def watched(*args, **options):
        asked.append(options["yielding"])
        return ahead(*args, **options)

    monkeypatch.setattr(feeding, "ahead", watched)
    one = feeder(labels)
    monkeypatch.setattr(one._probe, "device", torch.device(device))
    monkeypatch.setattr(one, "_batch", lambda rows, *_, **__: rows)
    assert sum(len(rows) for rows in one.batches()) == 7
    assert asked == [yielding]


def test_an_error_of_the_work_is_the_takers():
    def work(i: int) -> int:
        if i == 3:
            raise KeyError("three")
        return i

    futures = ahead(work, range(10), workers=2, window=4)
    with pytest.raises(KeyError, match="three"):
        [future.result() for future in futures]


def test_an_error_of_the_items_comes_through():
    def items():
        yield 1
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        list(ahead(str, items(), workers=1, window=3))


def test_a_reader_that_stops_early_leaves_no_thread(labels):
    before = threading.active_count()
    batches = feeder(labels, batch_size=1).batches()
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_threads_are_put_back():
    before = torch.get_num_threads()
    with threads_set(before + 1) as count:
        assert count == torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(KeyError), threads_set(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before
    with threads_set(None) as count:
        assert count == before


@pytest.mark.parametrize("threads", [0, -2])
def test_threads_that_cannot_be(threads):
    before = torch.get_num_threads()
    with pytest.raises(InterpkitError, match=f"threads must be at least 1, not {threads}"), threads_set(threads):
        pass
    assert torch.get_num_threads() == before


def layouts(net: torch.nn.Module) -> list[tuple[int, tuple[int, ...], bytes]]:
    return [(p.data_ptr(), p.stride(), p.detach().numpy().tobytes()) for p in net.parameters()]


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
@pytest.mark.parametrize("fails", [False, True])
def test_weights_lie_as_before(memory_format, fails):
    net = small_network()
    net.late.weight.data = net.late.weight.data.contiguous(memory_format=torch.channels_last)
    before = layouts(net)
    try:
        with weights_in(net, memory_format):
            assert net.early.weight.is_contiguous(memory_format=feeding.FORMATS[memory_format])
            assert net.late.weight.is_contiguous(memory_format=feeding.FORMATS[memory_format])
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert layouts(net) == before


def inputs(count: int = 2) -> list[np.ndarray]:
    return [np.random.default_rng(i).normal(size=(3, 32, 32)).astype(np.float32) for i in range(count)]


def test_the_fastest_way_is_kept(monkeypatch):
    speed = {(size, name): 1.0 for size in feeding.CPU_BATCHES for name in feeding.FORMATS}
    speed[4, "channels_last"] = 0.2
    tried = []

    def timed(_probe, _images, combination, *, warm):
        tried.append((combination, warm))
        return speed[combination]

    monkeypatch.setattr(feeding, "_time_once", timed)
    found = tune(probe(), inputs())
    assert (found.batch_size, found.memory_format) == (4, "channels_last")
    assert found.milliseconds == pytest.approx(200)
    assert found.threads == torch.get_num_threads()
    assert {(size, name) for size, name, _ in found.timings} == set(speed)
    first = tried[: len(speed)]
    assert not any(warm for _, warm in first)  # each is warmed up once
    assert all(combination == (4, "channels_last") and warm for combination, warm in tried[len(speed) :])


def test_tuning_takes_no_longer_than_its_time(monkeypatch):
    monkeypatch.setattr(feeding, "TUNING_SECONDS", 0.05)
    calls = []

    def timed(_probe, _images, combination, *, warm):
        calls.append(warm)
        time.sleep(0.02)
        return {1: 0.5}.get(combination[0], 1.0)

    monkeypatch.setattr(feeding, "_time_once", timed)
    found = tune(probe(), inputs())
    assert len(calls) <= 5
    assert found.batch_size == 1


def test_what_is_asked_for_is_not_tuned():
    found = tune(probe(), inputs(), batch_size=3, memory_format="channels_last")
    assert (found.batch_size, found.memory_format) == (3, "channels_last")
    assert found.milliseconds > 0
    formats = {name for _, name, _ in tune(probe(), inputs(), memory_format="contiguous").timings}
    assert formats == {"contiguous"}
    sizes = {size for size, _, _ in tune(probe(), inputs(), batch_size=2).timings}
    assert sizes == {2}


def test_one_image_fills_a_batch():
    assert tune(probe(), inputs(1), batch_size=5, memory_format="contiguous").batch_size == 5


@pytest.mark.parametrize(
    ("batch_size", "memory_format"), [(0, "auto"), (-1, "contiguous"), (4, "nhwc"), ("auto", "nhwc"), ("many", "auto")]
)
def test_a_feeding_that_cannot_be(batch_size, memory_format):
    with pytest.raises(InterpkitError, match="channels_last"):
        tune(probe(), inputs(), batch_size=batch_size, memory_format=memory_format)


def test_tuning_leaves_the_network_as_it_was():
    net = small_network()
    net.train()
    net.norm.eval()
    before, flags = layouts(net), [module.training for module in net.modules()]
    random = torch.get_rng_state()
    tune(probe(net=net), inputs())
    assert layouts(net) == before
    assert [module.training for module in net.modules()] == flags
    assert torch.equal(torch.get_rng_state(), random)
    assert net.norm.num_batches_tracked == 0


def test_a_feeding_without_measurements_has_no_time():
    assert np.isnan(Feeding(1, "contiguous", 1).milliseconds)
