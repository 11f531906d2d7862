#!/usr/bin/env python3
"""Forward speed of DINOv2 (224 x 224, float32, CPU): ganscope and its peers, in turns (see turns.py).

    python3 -m venv .venv && .venv/bin/pip install torch timm onnx onnxruntime openvino numpy
    cargo build --release -p ganscope-vit --example vit_images_per_second
    taskset -c 0,1 .venv/bin/python benches/vit_peers.py [--size s] [--batch 8] [--threads 2] [--rounds 9]

Weights are random: speed does not depend on them. The peers are timm's model in PyTorch (eager and compiled),
its graph in ONNX Runtime with all of its optimizations, and OpenVINO with float32 pinned, under both
performance hints.
"""
import argparse, io

import turns

SIZES = {"s": "vit_small_patch14_dinov2", "b": "vit_base_patch14_dinov2", "l": "vit_large_patch14_dinov2"}
PROGRAM = "target/release/examples/vit_images_per_second"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="s")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", default="eager,compile,ort,openvino,openvino-throughput")
    parser.add_argument("--program", default=PROGRAM, help="the example of ganscope-vit")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds, until idle threads sleep")
    return parser.parse_args()


def peers(names, size, batch, threads):
    """Name and a function that runs once and returns its seconds and those of the processor."""
    import timm, torch
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = timm.create_model(SIZES[size], pretrained=False, img_size=224, num_classes=0).eval()
    x = torch.randn(batch, 3, 224, 224)

    def inference(module):
        def run():
            with torch.inference_mode():
                module(x)
        return turns.timed(run)

    if "eager" in names:
        yield f"PyTorch {torch.__version__}, eager", inference(model)
    if "compile" in names:
        yield f"PyTorch {torch.__version__}, compiled", inference(torch.compile(model))
    if "ort" in names:
        yield turns.onnxruntime(exported(model, x), x.numpy(), threads)
    for name, hint in [("openvino", "LATENCY"), ("openvino-throughput", "THROUGHPUT")]:
        if name in names:
            import openvino as ov
            converted = ov.convert_model(model, example_input=x, input=[tuple(x.shape)])
            yield turns.openvino(converted, [x.numpy()], threads, hint)


def exported(model, x):
    """The graph in ONNX, attention as two products and a softmax: the form that the runtime knows on a CPU."""
    import torch
    from timm.layers import Attention
    fused = [m for m in model.modules() if isinstance(m, Attention)]
    for module in fused:
        module.fused_attn = False
    file = io.BytesIO()
    torch.onnx.export(model, (x,), file, dynamo=False, opset_version=17)
    for module in fused:
        module.fused_attn = True
    return file.getvalue()


def main():
    a = arguments()
    programs = {"ganscope": turns.Ganscope([a.program, a.size, str(a.batch), "turns"], a.threads)}
    programs.update(peers(a.peers.split(","), a.size, a.batch, a.threads))
    title = f"DINOv2 {a.size.upper()}/14, batch {a.batch}, {a.threads} threads"
    turns.compare(title, programs, a.batch, a.rounds, a.pause)


if __name__ == "__main__":
    main()
