"""Tensors that depend on sizes alone: made once for each set of arguments, kept, and shared."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

import torch

__all__ = ["holding", "kept"]

_Arguments = ParamSpec("_Arguments")
_Value = TypeVar("_Value")
_HELD: ContextVar[list[object] | None] = ContextVar("held", default=None)


def kept(most: int) -> Callable[[Callable[_Arguments, _Value]], Callable[_Arguments, _Value]]:
    """Keep what a function returns for the newest `most` sets of arguments. Nobody may write to it.

    Where the network is written down as a graph, values are made anew and become part of that graph.
    """

    def decorate(make: Callable[_Arguments, _Value]) -> Callable[_Arguments, _Value]:
        cached = functools.lru_cache(maxsize=most)(make)

        @functools.wraps(make)
        def get(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Value:
            if torch.compiler.is_compiling() or torch.compiler.is_exporting():
                return make(*args, **kwargs)
            value = cached(*args, **kwargs)  # type: ignore[arg-type]  # lru_cache says Hashable, and checks it itself
            if (held := _HELD.get()) is not None:
                held.append(value)
            return value

        return get

    return decorate


@contextmanager
def holding() -> Iterator[list[object]]:
    """List what kept values the body uses, so that they can be held for as long as what was recorded needs them.

    A recorded graph reads memory by its address: a value that is dropped for newer ones must not be freed before it.
    """
    token = _HELD.set([])
    try:
        held = _HELD.get()
        assert held is not None
        yield held
    finally:
        _HELD.reset(token)
