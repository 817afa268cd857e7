/*
 * model.h: the model behind burst_predict(), in the model store: `mlctl model replace sched_burst`
 * puts another one there while the policy decides.
 */
#pragma once

/* Thread context. Errors as models_open()'s. */
int model_open(void);
void model_close(void); /* nobody predicts any more */
