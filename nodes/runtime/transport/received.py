"""A received message with its tensors."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import NDArray

from ssa_stream.protocols import AnyMessage, TensorSpec

if TYPE_CHECKING:
    import torch

__all__ = ["ReceivedMessage"]


class ReceivedMessage(ABC):
    """A message and access to its tensors, until it is released.

    Between processes tensors lie in memory of the sender, which uses it again after `release`: whoever keeps a tensor
    longer clones it. Nobody writes to one.

    Attributes:
        message: What was said.
        received_ns: When it came, by the transport's clock.
    """

    def __init__(self, message: AnyMessage, received_ns: int) -> None:
        self.message = message
        self.received_ns = received_ns

    @abstractmethod
    def tensor(self, spec: TensorSpec, device: "torch.device | str | None" = None) -> "torch.Tensor":
        """A tensor of the message, in the memory order of its sender.

        Args:
            spec: One of the message's.
            device: Where it shall be; None leaves it where it is. Moving it copies it.
        """

    @abstractmethod
    def array(self, spec: TensorSpec) -> NDArray[Any]:
        """A tensor of the message as read-only array, of its shape; the bits of bfloat16 as uint16."""

    @abstractmethod
    def is_valid(self) -> bool:
        """Whether the tensors still are what was sent.

        False once the sender has taken the memory back, which it does when this receiver counts as lost: ask after the
        work on them, and throw the result away.
        """

    @abstractmethod
    def release(self) -> None:
        """Give the memory of the tensors back. May be called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
