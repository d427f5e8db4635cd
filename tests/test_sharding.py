"""Placement, padding and the roll call, on one device and in one process."""

import json
import socket
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sharding.running import free_port

from jaxcalc import sharding
from jaxcalc.sharding._roll_call import roll_call

ROWS = {"x": np.arange(14.0).reshape(7, 2), "y": np.arange(7.0)}


# Eight devices, in name: enough for what is asked before anything is placed.
WIDE = jax.sharding.Mesh(np.array(jax.devices()[:1] * 8), ("data",))


def test_a_mesh_holds_all_devices_and_leaves_the_sharding_to_the_compiler():
    mesh = sharding.mesh()
    assert mesh.axis_names == ("data",)
    assert mesh.size == jax.device_count()
    assert set(mesh.axis_types) == {jax.sharding.AxisType.Auto}
    assert sharding.mesh("a", "b", shape=(1, -1)).shape == {"a": 1, "b": mesh.size}


@pytest.mark.parametrize(
    ("names", "shape", "words"),
    [
        (("a", "a"), (1, 1), "name of its own"),
        (("a", "b"), None, "`shape` is needed"),
        (("a", "b"), (1,), "one size for each"),
        (("a",), (3,), "number of devices, 1; got"),
        (("a", "b"), (-1, -1), "one size for each"),
        (("a",), (0,), "one size for each"),
    ],
)
def test_a_mesh_that_can_not_be_says_why(names, shape, words):
    with pytest.raises(ValueError, match=words):
        sharding.mesh(*names, shape=shape, devices=jax.devices()[:1])


def test_the_name_of_an_axis_is_a_string():
    with pytest.raises(TypeError):
        sharding.mesh(4)


def test_padded_rows_count_for_nothing():
    padded, weights = sharding.pad_rows(ROWS, 4)
    assert padded["x"].shape == (8, 2)
    mean = np.sum(weights * padded["y"] ** 2) / np.sum(weights)
    assert mean == np.mean(ROWS["y"] ** 2)
    same, ones = sharding.pad_rows(ROWS, 7)
    assert same is ROWS
    assert ones.tolist() == [1.0] * 7


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (ROWS, "7 rows can't be shared evenly by 8 devices: drop the last 7"),
        ({"x": ROWS["x"], "y": 1.0}, r"`tree\['y'\]` has no rows"),
        ({"x": ROWS["x"], "y": np.ones(3)}, "equally many rows"),
        ((), "holds no arrays"),
    ],
)
def test_rows_that_can_not_be_shared_say_why(tree, words):
    with pytest.raises(ValueError, match=words):
        sharding.shard_rows(tree, WIDE)


def test_an_unknown_axis_is_named():
    with pytest.raises(ValueError, match="unknown axis 'model'; there are 'data'"):
        sharding.shard_rows(ROWS, WIDE, "model")


def test_leaves_that_nobody_can_share_are_an_error():
    with pytest.raises(ValueError, match="no leaf of `params` has an axis"):
        sharding.shard_leaves({"w": np.ones((3, 5)), "b": 0.0}, WIDE)


def test_lanes_are_padded_and_unpadded():
    tree = (np.arange(6.0).reshape(2, 3), jax.random.split(jax.random.key(0), 3))
    padded = sharding.pad_lanes(tree, 8)
    assert padded[0][0].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert padded[1].shape == (8,)
    back = sharding.unpad_lanes(padded, 3)
    assert np.array_equal(back[0], tree[0])
    assert sharding.pad_lanes(tree, 3) is tree


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (np.ones((2, 3)), "3 lanes can't be shared evenly by 8 devices"),
        ({"a": np.ones(8), "b": np.ones((8, 3))}, r"`tree\['b'\]` must have 8 lanes"),
        (1.0, "some lanes"),
        ((), "no arrays"),
    ],
)
def test_lanes_that_can_not_be_shared_say_why(tree, words):
    with pytest.raises(ValueError, match=words):
        sharding.shard_lanes(tree, WIDE)


def test_a_function_must_return_lanes_along_the_last_axis():
    run = sharding.sharded_lanes(lambda x, s: (x, jnp.sum(s)), sharding.mesh())
    with pytest.raises(ValueError, match=r"`what is returned\[1\]` must have 2 lanes"):
        jax.jit(run)(jnp.ones(2), jnp.ones(2))


def test_alone_everything_is_here():
    assert sharding.is_main()
    sharding.barrier()
    found = sharding.gathered({"x": jnp.ones(3), "key": jax.random.key(1), "n": 2.0})
    assert found["key"].tolist() == jax.random.key_data(jax.random.key(1)).tolist()
    assert found["x"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"processes": 2}, "missing: coordinator, index"),
        ({"coordinator": "here:1", "index": 0}, "missing: processes"),
        ({"coordinator": "here", "processes": 2, "index": 0}, "address:port"),
        ({"coordinator": "here:70000", "processes": 2, "index": 0}, "address:port"),
        ({"coordinator": "here:1", "processes": 2, "index": 2}, "from 0 to 1 for 2"),
        ({"coordinator": "here:1", "processes": 2, "index": -1}, "at least 0"),
        ({"coordinator": "here:1", "processes": 0, "index": 0}, "at least 1"),
        ({"timeout": 0.0}, "positive"),
    ],
)
def test_a_start_that_can_not_be_says_why(given, words):
    with pytest.raises(ValueError, match=words):
        sharding.start(**given)


def test_a_start_after_jax_was_used_is_an_error():
    jnp.ones(()).block_until_ready()
    with pytest.raises(RuntimeError, match="used already"):
        sharding.start("127.0.0.1:1", 2, 0)


def called(*callers, timeout=20.0):
    """What each of several processes hears in a roll call: an error, or None."""
    address, heard = f"127.0.0.1:{free_port()}", [None] * len(callers)

    def call(place, processes, index):
        try:
            roll_call(address, processes, index, timeout)
        except (TimeoutError, ValueError) as error:
            heard[place] = error

    threads = [
        threading.Thread(target=call, args=(place, *caller))
        for place, caller in enumerate(callers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return heard


def test_a_roll_call_ends_when_all_are_there():
    assert called((3, 1), (3, 0), (3, 2)) == [None] * 3


def test_two_processes_with_one_index_are_told_so():
    errors = called((3, 0), (3, 1), (3, 1))
    assert all(isinstance(error, ValueError) for error in errors)
    assert all("two processes have the index 1" in str(error) for error in errors)


def test_processes_that_count_differently_are_told_so():
    errors = called((2, 0), (3, 1))
    assert all("do not agree on how many there are" in str(error) for error in errors)


def test_who_did_not_come_is_named():
    errors = called((4, 0), (4, 2), timeout=0.5)
    assert all(isinstance(error, TimeoutError) for error in errors)
    assert all("with index 1, 3" in str(error) for error in errors)


def test_a_process_that_nobody_answers_says_so():
    (error,) = called((2, 1), timeout=0.3)
    assert isinstance(error, TimeoutError)
    assert "nobody answers" in str(error)


def test_a_second_process_0_is_told_so():
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match="has index 0 too"):
            roll_call(f"127.0.0.1:{port}", 2, 0, 1.0)


def test_strangers_and_processes_that_came_and_went_do_not_disturb():
    port, heard = free_port(), []

    def call(index):
        try:
            roll_call(f"127.0.0.1:{port}", 3, index, 20.0)
        except (TimeoutError, ValueError) as error:
            heard.append(error)

    threads = [threading.Thread(target=call, args=(index,)) for index in (0, 1, 2)]
    threads[0].start()
    card = {"index": 1, "processes": 3, "jax": jax.__version__, "who": "a first try"}
    said = [b"GET / HTTP/1.0\r\n\r\n", b"{}\n", b"", json.dumps(card).encode() + b"\n"]
    for words in said:
        with connected(port) as line:
            line.sendall(words)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert heard == []


def connected(port):
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            threading.Event().wait(0.05)
    raise AssertionError("nobody listens")
