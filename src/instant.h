/*
 * instant.h: instants in the text of values, and what else their JSON forms share.
 */
#ifndef METER_INSTANT_H
#define METER_INSTANT_H

#include "compat.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

extern bool instant_parse(const char **text, TimestampTz *instant);
extern bool clock_parse(const char **text, int64 *time);
extern void clock_print(StringInfo out, int64 time);
extern void instant_print(StringInfo out, TimestampTz instant);
extern void json_text_print(StringInfo out, const char *text, int length);
extern bool json_is_deeper(const char *text, int most);

#endif /* METER_INSTANT_H */
