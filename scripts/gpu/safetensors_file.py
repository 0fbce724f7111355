"""Reads and writes safetensors files as dictionaries of PyTorch tensors, with PyTorch alone."""

import ctypes
import json

import torch

TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
         "I64": torch.int64, "I32": torch.int32, "U8": torch.uint8}
NAMES = {dtype: name for name, dtype in TYPES.items()}


def write(path, tensors):
    """8 bytes: the header's length; the header, JSON; the values, one tensor behind the other."""
    header, offset = {}, 0
    tensors = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    for name, t in tensors.items():
        size = t.numel() * t.element_size()
        header[name] = {"dtype": NAMES[t.dtype], "shape": list(t.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for t in tensors.values():
            file.write(ctypes.string_at(t.data_ptr(), t.numel() * t.element_size()))


def read(path):
    """ValueError if the file is none."""
    with open(path, "rb") as file:
        content = bytearray(file.read())
    try:
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start].decode())
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            if start + end > len(content):
                raise ValueError("it is cut short")
            values = torch.frombuffer(content[start + begin:start + end] or bytearray(8), dtype=TYPES[entry["dtype"]])
            tensors[name] = values[:0 if begin == end else None].reshape(entry["shape"])
        return tensors
    except (KeyError, TypeError, UnicodeDecodeError, ValueError) as e:
        raise ValueError(f"{path} is no safetensors file: {e}") from None
