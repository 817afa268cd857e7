/* direct.h: the same work on the host's OpenCL without gpud: what the figures stand beside. */
#pragma once

/* Takes the device that gpud takes with "auto". Ends the program with a line when there is none. */
void direct_open(void);
/* Launches an empty kernel `count` times and waits for the last. */
void direct_run(unsigned count);
void direct_close(void);
