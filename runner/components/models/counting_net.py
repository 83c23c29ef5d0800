"""Multiply-adds of a network, counted where its convolutions and products of matrices are called.

Owns which calls count, and how much each: attention and what a layer computes by functions too. The
one way in which they are counted; on the meta device, nothing is computed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch.overrides import TorchFunctionMode

CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d", "linear"})
TRANSPOSED = frozenset({"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"})
PRODUCTS = frozenset({"matmul", "__matmul__", "bmm", "mm", "mv", "dot"})
COMPOSED = frozenset(
    {
        *("einsum", "multi_head_attention_forward", "scaled_dot_product_attention"),
        *("addmm", "baddbmm", "addbmm", "addmv", "bilinear"),
    }
)
"""Calls that hold several products, or are seldom: torch's own counter looks into them."""


class MultiplyAdds(TorchFunctionMode):
    """Counts what is called while it is entered.

    Attributes:
        total: multiply-adds so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function, and count it."""
        name, named = getattr(func, "__name__", ""), dict(kwargs or {})
        if name in COMPOSED:
            from torch.utils.flop_counter import FlopCounterMode

            with FlopCounterMode(display=False) as counter:
                output = func(*args, **named)
            self.total += counter.get_total_flops() // 2  # torch counts two operations each
            return output
        output = func(*args, **named)
        self.total += _counted(name, [*args, *named.values()], output)
        return output


def _counted(name: str, given: Sequence[Any], output: Any) -> int:
    """Return the multiply-adds of a call, of whose arguments the first two are its factors."""
    if name in CONVOLUTIONS:
        return int(output.numel() * given[1][0].numel())
    if name in TRANSPOSED:
        return int(given[0].numel() * given[1][0].numel())
    if name in PRODUCTS:
        return int(output.numel() * given[0].shape[-1])
    return 0
