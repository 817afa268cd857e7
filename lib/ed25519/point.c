/*
 * point.c: see point.h; the formulas are those of RFC 8032, sections 5.1.3 and 5.1.4.
 */
#include "lib/ed25519/point.h"

#include <string.h>

static const struct field one = {{1}};
static const struct field curve_d = {
    {0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff}};
static const struct field curve_2d = {
    {0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff}};
static const struct field root_of_minus_one = {
    {0x61b274a0ea0b0, 0x0d5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};

static const struct point neutral = {.y = {{1}}, .z = {{1}}};

const struct point point_base = {
    .x = {{0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe, 0x216936d3cd6e5}},
    .y = {{0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333, 0x6666666666666}},
    .z = {{1}},
    .t = {{0x68ab3a5b7dda3, 0x00eea2a5eadbb, 0x2af8df483c27e, 0x332b375274732, 0x67875f0fd78b7}},
};

/* x from y: the square root of (y^2 - 1) / (d y^2 + 1). false: there is none. */
static bool x_recover(struct field *x, const struct field *y)
{
    struct field u, v, v3, t, check;

    field_mul(&t, y, y);
    field_sub(&u, &t, &one);
    field_mul(&v, &t, &curve_d);
    field_add(&v, &v, &one);
    field_mul(&v3, &v, &v);
    field_mul(&v3, &v3, &v);
    field_mul(&t, &v3, &v3); /* v^6 */
    field_mul(&t, &t, &v);
    field_mul(&t, &t, &u); /* u v^7 */
    field_power_p58(&t, &t);
    field_mul(&t, &t, &v3);
    field_mul(x, &t, &u); /* u v^3 (u v^7)^((p-5)/8) */

    field_mul(&check, x, x);
    field_mul(&check, &check, &v);
    if (field_equal(&check, &u))
        return true;
    field_mul(x, x, &root_of_minus_one);
    field_mul(&check, x, x);
    field_mul(&check, &check, &v);
    return field_equal(&check, &u);
}

bool point_decode(struct point *out, const uint8_t bytes[32])
{
    static const struct field zero;
    bool sign = bytes[31] >> 7;
    uint8_t again[32];

    field_load(&out->y, bytes);
    field_store(again, &out->y);
    again[31] |= (uint8_t)(sign << 7);
    if (memcmp(again, bytes, sizeof(again)) != 0 || !x_recover(&out->x, &out->y))
        return false;
    if (field_odd(&out->x) != sign) {
        if (field_equal(&out->x, &zero))
            return false;
        field_sub(&out->x, &zero, &out->x);
    }
    out->z = one;
    field_mul(&out->t, &out->x, &out->y);
    return true;
}

void point_encode(uint8_t bytes[32], const struct point *a)
{
    struct field inverse, x, y;

    field_invert(&inverse, &a->z);
    field_mul(&x, &a->x, &inverse);
    field_mul(&y, &a->y, &inverse);
    field_store(bytes, &y);
    bytes[31] |= (uint8_t)(field_odd(&x) << 7);
}

void point_negate(struct point *a)
{
    static const struct field zero;

    field_sub(&a->x, &zero, &a->x);
    field_sub(&a->t, &zero, &a->t);
}

/* The last step that addition and doubling share. */
static void point_compose(struct point *out, const struct field *e, const struct field *f,
                          const struct field *g, const struct field *h)
{
    field_mul(&out->x, e, f);
    field_mul(&out->y, g, h);
    field_mul(&out->t, e, h);
    field_mul(&out->z, f, g);
}

void point_add(struct point *out, const struct point *p, const struct point *q)
{
    struct field a, b, c, d, e, f, g, h;

    field_sub(&a, &p->y, &p->x);
    field_sub(&b, &q->y, &q->x);
    field_mul(&a, &a, &b);
    field_add(&b, &p->y, &p->x);
    field_add(&c, &q->y, &q->x);
    field_mul(&b, &b, &c);
    field_mul(&c, &p->t, &q->t);
    field_mul(&c, &c, &curve_2d);
    field_mul(&d, &p->z, &q->z);
    field_add(&d, &d, &d);
    field_sub(&e, &b, &a);
    field_sub(&f, &d, &c);
    field_add(&g, &d, &c);
    field_add(&h, &b, &a);
    point_compose(out, &e, &f, &g, &h);
}

static void point_double(struct point *p)
{
    struct field a, b, c, e, f, g, h;

    field_mul(&a, &p->x, &p->x);
    field_mul(&b, &p->y, &p->y);
    field_mul(&c, &p->z, &p->z);
    field_add(&c, &c, &c);
    field_add(&h, &a, &b);
    field_add(&e, &p->x, &p->y);
    field_mul(&e, &e, &e);
    field_sub(&e, &h, &e);
    field_sub(&g, &a, &b);
    field_add(&f, &c, &g);
    point_compose(p, &e, &f, &g, &h);
}

void point_combine(struct point *out, const struct scalar *s, const struct point *a,
                   const struct scalar *k, const struct point *b)
{
    /* Both scalars bit by bit together (Straus 1964, known as Shamir's trick). */
    struct point both;

    point_add(&both, a, b);
    *out = neutral;
    for (int i = 255; i >= 0; i--) {
        int bits = scalar_bit(s, i) | scalar_bit(k, i) << 1;

        point_double(out);
        if (bits)
            point_add(out, out, bits == 1 ? a : bits == 2 ? b : &both);
    }
}
