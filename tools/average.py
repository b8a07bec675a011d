"""Average two checkpoints of one run: its weights before a stage and after it.

Weights between the two serve better than either where a stage taught something new on few clips: what it taught is
kept, and what it forgot comes back. Source: Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022.

    python tools/average.py runs/tiny/images.safetensors runs/tiny/last.safetensors -o runs/tiny/average.safetensors
"""

import argparse
from pathlib import Path

from torch import Tensor

from ssa_stream.checkpoints import load_checkpoint, save_checkpoint
from ssa_stream.errors import CheckpointError, SsaStreamError
from ssa_stream.knowledge import knowledge_of
from ssa_stream.model import SSA
from ssa_stream.outputs import NamedPath, check_outputs


def main() -> None:
    """Read the options, write the mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", help="weight file")
    parser.add_argument("second", help="weight file of the same network")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    parser.add_argument("--share", type=float, default=0.5, help="of the second in the mean, 0..1")
    options = parser.parse_args()
    if not 0 <= options.share <= 1:
        parser.error(f"--share is {options.share}; expected 0..1")
    try:
        inputs = [NamedPath("weights", options.first), NamedPath("weights", options.second)]
        check_outputs([NamedPath("--output", str(options.output))], inputs, overwrite=True)
        first, second = (load_checkpoint(path) for path in (options.first, options.second))
        mean = average(first, second, options.share)
    except SsaStreamError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    notes = {"average": f"{options.share} of {Path(options.second).name}, the rest of {Path(options.first).name}"}
    save_checkpoint(options.output, mean, first.config, notes=notes, knowledge=knowledge_of(options.first))
    print(f"wrote {options.output}")


def average(first: SSA, second: SSA, share: float) -> dict[str, Tensor]:
    """Mean of all weights.

    Args:
        first: The one network.
        second: The other one.
        share: Weight of the second; the first has the rest.
    Raises:
        CheckpointError: They are not of one configuration.
    """
    if first.config != second.config:
        raise CheckpointError("the two checkpoints are of different networks; name two of one run")
    of_second = second.state_dict()
    return {
        name: tensor.lerp(of_second[name], share) if tensor.is_floating_point() else tensor
        for name, tensor in first.state_dict().items()
    }


if __name__ == "__main__":
    main()
