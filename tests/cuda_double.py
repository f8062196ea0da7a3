"""Stands in for `torch.cuda`: the code that asks it for streams, events and graphs runs on the CPU.

It notes what it is asked for, in order; it does nothing, and a graph that is replayed does nothing.
"""

from __future__ import annotations

from contextlib import contextmanager

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


class Double:
    def __init__(self):
        self.told = []
        self.stream_in_use = "usual"

    def tell(self, *words):
        self.told.append(" ".join(map(str, words)))

    def current_stream(self):
        return Stream(self, self.stream_in_use)

    def set_stream(self, stream):
        self.stream_in_use = stream.name

    @contextmanager
    def stream(self, stream):
        before, self.stream_in_use = self.stream_in_use, stream.name
        yield
        self.stream_in_use = before

    @contextmanager
    def graph(self, graph, stream, capture_error_mode):
        assert capture_error_mode == "thread_local"
        self.tell("begin capture on", stream.name)
        before, self.stream_in_use = self.stream_in_use, stream.name
        try:
            yield
        except RuntimeError as error:
            # as PyTorch does: the stream is not put back, and another error hides the first
            raise RuntimeError("the capture is invalid") from error
        self.stream_in_use = before
        self.tell("end capture")


class Stream:
    def __init__(self, double, name="side"):
        self.double, self.name = double, name

    def wait_stream(self, other):
        self.double.tell(self.name, "waits for", other.name)

    def wait_event(self, event):
        self.double.tell(self.name, "waits for copy", event.number)

    def record_event(self):
        event = Event(self.double)
        event.number = "use"
        return event


class Event:
    def __init__(self, double):
        self.double, self.number = double, None

    def record(self):
        assert self.double.stream_in_use == "side"
        self.number = sum(word.startswith("copy") for word in self.double.told)
        self.double.tell("copy", self.number)

    def synchronize(self):
        if self.number is not None:
            self.double.tell("host waits for", self.number)


class Graph:
    def __init__(self, double):
        self.double = double

    def register_generator_state(self, generator):
        assert isinstance(generator, torch.Generator)
        self.double.tell("register")

    def replay(self):
        self.double.tell("replay")


@pytest.fixture
def cuda(gpu_path, monkeypatch):
    """The code for the GPU with a `torch.cuda` that only notes what it is asked for."""
    from paysage.backends.pytorch_backend import capture, transfer

    double = Double()
    for name in ("current_stream", "set_stream", "stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, getattr(double, name))
    for name, kind in (("Stream", Stream), ("Event", Event), ("CUDAGraph", Graph)):
        monkeypatch.setattr(torch.cuda, name, lambda kind=kind: kind(double))
    monkeypatch.setattr(
        torch.Tensor, "record_stream", lambda tensor, stream: double.tell("used by", stream.name)
    )
    monkeypatch.setattr(transfer, "pinned_memory", torch.empty)
    capture._side_stream.cache_clear()
    yield double
    capture._side_stream.cache_clear()
