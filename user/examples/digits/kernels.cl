/*
 * The layers of the digits' net, OpenCL C. Arrays are [image][channel][y][x] of 8x8 images; the last
 * dimension of every launch is the image within the batch.
 */
#define SIZE 8
#define PIXELS (SIZE * SIZE)
#define POOLED (SIZE / 2)

/* Pixels 0..16 of the images from `first` on become 0..1. Launch: pixels of the batch. */
__kernel void scale_pixels(__global const uchar *images, uint first, __global float *out)
{
    size_t i = get_global_id(0);
    out[i] = images[(size_t)first * PIXELS + i] * (1.0f / 16);
}

/* 3x3 convolution with a border of zeros, then relu. Launch: pixels, output channels, images. */
__kernel void conv3x3_relu(__global const float *in, __global const float *weight,
                           __global const float *bias, uint in_channels, __global float *out)
{
    int y = (int)get_global_id(0) / SIZE;
    int x = (int)get_global_id(0) % SIZE;
    size_t channel = get_global_id(1);
    size_t image = get_global_id(2);
    in += image * in_channels * PIXELS;
    weight += channel * in_channels * 9;
    float sum = bias[channel];
    for (uint c = 0; c < in_channels; c++) {
        for (int dy = -1; dy <= 1; dy++) {
            for (int dx = -1; dx <= 1; dx++) {
                int from_y = y + dy;
                int from_x = x + dx;
                if (from_y >= 0 && from_y < SIZE && from_x >= 0 && from_x < SIZE) {
                    sum += in[c * PIXELS + from_y * SIZE + from_x] *
                           weight[c * 9 + (dy + 1) * 3 + dx + 1];
                }
            }
        }
    }
    out[(image * get_global_size(1) + channel) * PIXELS + get_global_id(0)] = fmax(sum, 0.0f);
}

/* The largest of each 2x2 block. Launch: pixels of the smaller image, channels, images. */
__kernel void max_pool(__global const float *in, __global float *out)
{
    size_t y = get_global_id(0) / POOLED;
    size_t x = get_global_id(0) % POOLED;
    size_t plane = get_global_id(2) * get_global_size(1) + get_global_id(1);
    in += plane * PIXELS + 2 * y * SIZE + 2 * x;
    float top = fmax(in[0], in[1]);
    float bottom = fmax(in[SIZE], in[SIZE + 1]);
    out[plane * POOLED * POOLED + get_global_id(0)] = fmax(top, bottom);
}

/* A score for each class. Launch: classes, images. */
__kernel void dense(__global const float *in, __global const float *weight,
                    __global const float *bias, uint features, __global float *out)
{
    size_t class = get_global_id(0);
    size_t image = get_global_id(1);
    float sum = bias[class];
    for (uint i = 0; i < features; i++) {
        sum += in[image * features + i] * weight[class * features + i];
    }
    out[image * get_global_size(0) + class] = sum;
}

/*
 * Scores to probabilities and the likeliest class, stored for image `first` + i of the whole set.
 * Launch: images.
 */
__kernel void softmax_argmax(__global const float *scores, uint classes, uint first,
                             __global float *probabilities, __global uint *answers)
{
    size_t image = get_global_id(0);
    scores += image * classes;
    probabilities += (first + image) * classes;
    uint best = 0;
    for (uint i = 1; i < classes; i++) {
        best = scores[i] > scores[best] ? i : best;
    }
    float sum = 0;
    for (uint i = 0; i < classes; i++) {
        probabilities[i] = exp(scores[i] - scores[best]);
        sum += probabilities[i];
    }
    for (uint i = 0; i < classes; i++) {
        probabilities[i] /= sum;
    }
    answers[first + image] = best;
}
