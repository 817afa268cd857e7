/*
 * main.c: mlctl, the owner's hand on the machine's policies.
 */
#include "verb.h"

int main(int argc, char **argv)
{
    return mlctl(argc, argv);
}
