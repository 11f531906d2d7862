#!/usr/bin/env python3
"""Forward speed of the FID Inception (pool3, 299 x 299, float32, CPU): ganscope and its peers, in turns (see turns.py).

    python3 -m venv .venv && .venv/bin/pip install onnx onnxruntime openvino numpy
    cargo build --release -p ganscope-inception --example inception
    taskset -c 0,1 .venv/bin/python benches/inception_peers.py [--batch 8] [--threads 2] [--rounds 21]

The graph is inception.skeleton.onnx with random weights: speed does not depend on them. The peers are ONNX
Runtime with all of its optimizations, and OpenVINO with float32 pinned, under both performance hints.
"""
import argparse, os
import numpy as np

import turns

SKELETON = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inception.skeleton.onnx")
PROGRAM = "target/release/examples/inception"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--peers", default="ort,openvino,openvino-throughput")
    parser.add_argument("--program", default=PROGRAM, help="the example of ganscope-inception")
    parser.add_argument("--base", help="another build of it, as one more peer")
    parser.add_argument("--avx2", action="store_true", help="leave AVX-512 unused; ONNX Runtime cannot")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds, until idle threads sleep")
    return parser.parse_args()


def graph():
    """The bytes of the network with random weights, by variance-preserving initialization."""
    import onnx
    model = onnx.load(SKELETON)
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            shape = tuple(tensor.dims)
            scale = (2 / max(1, np.prod(shape[1:]))) ** 0.5 if len(shape) > 1 else 0.0
            values = (scale * rng.standard_normal(shape)).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return model.SerializeToString()


def peers(names, batch, threads):
    """Name and a function that runs once and returns its seconds and those of the processor."""
    model = graph()
    x = np.random.default_rng(1).standard_normal((batch, 3, 299, 299)).astype(np.float32)
    if "ort" in names:
        yield turns.onnxruntime(model, x, threads)
    for name, hint in [("openvino", "LATENCY"), ("openvino-throughput", "THROUGHPUT")]:
        if name in names:
            import openvino as ov
            read = ov.Core().read_model(model=model)
            read.reshape(x.shape)
            yield turns.openvino(read, [x], threads, hint)


def main():
    a = arguments()
    if a.avx2:
        os.environ.update({"AVX2": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"})
    ganscope = lambda program: turns.Ganscope([program, str(a.batch), str(a.threads), "turns"], a.threads)
    programs = {"ganscope": ganscope(a.program)}
    if a.base:
        programs["ganscope, another build"] = ganscope(a.base)
    programs.update(peers(a.peers.split(","), a.batch, a.threads))
    title = f"FID Inception, batch {a.batch}, {a.threads} threads" + (", AVX2" if a.avx2 else "")
    turns.compare(title, programs, a.batch, a.rounds, a.pause)


if __name__ == "__main__":
    main()
