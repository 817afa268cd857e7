"""Batches of small models, processor against GPU: rows from which on the device is faster, of models with published
sizes. Natively: mlrt on the host's processor against gpud through a vhost-user front end of ours
(build/bench/batch-native). In a machine: module mlbatch on the guest's processor, which under TCG is emulated and
slow, against its GPU; the figures are those that the module measures for itself, with an option that lets it
measure every size. Each row carries its table,
[rows, processor us, device us], which bench/plots/crossing.py draws.

And what the stores cost a hook, in instructions.
"""
from measure import (TEST_ARCHIVE, CannotMeasure, figure_row, native_rows, need_files, progress, run_machine)

MODELS = ["net_31_256_2", "net_31_256_256_256_2", "net_15_10_1", "net_5_15_5_4", "torch_lstm"]
SIZES = [1 << i for i in range(13)]
NATIVE_ROWS = [f"batch_crossing_native_{m}" for m in MODELS]
GUEST_ROWS = [f"batch_crossing_{m}" for m in MODELS]
NATIVE = "build/bench/batch-native"
# Row: the name of the figure, and the goal.
COST_ROWS = {"features_capture": ("capture", None), "features_capture_in_hook": ("capture_in_hook", 60),
             "features_model_enter": ("enter", None), "features_model_look": ("look", None),
             "features_window_8": ("window8", None)}
MODULE = ["--initrd", TEST_ARCHIVE, "--append"]


def crossing(table):
    """The smallest size from which on the device is faster, at this size and all larger ones; None: at none."""
    wins = None
    for rows, processor, device in reversed(table):
        if device >= processor:
            break
        wins = rows
    return wins


def crossing_row(name, table, processor_name):
    """The value is the crossing; where there is none, the largest size that was tried, times 2, and `never` says so."""
    found = crossing(table)
    row = figure_row(name, [found or 2 * table[-1][0]], "rows", baseline_name=processor_name)
    return row | {"never": found is None, "table": table}


def measure_native():
    rows = native_rows(NATIVE, "batches of small models")
    for model in MODELS:
        names = [f"batch_native_{model}_{size}" for size in SIZES]
        if any(name not in rows for name in names):
            raise CannotMeasure(f"{NATIVE} printed not all of {model}")
        table = [[size, rows[name]["baseline"], rows[name]["value"]] for size, name in zip(SIZES, names)]
        yield crossing_row(f"batch_crossing_native_{model}", table, "the host's CPU")


def measure_guest():
    need_files(TEST_ARCHIVE)
    progress("batches of small models in a machine")
    options = [*MODULE, "modules=stores_test mlbatch.measure_ms=60000", "--gpu", "auto", "--cpus", "2"]
    stats = run_machine(["t_stores", "do", "measure"], options, timeout=900, first=True)[1]["stats"]
    for model in MODELS:
        table = []
        for size in SIZES:
            if f"batch.{model}.{size}" in stats:
                device, processor = (int(word) / 1000 for word in stats[f"batch.{model}.{size}"].split())
                if processor:
                    table.append([size, processor, device])
        if not table:
            raise CannotMeasure(f"stores_test reported nothing of {model}")
        yield crossing_row(f"batch_crossing_{model}", table, "the guest's CPU (emulated)")


def measure_costs():
    need_files(TEST_ARCHIVE)
    progress("instructions of the stores")
    options = [*MODULE, "modules=stores_test tsc_khz=1000000", "--icount", "--cpus", "1"]
    stats = run_machine(["t_stores", "do", "costs"], options, timeout=200)[1]["stats"]
    for row, (name, limit) in COST_ROWS.items():
        if f"features.{name}" not in stats:
            raise CannotMeasure(f"stores_test reported no features.{name}")
        yield figure_row(row, [int(stats[f"features.{name}"])], "instructions", limit=limit)
