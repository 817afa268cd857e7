"""Writes and reads tensor files (.mtf); docs/tensorfile.md is the layout, lib/tensorfile the C reader.

A tensor file holds named float32 and uint8 arrays in C order and a CRC-32 over all its bytes.
"""

import struct
import zlib

import numpy as np

MAGIC = b"MTF1"
VERSION = 1
ALIGN = 64
NAME_BYTES = 40
MAX_RANK = 4
HEADER = struct.Struct("<4sIQII40x")  # magic, version, file bytes, tensor count, CRC-32
ENTRY = struct.Struct("<40sII4IQQ48x")  # name, type, rank, dimensions, offset, bytes
CRC_OFFSET = 20
TYPES = {1: np.dtype("<f4"), 2: np.dtype("u1")}


def checksum(data):
    """CRC-32 of the file with its checksum field taken as zero."""
    return zlib.crc32(data[:CRC_OFFSET] + bytes(4) + data[CRC_OFFSET + 4 :])


def align(offset):
    return -(-offset // ALIGN) * ALIGN


def write(path, tensors):
    """Writes {name: array}; the arrays are float32 or uint8, of rank 1 to 4 and not empty."""
    table = b""
    payload = b""
    start = HEADER.size + ENTRY.size * len(tensors)
    for name, array in tensors.items():
        type_code = next(code for code, dtype in TYPES.items() if dtype == array.dtype)
        name_bytes = name.encode("ascii")
        if not 1 <= array.ndim <= MAX_RANK or array.size == 0 or len(name_bytes) >= NAME_BYTES:
            raise ValueError(f"tensor {name}: a tensor file can't hold it")
        shape = list(array.shape) + [1] * (MAX_RANK - array.ndim)
        payload += bytes(align(len(payload)) - len(payload))
        offset = start + len(payload)
        payload += np.ascontiguousarray(array).tobytes()
        table += ENTRY.pack(name_bytes, type_code, array.ndim, *shape, offset, array.nbytes)
    size = start + len(payload)
    data = HEADER.pack(MAGIC, VERSION, size, len(tensors), 0) + table + payload
    data = data[:CRC_OFFSET] + struct.pack("<I", checksum(data)) + data[CRC_OFFSET + 4 :]
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    """Returns {name: array}. Raises ValueError when the file is not a whole tensor file."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < HEADER.size:
        raise ValueError(f"{path}: too short for a tensor file")
    magic, version, size, count, crc = HEADER.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise ValueError(f"{path}: not a tensor file of version {VERSION}")
    if size != len(data) or crc != checksum(data):
        raise ValueError(f"{path}: truncated or corrupt")
    tensors = {}
    for index in range(count):
        entry = ENTRY.unpack_from(data, HEADER.size + index * ENTRY.size)
        name = entry[0].rstrip(b"\0").decode("ascii")
        shape = entry[3 : 3 + entry[2]]
        array = np.frombuffer(data, TYPES[entry[1]], int(np.prod(shape)), entry[7])
        tensors[name] = array.reshape(shape)
    return tensors
