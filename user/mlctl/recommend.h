/*
 * recommend.h: which profile fits this machine.
 */
#pragma once

#include "profile_file.h"

/* Prints a profile's name and, on the lines behind it, why. False: none fits; a line said so. */
bool profile_recommend(void);
