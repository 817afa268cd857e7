/*
 * command_info.c: malv-model info.
 */
#include <stdio.h>

#include "host/malv-model/model_file.h"

static const char *const kinds[MLRT_KINDS] = {
    [MLRT_DENSE] = "dense",     [MLRT_SCALE] = "scale", [MLRT_PAIR] = "pair",
    [MLRT_GRU] = "gru",         [MLRT_LSTM] = "lstm",   [MLRT_FOREST] = "forest",
    [MLRT_NEAREST] = "nearest",
};
static const char *const activations[MLRT_ACTIVATIONS] = {
    [MLRT_NO_ACTIVATION] = "-", [MLRT_RELU] = "relu",       [MLRT_SIGMOID] = "sigmoid",
    [MLRT_TANH] = "tanh",       [MLRT_SOFTMAX] = "softmax", [MLRT_SHARES] = "shares",
};

static void layer_print(uint32_t index, const struct mlrt_layer *layer)
{
    printf("%5u  %-7s  %4u -> %4u  %-8s %8llu bytes", index, kinds[layer->kind], layer->inputs,
           layer->outputs, activations[layer->activation], (unsigned long long)layer->bytes);
    if (layer->kind == MLRT_FOREST) {
        printf("  %u trees, %u nodes", layer->params[FOREST_TREE_COUNT],
               layer->params[FOREST_NODE_COUNT]);
    } else if (layer->kind == MLRT_NEAREST) {
        printf("  %u of %u points, %s", layer->params[NEAREST_K], layer->params[NEAREST_COUNT],
               layer->params[NEAREST_BY_DISTANCE] ? "weighed by distance" : "each one vote");
    }
    putchar('\n');
}

int command_info(int argc, char **argv)
{
    struct model_file file;
    if (argc != 1 || argv[0][0] == '-') {
        return usage_error("info needs one model file");
    }
    if (!model_file_open(&file, argv[0], MLRT_BEST)) {
        return 1;
    }
    const struct mlrt_header *header = file.model.header;
    printf("name       %s\nversion    %u\nnumbers    ", header->name, header->model_version);
    if (header->integer) {
        printf("int8, fixed point; inputs have %u fraction bits\n", header->input_fraction);
    } else {
        puts("float32");
    }
    printf("inputs     %u\noutputs    %u\nfile       %zu bytes\n", header->inputs, header->outputs,
           file.size);
    printf("workspace  %zu bytes for 1 row, %zu for 32 or more\n",
           mlrt_workspace_bytes(&file.model, 1), mlrt_workspace_bytes(&file.model, UINT32_MAX));
    printf("state      %zu bytes a row\n", mlrt_state_bytes(&file.model));
    printf("training   %s\n", mlrt_can_train(&file.model) == MLRT_OK ? "yes" : "no");
    puts("layer  kind     in   -> out   then");
    for (uint32_t i = 0; i < header->layer_count; i++) {
        layer_print(i, &file.model.layers[i]);
    }
    model_file_close(&file);
    return 0;
}
