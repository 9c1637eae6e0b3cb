/*
 * meter.c: the module's entry. The library holds no state and reads no setting,
 * so there is nothing to set up.
 */
#include "compat.h"

#include "fmgr.h"

PG_MODULE_MAGIC;
