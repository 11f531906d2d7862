#!/usr/bin/env python3
"""Forward speed of DINOv2 (224 x 224, float32, CPU): ganscope and its peers, in turns.

    python3 -m venv .venv && .venv/bin/pip install torch timm onnx onnxruntime openvino numpy
    cargo build --release -p ganscope-vit --example vit_images_per_second
    taskset -c 0,1 .venv/bin/python benches/vit_peers.py [--size s] [--batch 8] [--threads 2] [--rounds 9]

Every program runs once per round, one after the other; a ratio is the median over the rounds of the time of
a peer over the time of ganscope in the same round, once for the time that passes and once for the time of
the processor, which other programs on the machine change less (idle threads that spin are counted, so it
is a fair measure for one thread). Weights are random: speed does not depend on them.
The peers are timm's model in PyTorch (eager and compiled), its graph in ONNX Runtime with all of its
optimizations, and OpenVINO with float32 pinned, under both performance hints.
"""
import argparse, glob, io, os, platform, statistics, subprocess, time
import numpy as np

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


class Ganscope:
    """The example program, which runs once for each line that it reads."""

    def __init__(self, program, size, batch, threads):
        environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self.process = subprocess.Popen([program, size, str(batch), "turns"], env=environment, **pipes)

    def busy(self):
        """Seconds of the processor so far."""
        threads = glob.glob(f"/proc/{self.process.pid}/task/*/schedstat")
        return 1e-9 * sum(int(open(thread).read().split()[0]) for thread in threads)

    def __call__(self):
        busy = self.busy()
        self.process.stdin.write("\n")
        seconds = float(self.process.stdout.readline())
        return seconds, self.busy() - busy


def timed(run):
    def seconds():
        start, busy = time.perf_counter(), time.process_time()
        run()
        return time.perf_counter() - start, time.process_time() - busy
    return seconds


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
        return timed(run)

    found = {}
    if "eager" in names:
        found[f"PyTorch {torch.__version__}, eager"] = inference(model)
    if "compile" in names:
        found[f"PyTorch {torch.__version__}, compiled"] = inference(torch.compile(model))
    if "ort" in names:
        found.update(onnxruntime(model, x, threads))
    for name, hint in [("openvino", "LATENCY"), ("openvino-throughput", "THROUGHPUT")]:
        if name in names:
            found.update(openvino(model, x, threads, hint))
    return found


def onnxruntime(model, x, threads):
    import onnxruntime as ort, torch
    # Attention as two products and a softmax: the form that the runtime knows on a CPU.
    from timm.layers import Attention
    fused = [m for m in model.modules() if isinstance(m, Attention)]
    for module in fused:
        module.fused_attn = False
    file = io.BytesIO()
    torch.onnx.export(model, (x,), file, dynamo=False, opset_version=17)
    for module in fused:
        module.fused_attn = True
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x.numpy()}
    return {f"ONNX Runtime {ort.__version__}": timed(lambda: session.run(None, feed))}


def openvino(model, x, threads, hint):
    import openvino as ov
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": hint}
    converted = ov.convert_model(model, example_input=x, input=[tuple(x.shape)])
    request = ov.Core().compile_model(converted, "CPU", settings).create_infer_request()
    version = ov.__version__.split("-")[0]
    feed = [x.numpy()]
    return {f"OpenVINO {version}, {hint.lower()}": timed(lambda: request.infer(feed))}


def processor():
    lines = open("/proc/cpuinfo").read().splitlines()
    field = lambda name: next((l.split(":")[1].strip() for l in lines if l.startswith(name)), "?")
    flags = set(field("flags").split())
    known = ["avx2", "avx512f", "avx512_bf16", "avx_vnni", "amx_tile"]
    return f"{field('model name')}, family {field('cpu family')} model {field('model')}: " + \
        " ".join(f for f in known if f in flags)


def main():
    a = arguments()
    print(processor(), platform.system(), f"cores {sorted(os.sched_getaffinity(0))}", sep="; ")
    programs = {"ganscope": Ganscope(a.program, a.size, a.batch, a.threads)}
    programs.update(peers(a.peers.split(","), a.size, a.batch, a.threads))
    seconds = {name: [] for name in programs}
    for _ in range(2):
        for run in programs.values():
            run()
    for _ in range(a.rounds):
        for name, run in programs.items():
            time.sleep(a.pause)
            seconds[name].append(run())
    ours = seconds.pop("ganscope")
    print(f"DINOv2 {a.size.upper()}/14, batch {a.batch}, {a.threads} threads, {a.rounds} rounds")
    print(f"{'':32}images/s (median, best)   ratio (median, range)   of the processor's time")
    rate = lambda pairs: [a.batch / f(wall for wall, _ in pairs) for f in (statistics.median, min)]
    print("{:32}{:8.2f} {:8.2f}".format("ganscope", *rate(ours)))
    for name, pairs in seconds.items():
        both = [spread(ours, pairs, kind) for kind in (0, 1)]
        print("{:32}{:8.2f} {:8.2f}         {}   {}".format(name, *rate(pairs), *both))


def spread(ours, theirs, kind):
    """Median and range of the ratios of the wall's (0) or the processor's (1) time."""
    ratios = sorted(other[kind] / own[kind] for other, own in zip(theirs, ours))
    return f"{statistics.median(ratios):5.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


if __name__ == "__main__":
    main()
