/*
 * model.h: the trained net and the held-out digits, from tensor files.
 *
 * tools/train/digits.py writes both. The net: 3x3 convolution and relu, twice; 2x2 max pool; dense
 * layer; softmax.
 */
#pragma once

#include <stdint.h>

#define DIGITS_SIZE      8u /* pixels of an image's side */
#define DIGITS_PIXELS    (DIGITS_SIZE * DIGITS_SIZE)
#define DIGITS_CHANNELS1 8u  /* after the first convolution */
#define DIGITS_CHANNELS2 16u /* after the second */
#define DIGITS_POOLED    (DIGITS_PIXELS / 4)
#define DIGITS_FEATURES  (DIGITS_CHANNELS2 * DIGITS_POOLED)
#define DIGITS_CLASSES   10u
#define DIGITS_MAX_PIXEL 16u

/* The tensors of the net, in the order of `digits_tensors`. */
enum digits_tensor {
    DIGITS_CONV1_WEIGHT, /* [out][in][3][3] */
    DIGITS_CONV1_BIAS,
    DIGITS_CONV2_WEIGHT,
    DIGITS_CONV2_BIAS,
    DIGITS_DENSE_WEIGHT, /* [class][feature], features are [channel][y][x] */
    DIGITS_DENSE_BIAS,
    DIGITS_TENSOR_COUNT,
};

struct digits_model {
    const float *tensors[DIGITS_TENSOR_COUNT];
    uint64_t bytes[DIGITS_TENSOR_COUNT];
    void *file; /* owns the memory */
};

struct digits_set {
    uint32_t count;
    const uint8_t *images; /* [count][8][8], 0..DIGITS_MAX_PIXEL */
    const uint8_t *labels; /* [count], 0..9 */
    void *file;
};

/* Loads a file and checks it; 0, or -1 with the reason on standard error. */
int model_load(struct digits_model *model, const char *path);
int set_load(struct digits_set *set, const char *path);

/* Frees what was loaded; all-zero structures are left alone. */
void model_free(struct digits_model *model);
void set_free(struct digits_set *set);
