"""The SSA network as `torch.nn` modules: pure functions of weights and inputs, one public method per stage."""

from typing import TYPE_CHECKING

from ssa_stream.lazy_names import lazy_names
from ssa_stream.model.config import ClipConfig, FrameDecoderConfig, PixelDecoderConfig, SsaConfig, VideoDecoderConfig

if TYPE_CHECKING:
    from ssa_stream.model.alignment import align_chain
    from ssa_stream.model.carry import CarriedPool, empty_carry, fold
    from ssa_stream.model.clip import TextFeatures
    from ssa_stream.model.clip_forward import ClipOutput, decode_clip, forward_clip
    from ssa_stream.model.deformable import Operator, OperatorChoice, build_operator, use_operator
    from ssa_stream.model.folds import fold_weights
    from ssa_stream.model.offline import ClipMasks, segment_clip
    from ssa_stream.model.precision import Precision
    from ssa_stream.model.preprocess import MaskSizes, network_size, resize_frame, to_input
    from ssa_stream.model.selection import select_queries
    from ssa_stream.model.ssa import SSA
    from ssa_stream.model.stages import FeatureMaps, FrameQueries, Stages
    from ssa_stream.model.video_decoder import WindowOutput
else:
    __getattr__ = lazy_names(
        __name__,
        alignment="align_chain",
        carry="CarriedPool empty_carry fold",
        clip="TextFeatures",
        clip_forward="ClipOutput decode_clip forward_clip",
        deformable="Operator OperatorChoice build_operator use_operator",
        folds="fold_weights",
        offline="ClipMasks segment_clip",
        precision="Precision",
        preprocess="MaskSizes network_size resize_frame to_input",
        selection="select_queries",
        ssa="SSA",
        stages="FeatureMaps FrameQueries Stages",
        video_decoder="WindowOutput",
    )

__all__ = [
    "SSA",
    "CarriedPool",
    "ClipConfig",
    "ClipMasks",
    "ClipOutput",
    "FeatureMaps",
    "FrameDecoderConfig",
    "FrameQueries",
    "MaskSizes",
    "Operator",
    "OperatorChoice",
    "PixelDecoderConfig",
    "Precision",
    "SsaConfig",
    "Stages",
    "TextFeatures",
    "VideoDecoderConfig",
    "WindowOutput",
    "align_chain",
    "build_operator",
    "decode_clip",
    "empty_carry",
    "fold",
    "fold_weights",
    "forward_clip",
    "network_size",
    "resize_frame",
    "segment_clip",
    "select_queries",
    "to_input",
    "use_operator",
]
