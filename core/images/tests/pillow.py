"""Writes pillow.npz: encoded images and what Pillow reads from them, and resized images.

Needs Pillow, NumPy, tifffile and PyTorch. For each case, `decode/NAME/file` holds the bytes of the
file, `decode/NAME/rgb` the pixels of `Image.open(file).convert("RGB")`, `decode/NAME/mode` the mode
in ASCII. `refuse/NAME/file` is a file that Pillow refuses. `resize/NAME/H/W/SIZE` is recipe image
H + W, h x w, resized to (size, size, 3) on 0..255.
"""

import io
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image

here = Path(__file__).parent
sys.path.insert(0, str(here / "../../../tests/golden"))
import recipe  # noqa: E402

warnings.simplefilter("ignore")
HEIGHT, WIDTH = 21, 19
image = recipe.image(60, HEIGHT, WIDTH)
smooth = np.stack(np.meshgrid(np.arange(WIDTH) * 13, np.arange(HEIGHT) * 12), -1).sum(-1) % 256

rgb = Image.fromarray(image)
grey = rgb.convert("L")
rgba = rgb.copy()
rgba.putalpha(Image.fromarray(smooth.astype(np.uint8)))
grey_alpha = grey.copy()
grey_alpha.putalpha(Image.fromarray(smooth.astype(np.uint8)))
wide_grey = Image.fromarray(np.array(grey).astype(np.uint16) * 3)
palettes = {bits: rgb.quantize(2**bits - 1) for bits in (1, 2, 4, 8)}
modes = {
    "rgb": rgb, "grey": grey, "rgba": rgba, "grey-alpha": grey_alpha, "bit": rgb.convert("1"),
    "palette": palettes[8], "palette-4": palettes[4], "palette-2": palettes[2],
}
files = {}


def save(name, image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    files[name] = file.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, extra=b""):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


for name, picture in modes.items():
    save(f"png-{name}", picture, "PNG")
    save(f"gif-{name}", picture, "GIF")
    save(f"tiff-{name}", picture, "TIFF")
    save(f"tiff-{name}-lzw", picture, "TIFF", compression="tiff_lzw")
    save(f"webp-{name}", picture.convert("RGBA" if "alpha" in name else "RGB"), "WEBP", quality=60)
    if name != "grey-alpha":
        save(f"bmp-{name}", picture, "BMP")
for name in ("rgb", "grey", "bit"):
    save(f"ppm-{name}", modes[name], "PPM")
save("png-wide-grey", wide_grey, "PNG")
save("tiff-wide-grey", wide_grey, "TIFF")
save("ppm-wide-grey", wide_grey, "PPM")
save("png-transparent-index", palettes[4], "PNG", transparency=3)
save("png-transparent-colour", rgb, "PNG", transparency=tuple(int(v) for v in image[0, 0]))
save("gif-transparent-index", palettes[4], "GIF", transparency=3)
save("gif-frames", rgb, "GIF", save_all=True, append_images=[rgb.rotate(180)])
save("webp-lossless", rgba, "WEBP", lossless=True, exact=True)
save("webp-frames", rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)], quality=70)
save("tiff-cmyk", rgb.convert("CMYK"), "TIFF")
save("tiff-packbits", rgb, "TIFF", compression="packbits")
save("tiff-deflate", rgb, "TIFF", compression="tiff_adobe_deflate")
save("tiff-float", Image.fromarray(image[..., 0].astype(np.float32) * 1.7 - 20), "TIFF")
save("tiff-int", Image.fromarray(image[..., 0].astype(np.int32) * 3 - 20), "TIFF")

wide = image.astype(np.uint16) * 257 - (image > 0) * np.uint16(99)
rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide)
files["png-wide-rgb"] = png(WIDTH, HEIGHT, 16, 2, rows)
wide4 = np.concatenate([wide, wide[..., :1]], -1)
rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide4)
files["png-wide-rgba"] = png(WIDTH, HEIGHT, 16, 6, rows)
rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide4[..., 2:])
files["png-wide-grey-alpha"] = png(WIDTH, HEIGHT, 16, 4, rows)
files["png-grey-2"] = png(4, 1, 2, 0, b"\0\x1b")
files["png-grey-4"] = png(4, 1, 4, 0, b"\0\x1b\x5f")
transparent = chunk(b"tRNS", b"\0\x50")
files["png-wide-grey-transparent"] = png(2, 1, 16, 0, b"\0\x50\x60\0\1", transparent)
files["png-short-palette"] = png(4, 1, 8, 3, b"\0\0\1\2\4", chunk(b"PLTE", bytes(range(12))))
files["png-gamma"] = png(2, 1, 8, 2, b"\0abcABC", chunk(b"gAMA", struct.pack(">I", 100000)))


def tiff(name, array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, metadata=None, software=None, **options)
    files[name] = file.getvalue()


tiff("tiff-wide-rgb", wide, photometric="rgb")
tiff("tiff-big-endian", wide, photometric="rgb", byteorder=">")
tiff("tiff-planar", np.moveaxis(image, 2, 0).copy(), photometric="rgb", planarconfig="separate")
tiff("tiff-tiled", image, photometric="rgb", tile=(16, 16))
tiff("tiff-big", image, photometric="rgb", bigtiff=True)
tiff("tiff-white-is-zero", image[..., 0].copy(), photometric="miniswhite")
tiff("tiff-predictor", image, photometric="rgb", compression="zlib", predictor=True)

files["ppm-maxval-100"] = b"P6 1 1 100\n\x0a\x32\x64"
files["ppm-maxval-65535"] = b"P6 1 1 65535\n" + struct.pack(">3H", 0x12FF, 0x80FF, 0xFF00)
files["ppm-grey-1023"] = b"P5 4 1 1023\n" + struct.pack(">4H", 0, 100, 300, 1023)
files["ppm-text"] = b"P3 # a comment\n1 1 255 3 15 9\n"
files["ppm-text-bits"] = b"P1 4 1\n0101\n"


def gif(screen, frames, colours):
    file = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x81, 2, 0) + colours
    for left, top, width, height, indices, transparent in frames:
        if transparent is not None:
            file += b"\x21\xf9\x04\x01\0\0" + bytes([transparent]) + b"\0"
        codes = [code for index in indices for code in (4, index)] + [5]
        bits = sum(code << 3 * i for i, code in enumerate(codes))
        data = bits.to_bytes((3 * len(codes) + 7) // 8, "little")
        file += b"\x2c" + struct.pack("<HHHHB", left, top, width, height, 0) + b"\x02"
        file += bytes([len(data)]) + data + b"\0"
    return file + b";"


colours = bytes([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
files["gif-small-frame"] = gif((4, 3), [(1, 1, 2, 1, [0, 1], None)], colours)
files["gif-small-transparent-frame"] = gif((4, 3), [(1, 1, 2, 1, [0, 1], 1)], colours)
files["gif-large-frame"] = gif((2, 2), [(1, 1, 3, 2, [0, 1, 2, 3, 0, 1], None)], colours)

for quality in (30, 95):
    for subsampling, ratio in enumerate(("444", "422", "420")):
        for progressive in (False, True):
            kind = "progressive" if progressive else "baseline"
            save(f"jpeg-{kind}-{ratio}-{quality}", rgb, "JPEG", quality=quality,
                 subsampling=subsampling, progressive=progressive)
save("jpeg-grey", grey, "JPEG")
save("jpeg-cmyk", rgb.convert("CMYK"), "JPEG")
save("jpeg-rgb", rgb, "JPEG", keep_rgb=True)
save("jpeg-restart", rgb, "JPEG", restart_marker_blocks=1)
save("jpeg-restart-progressive", rgb, "JPEG", restart_marker_blocks=1, progressive=True)
orientation = Image.Exif()
orientation[0x112] = 6
save("jpeg-orientation", rgb, "JPEG", exif=orientation)
ycck = bytearray(files["jpeg-cmyk"])
ycck[ycck.find(b"Adobe") + 11] = 2
files["jpeg-ycck"] = bytes(ycck)
for width, height in ((1, 1), (2, 3), (3, 2), (9, 1), (17, 8)):
    save(f"jpeg-{width}x{height}", rgb.crop((0, 0, width, height)), "JPEG", subsampling=2)
damaged = bytearray(files["jpeg-restart"])
damaged[damaged.find(b"\xff\xd1") + 2] ^= 0x55
files["jpeg-damaged-interval"] = bytes(damaged)
gone = files["jpeg-restart"].find(b"\xff\xd1")
files["jpeg-missing-restart"] = files["jpeg-restart"][:gone] + files["jpeg-restart"][gone + 2:]

refused = {
    "png-cut": files["png-rgb"][:300],
    "png-flipped-bit": files["png-rgb"][:200] + b"!" + files["png-rgb"][201:],
    "jpeg-cut": files["jpeg-baseline-420-95"][:700],
    "gif-cut": files["gif-rgb"][:600],
    "tiff-cut": files["tiff-rgb"][:600],
    "bmp-cut": files["bmp-rgb"][:600],
    "webp-cut": files["webp-rgb"][:100],
    "ppm-cut": files["ppm-rgb"][:600],
}

arrays = {}
for name, data in sorted(files.items()):
    picture = Image.open(io.BytesIO(data))
    arrays[f"decode/{name}/file"] = np.frombuffer(data, np.uint8)
    arrays[f"decode/{name}/mode"] = np.frombuffer(picture.mode.encode(), np.uint8)
    arrays[f"decode/{name}/rgb"] = np.array(picture.convert("RGB"))
for name, data in sorted(refused.items()):
    try:
        Image.open(io.BytesIO(data)).convert("RGB")
        raise SystemExit(f"{name} is not refused")
    except (OSError, SyntaxError, ValueError):
        arrays[f"refuse/{name}/file"] = np.frombuffer(data, np.uint8)

filters = {
    "pillow-bilinear": Image.Resampling.BILINEAR, "pillow-bicubic": Image.Resampling.BICUBIC,
    "pillow-lanczos": Image.Resampling.LANCZOS,
}
for height, width, size in ((20, 31, 8), (9, 13, 24), (64, 5, 16), (1, 2, 7), (16, 16, 16)):
    source = recipe.image(height + width, height, width)
    for name, kind in filters.items():
        channels = [Image.fromarray(source[..., c].astype(np.float32)) for c in range(3)]
        resized = [np.asarray(c.resize((size, size), kind)).clip(0, 255) for c in channels]
        arrays[f"resize/{name}/{height}/{width}/{size}"] = np.stack(resized, -1)
    batch = torch.from_numpy(source.astype(np.float32)).permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(
        batch, (size, size), mode="bilinear", align_corners=False)
    arrays[f"resize/torch-bilinear/{height}/{width}/{size}"] = resized[0].permute(1, 2, 0).numpy()

np.savez_compressed(here / "pillow.npz", **arrays)
print(len(files), "files,", (here / "pillow.npz").stat().st_size, "bytes")
