"""Programs that run in turns, pinned to the same cores, and the ratios of their times.

Every program runs once per round, one after the other; a ratio is the median over the rounds of the time of
a peer over the time of ganscope in the same round, once for the time that passes and once for the time of
the processor, which other programs on the machine change less (idle threads that spin are counted, so it
is a fair measure for one thread).
"""
import glob, os, platform, statistics, subprocess, time


class Ganscope:
    """An example program, which runs once for each line that it reads and prints the seconds."""

    def __init__(self, command, threads):
        environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self.process = subprocess.Popen(command, env=environment, **pipes)

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
    """A function that runs once and returns its seconds and those of the processor."""
    def seconds():
        start, busy = time.perf_counter(), time.process_time()
        run()
        return time.perf_counter() - start, time.process_time() - busy
    return seconds


def openvino(model, feed, threads, hint):
    """Name and function of a model that OpenVINO has read or converted, with float32 pinned."""
    import openvino as ov
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": hint}
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    version = ov.__version__.split("-")[0]
    return f"OpenVINO {version}, {hint.lower()}", timed(lambda: request.infer(feed))


def onnxruntime(model, feed, threads):
    """Name and function of a model as the bytes of its file, with all optimizations of ONNX Runtime."""
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: feed}
    return f"ONNX Runtime {ort.__version__}", timed(lambda: session.run(None, feed))


def processor():
    lines = open("/proc/cpuinfo").read().splitlines()
    field = lambda name: next((l.split(":")[1].strip() for l in lines if l.startswith(name)), "?")
    flags = set(field("flags").split())
    known = ["avx2", "avx512f", "avx512_bf16", "avx_vnni", "amx_tile"]
    return f"{field('model name')}, family {field('cpu family')} model {field('model')}: " + \
        " ".join(f for f in known if f in flags)


def compare(title, programs, batch, rounds, pause, unit="images/s"):
    """Runs the programs in turns, the first of which is ganscope, and prints rates and ratios.

    `pause` are the seconds before each run, in which idle threads fall asleep.
    """
    print(processor(), platform.system(), f"cores {sorted(os.sched_getaffinity(0))}", sep="; ")
    seconds = {name: [] for name in programs}
    for _ in range(2):
        for run in programs.values():
            run()
    for _ in range(rounds):
        for name, run in programs.items():
            time.sleep(pause)
            seconds[name].append(run())
    ours = seconds.pop("ganscope")
    print(f"{title}, {rounds} rounds")
    print(f"{'':32}{unit} (median, best)   ratio (median, range)   of the processor's time")
    rate = lambda pairs: [batch / f(wall for wall, _ in pairs) for f in (statistics.median, min)]
    print("{:32}{:8.2f} {:8.2f}".format("ganscope", *rate(ours)))
    for name, pairs in seconds.items():
        both = [spread(ours, pairs, kind) for kind in (0, 1)]
        print("{:32}{:8.2f} {:8.2f}         {}   {}".format(name, *rate(pairs), *both))


def spread(ours, theirs, kind):
    """Median and range of the ratios of the wall's (0) or the processor's (1) time."""
    ratios = sorted(other[kind] / own[kind] for other, own in zip(theirs, ours))
    return f"{statistics.median(ratios):5.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
