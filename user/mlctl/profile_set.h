/*
 * profile_set.h: putting a profile into force, all of it or nothing.
 */
#pragma once

#include "profile_file.h"

/* Could it be set here: are its classes there, and its policies loaded or to be loaded? If not, `why`
 * says what is missing. */
bool profile_fits(const struct profile *profile, char *why, size_t size);

/* Sets it. False: a line said what failed, and everything is as it was. */
bool profile_apply(const struct profile *profile);

/* Loads what the profile names and is not there. False: a line said why, and none of them is loaded. */
bool profile_load(const struct profile *profile);
