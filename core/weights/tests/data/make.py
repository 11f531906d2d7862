"""Writes the files of this folder with PyTorch and NumPy; `values.json` holds what is in them."""
import io
import json
import pickle
import sys
import types
from collections import OrderedDict

import numpy as np
import torch

values = {}


def note(file, arrays):
    values[file] = {
        name: {"shape": list(a.shape), "values": np.asarray(a, np.float64).ravel().tolist()}
        for name, a in arrays.items()
    }


def as_numpy(tensor):
    return tensor.detach().double().numpy()


base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 8 - 1
tensors = OrderedDict(
    bool=torch.tensor([True, False, True]),
    u8=torch.tensor([0, 7, 255], dtype=torch.uint8),
    i8=torch.tensor([-128, 7, 127], dtype=torch.int8),
    i16=torch.tensor([-32768, 7], dtype=torch.int16),
    i32=torch.tensor([-(2**31), 7], dtype=torch.int32),
    i64=torch.tensor([-(2**40), 7]),
    f16=torch.tensor([0.5, -65504.0, 6e-8], dtype=torch.float16),
    bf16=torch.tensor([0.5, -3.0e38, 1.0], dtype=torch.bfloat16),
    f32=torch.tensor([0.1, -2.5]),
    f64=torch.tensor([0.1, -2.5], dtype=torch.float64),
    scalar=torch.tensor(3.5),
    empty=torch.zeros(0, 4),
    transposed=base.permute(2, 0, 1),
    channels_last=torch.arange(48.0).reshape(2, 3, 2, 4).contiguous(memory_format=torch.channels_last),
    expanded=torch.tensor([[1.0], [2.0]]).expand(2, 3),
    sliced=base[1:, 1:, ::2],
    tied=base,
    parameter=torch.nn.Parameter(torch.tensor([[1.0, 2.0]])),
)
for file, options in {
    "dtypes-zip.pth": {},
    "dtypes-legacy.pth": {"_use_new_zipfile_serialization": False},
    "dtypes-protocol4.pth": {"pickle_protocol": 4},
}.items():
    torch.save(tensors, file, **options)
    note(file, {name: as_numpy(t) for name, t in tensors.items()})

linear = lambda k: OrderedDict([("weight", torch.full((2, 2), k)), ("bias", torch.full((2,), -k))])
torch.save({"g": linear(1.0), "g_ema": linear(2.0), "latent_avg": torch.ones(3), "args": {"size": 8}},
           "training-state.pth")
note("training-state.pth", {"weight": np.full((2, 2), 2.0), "bias": np.full(2, -2.0), "latent_avg": np.ones(3)})
torch.save({"epoch": 3, "first": linear(1.0), "second": linear(2.0)}, "ambiguous.pth")
torch.save({"epoch": 3, "losses": [0.5, 0.25], "optimizer": {"state": {}}}, "no-arrays.pth")
torch.save(torch.nn.Linear(1, 1), "module.pth")

arrays = {
    "f2": np.array([0.5, -2], np.float16),
    "f4": np.arange(6, dtype=np.float32).reshape(2, 3),
    "f8": np.array(0.1),
    "fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "big_endian": np.array([[1, -2, 3]], ">i4"),
    "bool": np.array([True, False]),
    "u8": np.arange(60, dtype=np.uint8).reshape(5, 2, 2, 3),
    "i8": np.array([-(2**40)]),
    "u2": np.array([65535], np.uint16),
    "none": np.zeros((0, 3), np.float32),
}
np.savez_compressed("compressed.npz", **arrays)
np.savez("stored.npz", **arrays)
np.save("fortran.npy", arrays["fortran"])
for file in ["compressed.npz", "stored.npz"]:
    note(file, arrays)
note("fortran.npy", {"array": arrays["fortran"]})

# The state that `Network.__getstate__` of the TensorFlow StyleGANs returns.
module = types.ModuleType("dnnlib.tflib.network")
module.Network = type("Network", (), {"__module__": module.__name__})
for name in ["dnnlib", "dnnlib.tflib"]:
    sys.modules[name] = types.ModuleType(name)
sys.modules[module.__name__] = module


def network(name, variables, components={}, **static_kwargs):
    net = module.Network()
    net.__dict__ = {
        "version": 4, "name": name, "static_kwargs": static_kwargs, "components": components,
        "build_module_src": "raise SystemExit", "build_func_name": name + "_style",
        "variables": list(variables.items()),
    }
    return net


def generator(k):
    mapping = network("G_mapping", {"Dense0/weight": np.full((2, 2), k, np.float32)})
    synthesis = network("G_synthesis", {"4x4/Const/const": np.asfortranarray(np.arange(4, dtype=np.float32).reshape(1, 2, 2)) * k})
    variables = {"lod": np.float32(0.5), "dlatent_avg": np.array([k, -k], np.float32)}
    return network("Gs", variables, {"mapping": mapping, "synthesis": synthesis}, resolution=8, fmap_max=np.int64(4))


networks = generator(1), network("D", {"bias": np.zeros(1, np.float32)}), generator(3)
for protocol in [2, 4]:
    file = f"tensorflow-protocol{protocol}.pkl"
    pickle.dump(networks, open(file, "wb"), protocol)
    note(file, {
        "mapping/Dense0/weight": np.full((2, 2), 3), "synthesis/4x4/Const/const": np.arange(4).reshape(1, 2, 2) * 3,
        "lod": np.float32(0.5), "dlatent_avg": np.array([3, -3]),
    })

with open("values.json", "w") as out:
    out.write("{\n" + ",\n".join(f"{json.dumps(f)}: {json.dumps(v)}" for f, v in values.items()) + "\n}\n")
