"""How fast the bare network is, stage by stage, for ssa-tiny and the sizes around it that were weighed.

    python benchmarks/model_sizes.py                    # 128x224 on this machine's CPU, under a minute
    python benchmarks/model_sizes.py --model ssa-large --size 800x448 --device cuda --dtype bfloat16

Each figure is the fastest of many runs, the one least disturbed by other load. One prompt, one frame at a time, a
window of eight frames.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

from ssa_stream.configs import load_config
from ssa_stream.model import SSA, SsaConfig, align_chain

_FULL_DEPTH: dict[str, Any] = {
    "pixel_decoder": {"num_layers": 6},
    "frame_decoder": {"num_layers": 9},
    "video_decoder": {"num_layers": 6},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "as configured": {},
    "published depths (6/9/6)": _FULL_DEPTH,
    "hidden width 64": {"hidden_dim": 64},
    "hidden width 128": {"hidden_dim": 128},
    "published inner widths": {"adapter_dim": 256, "pixel_decoder": {"ffn_dim": 1024, "fusion_dim": 512}},
    "former trunk (atto)": {"clip": {"definition": {"vision_cfg": {"timm_model_name": "convnext_atto"}}}},
}
STAGES = ("stem", "condition", "pixels", "queries", "window")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ssa-tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--size", default="224x128", help="WIDTHxHEIGHT at the network, multiples of 32")
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    place = torch.cuda.get_device_name() if options.device.startswith("cuda") else f"{torch.get_num_threads()} threads"
    print(f"{options.model}, {options.dtype}, {options.device} ({place}), {options.size}; milliseconds per frame\n")
    print(f"{'':<28}{'params M':>9}" + "".join(f"{stage:>11}" for stage in STAGES) + f"{'total':>9}{'fps':>7}")
    base = load_config("model", options.model)
    variants = VARIANTS if options.model == "ssa-tiny" else {"as configured": {}}
    for title, changes in variants.items():
        torch.manual_seed(0)
        model = SSA(SsaConfig.from_mapping(_merged(base, changes))).eval()
        model = model.to(options.device).cast(getattr(torch, options.dtype))
        ms = stage_times(model, (height, width), options.runs)
        total = sum(ms.values())
        parameters = sum(p.numel() for p in model.parameters()) / 1e6
        row = "".join(f"{ms[stage]:>11.1f}" for stage in STAGES)
        print(f"{title:<28}{parameters:>9.1f}{row}{total:>9.1f}{1000 / total:>7.1f}")


@torch.inference_mode()
def stage_times(model: SSA, size: tuple[int, int], runs: int) -> dict[str, float]:
    """Fastest time of each stage in ms; `pixels` and `queries` are the two halves of `generate_queries`."""
    images = torch.randn(1, 3, *size, device=model.device, dtype=model.dtype)
    text = model.encode_text(["the red circle moving left"])
    stem = model.encode_stem(images)
    maps = model.condition(stem, text)
    sentence = model.sentence_resizer(text.sentence)
    pixels = model.pixel_decoder(maps, sentence)
    made = model.generate_queries(maps, text)
    aligned = model.project_queries(made.queries)[:, None].repeat(1, 8, 1, 1)
    vectors = made.text[:, None].repeat(1, 8, 1)

    def decode() -> None:
        align_chain(aligned[:, :1], aligned[:, 0])
        window = model.decode_window(aligned, vectors)
        model.predict_masks(window.mask_embedding[:, :2], made.mask_features)

    work: dict[str, Callable[[], object]] = {
        "stem": lambda: model.encode_stem(images),
        "condition": lambda: model.condition(stem, text),
        "pixels": lambda: model.pixel_decoder(maps, sentence),
        "queries": lambda: model.frame_decoder(pixels),
        "window": decode,
    }
    return {stage: min(_time_ms(model, do) for _ in range(runs)) for stage, do in work.items()}


def _time_ms(model: SSA, do: Callable[[], object]) -> float:
    begin = time.perf_counter()
    do()
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return (time.perf_counter() - begin) * 1e3


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = _merged(merged[key], value) if isinstance(value, dict) else value
    return merged


if __name__ == "__main__":
    main()
