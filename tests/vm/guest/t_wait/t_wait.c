/*
 * t_wait.c: does nothing until it is ended: for tests that look at a machine from the outside.
 */
#include <unistd.h>

int main(void)
{
    for (;;) {
        pause();
    }
}
