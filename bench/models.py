"""What an inference of a small model costs in the kernel, in guest instructions a row: machines with
--icount, one CPU. tests/mlrt_machine measures; lib/mlrt's plain loops (its scalar path) are the baseline of the
same run, the value is what the processor's best path takes. Brackets around vector registers are included.
"""
from measure import CannotMeasure, TEST_ARCHIVE, figure_row, need_files, progress, run_machine

# Row: the model of the boot archive, and the rows of a batch.
ROWS = {
    "model_dense_1": ("torch_dense.mlm", 1),
    "model_dense_64": ("torch_dense.mlm", 64),
    "model_dense_int8_1": ("torch_dense-int8.mlm", 1),
    "model_dense_int8_64": ("torch_dense-int8.mlm", 64),
    "model_gru_1": ("torch_gru.mlm", 1),
    "model_gru_64": ("torch_gru.mlm", 64),
    "model_gru_int8_1": ("torch_gru-int8.mlm", 1),
    "model_gru_int8_64": ("torch_gru-int8.mlm", 64),
    "model_forest_1": ("boost_iris.mlm", 1),
    "model_forest_32": ("boost_iris.mlm", 32),
    "model_forest_int_1": ("boost_iris-int8.mlm", 1),
    "model_forest_int_32": ("boost_iris-int8.mlm", 32),
}
OPTIONS = ["--icount", "--cpus", "1", "--initrd", TEST_ARCHIVE, "--append",
           "modules=mlrt_test mlrt.costs tsc_khz=1000000"]


def measure():
    need_files(TEST_ARCHIVE)
    progress("instructions of models in the kernel")
    figures = run_machine(["mlrt_test"], OPTIONS, timeout=200)[1]["stats"]
    for row, (model, batch) in ROWS.items():
        costs = {path: figures.get(f"models.{model}.{path}.{batch}") for path in ("scalar", "avx2")}
        if None in costs.values():
            raise CannotMeasure(f"mlrt_test reported no {model} in batches of {batch}")
        plain = int(costs["scalar"])
        yield figure_row(row, [int(costs["avx2"])], "instructions", limit=plain,
                         baseline_name="plain loops", baseline=plain)
