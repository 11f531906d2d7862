"""Writes pillow-odd.npz: files that decoders read differently, and what Pillow reads from them.

Needs Pillow, NumPy, tifffile and imagecodecs. As in pillow.py, `decode/NAME/file` holds the bytes and
`decode/NAME/rgb` the pixels of `Image.open(file).convert("RGB")`; `refuse/NAME/file` is a file that Pillow
refuses. Ours are equal, or an error: `decode.rs` lists which.
"""

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageFile

warnings.simplefilter("ignore")
random = np.random.RandomState(7)
HEIGHT, WIDTH = 9, 11
image = random.randint(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
alpha = random.randint(0, 256, (HEIGHT, WIDTH, 1)).astype(np.uint8)
alpha[0, :3, 0] = (0, 255, 1)
smooth = (np.stack(np.meshgrid(np.arange(48) * 5, np.arange(40) * 4), -1).sum(-1) % 256).astype(np.uint8)
wide = random.randint(0, 65536, (HEIGHT, WIDTH, 3)).astype(np.uint16)
files = {}


def tiff(name, array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, metadata=None, software=None, **options)
    files[f"tiff-{name}"] = file.getvalue()


for orientation in range(1, 9):
    tag = [(274, "H", 1, orientation, True)]
    tiff(f"orientation-{orientation}", image, photometric="rgb", extratags=tag)
tiff("orientation-grey-6", image[..., 0].copy(), extratags=[(274, "H", 1, 6, True)])
premultiplied = (image.astype(int) * alpha // 255).astype(np.uint8)
for name, kind in (("assoc", "assocalpha"), ("unassoc", "unassalpha"), ("unspecified", "unspecified")):
    tiff(f"alpha-{name}", np.concatenate([premultiplied, alpha], -1), photometric="rgb", extrasamples=[kind])
for name, photometric in (("white", "miniswhite"), ("black", "minisblack")):
    for bits in (1, 8, 16):
        data = image[..., 0] > 127 if bits == 1 else (image[..., 0] if bits == 8 else wide[..., 0])
        tiff(f"{name}-{bits}", data.copy(), photometric=photometric)
for order in "<>":
    which = "little" if order == "<" else "big"
    tiff(f"predictor-8-{which}", image, photometric="rgb", compression="zlib", predictor=True, byteorder=order)
    tiff(f"predictor-16-{which}", wide, photometric="rgb", compression="zlib", predictor=True, byteorder=order)
    tiff(f"predictor-grey-16-{which}", wide[..., 0].copy(), compression="zlib", predictor=True, byteorder=order)
    tiff(f"lzw-16-{which}", wide, photometric="rgb", compression="lzw", byteorder=order)
big = np.repeat(np.repeat(image, 5, 0), 5, 1)
for name, options in {
    "rgb": {"photometric": "rgb"},
    "ycbcr": {"photometric": "ycbcr"},
    "grey": {},
}.items():
    data = big[..., 0].copy() if name == "grey" else big
    tiff(f"jpeg-{name}", data, compression="jpeg", **options)
tiff("planar-tiles", np.moveaxis(big, 2, 0).copy(), photometric="rgb", planarconfig="separate", tile=(16, 16))
tiff("cmyk", np.concatenate([image, alpha], -1), photometric="separated")
tiff("float32", (image[..., 0].astype(np.float32) * 1.5 - 10))
tiff("int16", (image[..., 0].astype(np.int16) * 3 - 100))
tiff("uint32", image[..., 0].astype(np.uint32) * 3)


def bmp(name, bits, rows, width, height, compression=0, masks=(), palette=b"", size=40):
    header = struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, compression, len(rows), 0, 0, len(palette) // 4, 0)
    extra = b"".join(struct.pack("<I", mask) for mask in masks)
    header += extra + b"\0" * max(0, size - 40 - len(extra))
    offset = 14 + len(header) + len(palette)
    files[f"bmp-{name}"] = b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + header + palette + rows


def rows16(values):
    row = values.astype("<u2").tobytes()
    return row + b"\0" * (-len(row) % 4)


colours = random.randint(0, 65536, (5, 7))
data = b"".join(rows16(row) for row in colours)
bmp("16-555", 16, data, 7, 5)
bmp("16-555-top-down", 16, data, 7, -5)
bmp("16-565", 16, data, 7, 5, 3, (0xF800, 0x7E0, 0x1F))
bmp("16-555-masks", 16, data, 7, 5, 3, (0x7C00, 0x3E0, 0x1F))
bmp("16-565-v4", 16, data, 7, 5, 3, (0xF800, 0x7E0, 0x1F, 0), size=108)
four = random.randint(0, 256, (5, 7, 4)).astype(np.uint8)
bmp("32", 32, four.tobytes(), 7, 5)
bmp("32-masks", 32, four.tobytes(), 7, 5, 3, (0xFF0000, 0xFF00, 0xFF))
bmp("32-rgba", 32, four.tobytes(), 7, 5, 3, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), size=56)
bmp("32-rgbx", 32, four.tobytes(), 7, 5, 3, (0xFF000000, 0xFF0000, 0xFF00))
palette = random.randint(0, 256, (256, 4)).astype(np.uint8).tobytes()
rle = b"\3\5\0\0" + b"\0\5abcde\0" + b"\0\0" + b"\0\2\2\1" + b"\2\7" + b"\0\0" + b"\0\1"
bmp("rle8-skips", 8, rle, 7, 5, 1, palette=palette)
bmp("rle8-whole", 8, b"\7\5\0\0" * 5 + b"\0\1", 7, 5, 1, palette=palette)
bmp("rle4-whole", 4, b"\7\x35\0\0" * 5 + b"\0\1", 7, 5, 2, palette=palette[:64])
bmp("8-short-palette", 8, bytes(range(8)) * 5, 7, 5, palette=palette[:20])
bmp("1", 1, b"\xaa\0\0\0" * 5, 7, 5, palette=palette[:8])
bmp("4", 4, b"\x01\x23\x45\x60" * 5, 7, 5, palette=palette[:64])

for maxval in (1, 3, 15, 100, 254, 255, 256, 1000, 1023, 32767, 65534, 65535):
    kind = "<" if maxval < 256 else ">"
    values = random.randint(0, maxval + 1, 4 * 3 * 3)
    values[:3] = (0, maxval, maxval // 2)
    packed = values.astype(np.uint8 if maxval < 256 else ">u2").tobytes()
    files[f"pnm-p6-{maxval}"] = b"P6\n4 3\n%d\n" % maxval + packed
    files[f"pnm-p5-{maxval}"] = b"P5 12 3 %d\n" % maxval + packed
    text = " ".join(str(v) for v in values).encode()
    files[f"pnm-p3-{maxval}"] = b"P3\n# text\n4 3\n%d\n" % maxval + text
    files[f"pnm-p2-{maxval}"] = b"P2\n12 3\n%d\n" % maxval + text
files["pnm-p1"] = b"P1\n3 2\n1 0 1\n0 1 0\n"
files["pnm-p4"] = b"P4\n10 2\n\xaa\x80\x55\x40"
files["pnm-p6-comments"] = b"P6 # a\n#b\n2 1 #c\n255\nabcdef"

file = io.BytesIO()
Image.fromarray(smooth).convert("RGB").save(file, "JPEG", progressive=True, quality=70)
whole = file.getvalue()
for part in (30, 60, 90):
    files[f"jpeg-progressive-cut-{part}"] = whole[: len(whole) * part // 100]
    files[f"jpeg-progressive-cut-{part}-ended"] = whole[: len(whole) * part // 100] + b"\xff\xd9"

arrays = {}
ImageFile.LOAD_TRUNCATED_IMAGES = False
for name, content in files.items():
    content = np.frombuffer(content, np.uint8)
    try:
        pixels = np.asarray(Image.open(io.BytesIO(content.tobytes())).convert("RGB"))
    except Exception as error:  # noqa: BLE001
        print(f"{name}: Pillow refuses: {error}")
        arrays[f"refuse/{name}/file"] = content
        continue
    arrays[f"decode/{name}/file"] = content
    arrays[f"decode/{name}/rgb"] = pixels
np.savez_compressed(Path(__file__).parent / "pillow-odd.npz", **arrays)
