#!/usr/bin/env python3
"""Whole runs on two folders of images: `ganscope score` and the tools that it stands in for, in turns.

    python3 -m venv .venv && .venv/bin/pip install torch torchvision torch-fidelity pytorch-fid clean-fid
    cargo build --release
    taskset -c 0,1 .venv/bin/python benches/score_peers.py GENERATED REFERENCE [--rounds 7]

Every tool computes what it can of Inception Score, FID and KID, without a cache, on the weights of the recipe in
tests/golden: speed does not depend on them. pytorch-fid and clean-fid compute FID alone; clean-fid runs the network of
torch-fidelity, since its own is a download. Prints seconds, and ratios of the rounds, with their range.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

import turns

TOOLS = ["torch-fidelity", "pytorch-fid", "clean-fid"]
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("generated")
    parser.add_argument("reference")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--subset", type=int, default=1000, help="images in a subset of KID")
    parser.add_argument("--peers", default=",".join(TOOLS))
    parser.add_argument("--program", default="target/release/ganscope")
    parser.add_argument("--tool", choices=TOOLS, help="run this one once and nothing else")
    parser.add_argument("--weights", help="the checkpoint, with --tool")
    return parser.parse_args()


def write_checkpoint(path):
    sys.path.insert(0, GOLDEN)
    import recipe, torch
    with open(os.path.join(GOLDEN, "data", "inception-weights.json")) as file:
        shapes = json.load(file)
    torch.save({name: torch.from_numpy(recipe.tensor(name, shape, *recipe.span(name, shape)).copy())
                for name, shape in shapes.items()}, path)


def run(a):
    """One run of a tool in this process."""
    import torch
    torch.set_num_threads(a.threads)
    workers, pair = a.threads, [a.generated, a.reference]
    if a.tool == "torch-fidelity":
        import torch_fidelity
        print(torch_fidelity.calculate_metrics(
            input1=pair[0], input2=pair[1], isc=True, fid=True, kid=True, kid_subset_size=a.subset, cuda=False, cache=False,
            feature_extractor_weights_path=a.weights, samples_find_deep=False, verbose=False))
    if a.tool == "pytorch-fid":
        from pytorch_fid import fid_score, inception
        inception.load_state_dict_from_url = lambda *_, **__: torch.load(a.weights)
        print(fid_score.calculate_fid_given_paths(pair, 50, torch.device("cpu"), 2048, workers))
    if a.tool == "clean-fid":
        from cleanfid import fid
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        whole = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=a.weights)
        layers = list(whole.named_children())
        until = [name for name, _ in layers].index("AvgPool") + 1
        layers = torch.nn.Sequential(*(layer for _, layer in layers[:until])).eval()
        fid.build_feature_extractor = lambda *_, **__: lambda images: layers((images - 128) / 128).flatten(1)
        with torch.no_grad():
            print(fid.compute_fid(*pair, mode="clean", num_workers=workers, device=torch.device("cpu"), use_dataparallel=False,
                                  verbose=False))


def seconds(command, threads):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main():
    a = arguments()
    if a.tool:
        return run(a)
    print(turns.processor())
    with tempfile.TemporaryDirectory() as folder:
        weights = os.path.join(folder, "inception.pth")
        write_checkpoint(weights)
        ours = [a.program, "score", a.generated, "-r", a.reference, "-m", "is,fid,kid", "--kid-subset-size", str(a.subset),
                "--weights", weights, "--no-cache", "--threads", str(a.threads)]
        options = ["--weights", weights, "--threads", str(a.threads), "--subset", str(a.subset)]
        tool = lambda name: [sys.executable, __file__, a.generated, a.reference, "--tool", name, *options]
        commands = {"ganscope": ours, **{name: tool(name) for name in a.peers.split(",")}}
        found = {name: [] for name in commands}
        for _ in range(a.rounds):
            for name, command in commands.items():
                found[name].append(seconds(command, a.threads))
                print(f"{name} {found[name][-1]:.1f} s", file=sys.stderr, flush=True)
    for name, times in found.items():
        ratios = sorted(their / our for their, our in zip(times, found["ganscope"]))
        print(f"{name:16}{statistics.median(times):8.1f} s   {statistics.median(ratios):5.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
