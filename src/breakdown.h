/*
 * breakdown.h: a day's usage, broken down by what was used and how.
 *
 * A breakdown is a varlena. Behind the length word and a format byte come the entries
 * and nothing else, in the order of their keys' bytes, each key once:
 *
 *     key events unpriced_cost unpriced_credits cost credits length usage
 *
 * A key is a byte with a bit for each of its names that is not NULL, and behind it
 * each of those, its length before it. Lengths are base-128 varints, low digits first,
 * every byte but the last with bit 0x80. Numbers are written as the quantities of a
 * usage are, and the usage is a usage's bytes without its length word (usage.h). So an
 * entry of everyday takes some fifty bytes, and equal breakdowns have equal bytes.
 */
#ifndef METER_BREAKDOWN_H
#define METER_BREAKDOWN_H

#include "usage.h"

#define BREAKDOWN_FORMAT 1

/* The names of a key, by their bits. */
typedef enum BreakdownName
{
	BREAKDOWN_ITEM,
	BREAKDOWN_ACTION,
	BREAKDOWN_VARIANT,
	BREAKDOWN_OUTCOME,
	BREAKDOWN_REQUEST_CLASS
} BreakdownName;

#define BREAKDOWN_NAMES 5

typedef struct BreakdownKey
{
	const uint8 *bytes;
	int length;
} BreakdownKey;

typedef struct BreakdownEntry
{
	BreakdownKey key;
	int64 events;
	int64 unpriced_cost;
	int64 unpriced_credits;
	Dec cost;
	Dec credits;
	const uint8 *usage;
	int usage_length;
} BreakdownEntry;

typedef struct BreakdownReader
{
	const uint8 *next;
	const uint8 *end;
} BreakdownReader;

/* Any breakdown, packed or not: read through breakdown_open() only. */
#define PG_GETARG_BREAKDOWN_PP(n) detoast_packed(PG_GETARG_DATUM(n))

extern void breakdown_open(BreakdownReader *reader, const void *breakdown);
extern bool breakdown_next(BreakdownReader *reader, BreakdownEntry *entry);
extern void breakdown_begin(StringInfo out);
extern void breakdown_write(StringInfo out, const BreakdownEntry *entry);
extern struct varlena *breakdown_end(StringInfo out);
extern uint8 *breakdown_write_name(uint8 *p, const char *name, int length);
extern const uint8 *breakdown_read_name(const uint8 *p, const char **name, int *length);
extern struct varlena *breakdown_usage(const BreakdownEntry *entry);
extern struct varlena *breakdown_parse(char *text, struct Node *escontext);
extern char *breakdown_print(const void *breakdown);
extern void breakdown_write_wire(StringInfo out, const void *breakdown);
extern struct varlena *breakdown_read_wire(StringInfo in);

/* The bytes that a name takes at most, besides its own. */
#define BREAKDOWN_NAME_HEAD 5

/* Begins to read an entry's usage. */
static inline UsageReader
breakdown_usage_reader(const BreakdownEntry *entry)
{
	UsageReader reader = {entry->usage, entry->usage + entry->usage_length};

	return reader;
}

/* Returns the order of two keys: any one will do, as long as it is always the same. */
static inline int
breakdown_compare(const BreakdownKey *a, const BreakdownKey *b)
{
	int order = memcmp(a->bytes, b->bytes, Min(a->length, b->length));

	return order != 0 ? order : a->length - b->length;
}

#endif /* METER_BREAKDOWN_H */
