"""Capture on the GPU, where there is one; elsewhere that it is refused, and what it rests on."""

import pytest
from cuda_double import cuda  # noqa: F401

from paysage import backends as be
from paysage.errors import BackendError


def test_on_the_cpu_nothing_can_be_captured():
    called = []
    assert not be.can_capture()
    assert not be.is_capturing()
    be.warm_up(lambda: called.append(1))
    assert called == [1]
    with pytest.raises(BackendError, match="only the GPU"):
        be.capture(lambda: called.append(2))
    assert called == [1]


@pytest.mark.backend_free
def test_what_comes_from_outside_is_kept(gpu_path):
    from paysage.backends.pytorch_backend.capture import Outside

    x, y, unused = be.ones((3, 2)), be.ones((2,)), be.ones((2,))
    with Outside() as outside:
        z = x[:2] * y
        z += be.exp(z) + be.rand((2, 2))
        x[0] = 2.0 * z[1]
    addresses = {t.untyped_storage().data_ptr() for t in outside.tensors}
    assert {t.data_ptr() for t in (x, y)} <= addresses
    assert not {t.data_ptr() for t in (z, unused)} & addresses


@pytest.mark.backend_free
def test_a_graph_is_captured_beside_the_stream_in_use(cuda):  # noqa: F811
    x = be.ones((3,))
    be.warm_up(lambda: cuda.tell("work on", cuda.stream_in_use))
    assert cuda.told == ["side waits for usual", "work on side", "usual waits for side"]
    cuda.told.clear()
    replay = be.capture(lambda: x.mul_(2.0))
    replay()
    replay()
    wanted = ["register", "begin capture on side", "end capture", "replay", "replay"]
    assert cuda.told == wanted
    assert replay.args[1][0] is x, "what the graph works on lives as long as the replay"
    assert cuda.stream_in_use == "usual"


@pytest.mark.backend_free
def test_a_capture_that_fails_leaves_everything_as_it_was(cuda):  # noqa: F811
    from paysage.backends.pytorch_backend.random import gpu_generator

    def fails():
        be.rand((2,))
        raise RuntimeError("the device was waited for")

    be.set_seed(5)
    wanted, before = be.to_numpy_array(be.rand((3,))), gpu_generator()
    be.set_seed(5)
    with pytest.raises(BackendError, match="the device was waited for"):
        be.capture(fails)
    assert gpu_generator() is not before
    assert (be.to_numpy_array(be.rand((3,))) == wanted).all()
    assert cuda.stream_in_use == "usual"


@pytest.mark.gpu
@pytest.mark.backend_free
def test_gpu_replays_do_what_the_function_does(on_gpu):
    def work():
        x.mul_(0.5).add_(be.rand((4, 3)) * scale)
        be.beta_process_step_(beta, 0.9, 0.6)

    found = []
    for captured in (False, True):
        be.set_seed(3)
        x, scale, beta = be.ones((4, 3)), be.float_scalar(1.0), be.beta_process_start(5, 0.6)
        be.warm_up(work)
        run = be.capture(work) if captured else work
        for k in range(4):
            be.fill_(scale, 1.0 + k)
            run()
        found.append([be.to_numpy_array(t) for t in (x, beta, be.rand((2,)))])
    for a, b in zip(*found, strict=True):
        assert (a == b).all()


@pytest.mark.gpu
@pytest.mark.backend_free
def test_gpu_says_what_cannot_be_captured(on_gpu):
    x = be.ones((3,))
    with pytest.raises(BackendError, match="captured"):
        be.capture(lambda: float(x[0]))
    assert be.to_numpy_array(x + be.rand((3,))).shape == (3,)  # it goes on working
    assert not be.is_capturing()


@pytest.mark.gpu
@pytest.mark.backend_free
def test_gpu_work_can_see_that_it_is_captured(on_gpu):
    seen, x = [], be.ones((3,))

    def work():
        seen.append(be.is_capturing())
        x.mul_(2.0)

    be.warm_up(work)
    be.capture(work)()
    assert seen == [False, True]
