"""Text embeddings of CLIP and CLIPScore: clip-text.json, clip-text-tokenizer.json.

    pip install torch transformers==5.24 open_clip_torch==3.3
    python tests/golden/gen_clip_text.py

`transformers` on `clip-tiny.safetensors`, and open_clip on the same numbers under OpenAI's names (`open_clip`). The tokenizer is one of CLIP with a vocabulary of 60: letters, six merges, start and end.
Image embeddings are those of `clip.safetensors`, `tiny/clip`. All in float32, scores in float64.
"""

import json
from pathlib import Path

import numpy as np
import torch
from open_clip.transformer import QuickGELU, TextTransformer
from safetensors.numpy import load_file
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

DATA = Path(__file__).parent / "data"
PROMPTS = [
    "the cat",
    "The  Dog ",
    "a",
    "the dog and the cat at the door of a house",
    "",
]
PAIRS = [(60, 0), (61, 1), (62, 3), (63, 2), (60, 3)]

letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
vocabulary = letters + [letter + "</w>" for letter in letters]
merges = [("t", "h"), ("th", "e</w>"), ("c", "a"), ("ca", "t</w>"), ("d", "o"), ("do", "g</w>")]
vocabulary += [a + b for a, b in merges] + ["<|startoftext|>", "<|endoftext|>"]
tokenizer = CLIPTokenizer(vocab={token: i for i, token in enumerate(vocabulary)}, merges=merges)
text = json.dumps(json.loads(tokenizer.backend_tokenizer.to_str()), indent=1)
(DATA / "clip-text-tokenizer.json").write_text(text + "\n")

weights = {name: torch.from_numpy(array) for name, array in load_file(DATA / "clip-tiny.safetensors").items()}
config = CLIPConfig(**json.loads((DATA / "clip-tiny-config.json").read_text()))
model = CLIPModel(config).eval()
missing = model.load_state_dict(weights, strict=False)
assert not missing.missing_keys, missing
context = config.text_config.max_position_embeddings


def open_clip():
    """The tower of open_clip with the same numbers."""
    tower = TextTransformer(
        context_length=context, vocab_size=60, width=16, heads=2, layers=1, output_dim=32, mlp_ratio=2.0,
        act_layer=QuickGELU, pad_id=0,
    ).eval()
    get = lambda name: weights["text_model." + name]
    block = "encoder.layers.0."
    qkv = lambda kind: torch.cat([get(f"{block}self_attn.{x}_proj.{kind}") for x in "qkv"])
    state = {
        "token_embedding.weight": get("embeddings.token_embedding.weight"),
        "positional_embedding": get("embeddings.position_embedding.weight"),
        "ln_final.weight": get("final_layer_norm.weight"),
        "ln_final.bias": get("final_layer_norm.bias"),
        "text_projection": weights["text_projection.weight"].T,
        "transformer.resblocks.0.attn.in_proj_weight": qkv("weight"),
        "transformer.resblocks.0.attn.in_proj_bias": qkv("bias"),
    }
    names = {
        "ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj",
        "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
    }
    for ours, theirs in names.items():
        for kind in ["weight", "bias"]:
            state[f"transformer.resblocks.0.{ours}.{kind}"] = get(f"{block}{theirs}.{kind}")
    tower.load_state_dict(state, strict=False)
    assert set(state) <= set(tower.state_dict()), set(state) - set(tower.state_dict())
    return tower


result = {"prompts": PROMPTS, "tokens": [], "text_embeds": [], "open_clip": []}
with torch.no_grad():
    for prompt in PROMPTS:
        ids = tokenizer(prompt, truncation=True, max_length=context)["input_ids"]
        result["tokens"].append(ids)
        embeds = model.get_text_features(torch.tensor([ids]))
        embeds = getattr(embeds, "pooler_output", embeds)
        result["text_embeds"].append(embeds[0].tolist())
        padded = torch.tensor([ids + [0] * (context - len(ids))])
        result["open_clip"].append(open_clip()(padded)[0].tolist())

images = load_file(DATA / "clip.safetensors")
unit = lambda v: np.asarray(v, np.float64) / np.linalg.norm(np.asarray(v, np.float64))
cosines = [float(unit(images[f"tiny/clip/{image}/image_embeds"].ravel()) @ unit(result["text_embeds"][prompt]))
           for image, prompt in PAIRS]
result["pairs"] = PAIRS
result["cosines"] = cosines
# Of torchmetrics: the mean of 100 times the cosine, not below zero.
result["clip_score"] = max(100 * float(np.mean(cosines)), 0.0)
(DATA / "clip-text.json").write_text(json.dumps(result, indent=1) + "\n")
print(result["tokens"], cosines, result["clip_score"])
