/*
 * main.c: malv-model, which makes model files from ONNX, looks into them and checks them.
 */
#include <stdio.h>
#include <string.h>

#include "host/malv-model/model_file.h"

static const char usage[] =
    "usage: malv-model convert ONNX MODEL [--name NAME] [--model-version N]\n"
    "                          [--int8 SAMPLES [--fraction BITS]]\n"
    "       malv-model info MODEL\n"
    "       malv-model check MODEL REFERENCE [--tolerance T] [--path PATH]\n"
    "       malv-model time MODEL [--batch ROWS] [--path PATH]\n"
    "\n"
    "convert  makes a model file (.mlm) of what scikit-learn or PyTorch exported as ONNX.\n"
    "         --int8 makes an integer model, calibrated on the \"inputs\" of a tensor file;\n"
    "         --fraction: fraction bits of its integer inputs, 16; 0 for whole numbers\n"
    "info     says what a model is\n"
    "check    runs it on the \"inputs\" of a tensor file and compares with its \"outputs\",\n"
    "         on every path of this processor or on one (scalar, sse2, avx2, best)\n"
    "time     measures an inference here\n"
    "\n"
    "docs/mlrt.md has the format, what can be converted, and how exact it is.\n";

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"convert", command_convert},
    {"info", command_info},
    {"check", command_check},
    {"time", command_time},
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs(usage, stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 2, argv + 2);
        }
    }
    return usage_error("there is no command %s", argv[1]);
}
