"""gpu_crc in a machine: checksums by its processor and by its GPU, over the size, and where the GPU begins to be
faster: the size that is measured here, and the one that the module has found for itself."""
from gpu_guest import OPTIONS
from measure import CannotMeasure, figure_row, make_row, progress, run_suite

SIZES = [4096 << i for i in range(13)]
SHOWN = {64 << 10: "64k", 1 << 20: "1m", 16 << 20: "16m"}
ROWS = [f"gpu_crc_{name}" for name in SHOWN.values()] + ["gpu_crc_device_wins", "gpu_crc_crossing"]


def measure():
    progress("checksums in a machine")
    stats = run_suite("crc/costs", OPTIONS, timeout=120, first=True)
    wins = None
    for size in SIZES:
        if f"crc_{size}" not in stats:
            raise CannotMeasure(f"the suite crc reported no crc_{size}")
        device, processor = (int(word) / 10 for word in stats[f"crc_{size}"].split())
        if wins is None and device < processor:
            wins = size
        if size in SHOWN:
            yield make_row(f"gpu_crc_{SHOWN[size]}", [device], "us", "the guest's own CPU", [processor])
    if wins is not None:
        yield figure_row("gpu_crc_device_wins", [wins], "bytes")
    if int(stats["crc_crossing"]) < 1 << 60:
        yield figure_row("gpu_crc_crossing", [int(stats["crc_crossing"])], "bytes")
