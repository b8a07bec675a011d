"""Multi-scale deformable attention: each token samples a few learned points of every level.

`reference` is pure torch, for gradients, for exports, and for what the others are compared with. `operator` is the
same as one operator of torch, with a kernel for processors (`numba_kernel`) and one for CUDA (`triton_kernel`); these
two import their compilers, and are imported when an operator is chosen.
"""

from ssa_stream.model.deformable.attention import ONNX_NODE, DeformableAttention, keeping_operator
from ssa_stream.model.deformable.choice import Operator, OperatorChoice, build_operator, use_operator
from ssa_stream.model.deformable.reference import reference_points

__all__ = [
    "ONNX_NODE",
    "DeformableAttention",
    "Operator",
    "OperatorChoice",
    "build_operator",
    "keeping_operator",
    "reference_points",
    "use_operator",
]
