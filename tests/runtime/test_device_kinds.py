"""What a device is given at once, by its kind."""

from types import SimpleNamespace

import jax

from rwejax.runtime.device_kinds import DeviceKind, kind_of
from rwejax.runtime.devices import memory


def test_a_cpu_computes_row_by_row_on_maps_that_its_cache_holds_in_a_third_of_the_machines_memory():
    kind = kind_of(jax.devices("cpu")[0])
    assert (kind.platform, kind.memory, kind.shared) == ("cpu", memory(), True)
    assert (kind.chunk_sizes, kind.heads_at_once, kind.precision) == ((1,), 1, "float32")
    assert [kind.images_at_once(size) for size in (1, 2**14, 2**20)] == [2**21, 128, 8]
    assert kind.map_memory(1) == kind.map_memory(2) == memory() / 3, "its devices share it"


def live(stats):
    return SimpleNamespace(platform="gpu", device_kind="large", memory_stats=lambda: stats)


def test_an_accelerator_computes_several_rows_of_many_images_in_half_of_its_own_memory():
    kind = kind_of(live({"bytes_limit": 1000}))
    assert kind == DeviceKind("gpu", "large", 1000)
    assert (kind.chunk_sizes, kind.heads_at_once, kind.images_at_once(2**20)) == ((12, 3), 8, 1024)
    assert [kind.map_memory(devices) for devices in (1, 2)] == [500, 1000]
    tpu = DeviceKind("tpu", "small", 900)
    assert tpu.map_memory(1) == 300
    assert (kind.precision, tpu.precision) == ("tensorfloat32", "bfloat16")


def test_one_that_does_not_say_how_much_it_has_is_given_a_third_of_the_machines():
    for stats in (None, {}):
        kind = kind_of(live(stats))
        assert kind.map_memory(2) == memory() / 3
        assert kind.chunk_sizes == (12, 3)
