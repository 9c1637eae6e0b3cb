/*
 * usage.h: the bag of named quantities that one event, or a sum of events, measured.
 *
 * A usage is a varlena. Behind the length word come the entries and nothing else,
 * well-known units first, by code, then custom ones, by name (bytewise):
 *
 *     code byte [name] quantity
 *
 * A code byte below UNIT_CUSTOM is a well-known unit's; above, it is UNIT_CUSTOM plus
 * the length of the name that follows. The quantity is a number u as a base-128
 * varint, low digits first, every byte but the last with bit 0x80, in the fewest
 * bytes: u = zigzag(n) << 1 for n whole units, and zigzag(q) << 1 | 1 for any other
 * quantity, q times 10^-12. So 88 output tokens take three bytes, and equal bags have
 * equal bytes. A quantity of zero is an entry like any other: it was measured.
 */
#ifndef METER_USAGE_H
#define METER_USAGE_H

#include "decimal.h"
#include "unit.h"

/* Any Usage, packed or not: read through VARDATA_ANY only. */
#define DatumGetUsagePP(d) detoast_packed(d)
#define PG_GETARG_USAGE_PP(n) DatumGetUsagePP(PG_GETARG_DATUM(n))

/* The most units one usage has: a bag is a handful of units, not a table. */
#define USAGE_MAX_UNITS 1000

/* The longest entry: code byte and name, and a quantity. */
#define USAGE_NAME_MAX (1 + UNIT_NAME_MAX)
#define USAGE_WHOLE_MAX 10
#define USAGE_QUANTITY_MAX 19

typedef struct UsageReader
{
	const uint8 *next;
	const uint8 *end;
} UsageReader;

typedef struct Bucket
{
	int unit;		  /* code, or 0 for a custom unit */
	const char *name; /* of a custom unit only: not zero-terminated */
	int name_length;
	bool whole;	  /* the quantity is count whole units */
	int64 count;  /* set only where whole */
	Dec quantity; /* set only where not whole: see bucket_quantity() */
} Bucket;

/* What kind of argument a quantity is, where usage comes as pairs of arguments. */
typedef enum QuantityKind
{
	QUANTITY_INT2,
	QUANTITY_INT4,
	QUANTITY_INT8,
	QUANTITY_NUMERIC,
	QUANTITY_NULL
} QuantityKind;

typedef struct UsagePair
{
	int quantity; /* which argument */
	QuantityKind kind;
	bool cstring; /* a name whose type is still unknown comes as a C string */
	int head_length;
	uint8 head[1 + UNIT_NAME_MAX]; /* the entry's code byte and name */
} UsagePair;

/*
 * What a function of (unit, quantity, ...) finds out about its arguments once a query: their types and,
 * where all names are constants, the entries' order and first bytes.
 */
typedef struct UsageArgs
{
	const char *function; /* for errors, with the number that its first argument has */
	int shown;
	int pairs;
	bool constant;
	Size bound; /* no result is longer */
	UsagePair pair[FLEXIBLE_ARRAY_MEMBER];
} UsageArgs;

extern UsageArgs *usage_args_resolve(FunctionCallInfo fcinfo, const char *function, int first,
									 int shown, MemoryContext context);
extern struct varlena *usage_args_build(FunctionCallInfo fcinfo, const UsageArgs *args);
extern const uint8 *usage_read_long(const uint8 *p, Bucket *bucket);

/* Begins to read a detoasted usage, packed or not. */
static inline void
usage_open(UsageReader *reader, const void *usage)
{
	reader->next = (const uint8 *) VARDATA_ANY(usage);
	reader->end = reader->next + VARSIZE_ANY_EXHDR(usage);
}

/*
 * Reads a quantity into a bucket and returns what follows it. It trusts the bytes:
 * input and recv let no others in.
 */
static inline const uint8 *
usage_read_quantity(const uint8 *p, Bucket *bucket)
{
	const uint8 *quantity = p;
	uint64 u = *p++;
	int64 value;

	if (u & 0x80)
	{
		int shift = 7;
		uint8 byte;

		u &= 0x7F;
		do
		{
			byte = *p++;
			u |= (uint64) (byte & 0x7F) << shift;
			shift += 7;
		} while ((byte & 0x80) && shift < 63);
		if (unlikely(byte & 0x80))
			return usage_read_long(quantity, bucket);
	}

	value = (int64) (u >> 2) ^ -(int64) ((u >> 1) & 1);
	bucket->whole = (u & 1) == 0;
	if (likely(bucket->whole))
		bucket->count = value;
	else
		bucket->quantity = value;
	return p;
}

/* Reads the next entry; returns false behind the last one. */
static inline bool
usage_next(UsageReader *reader, Bucket *bucket)
{
	const uint8 *p = reader->next;

	if (p >= reader->end)
		return false;
	bucket->unit = *p++;
	if (unlikely(bucket->unit >= UNIT_CUSTOM))
	{
		bucket->name = (const char *) p;
		bucket->name_length = bucket->unit - UNIT_CUSTOM;
		bucket->unit = 0;
		p += bucket->name_length;
	}
	reader->next = usage_read_quantity(p, bucket);
	return true;
}

/*
 * Sets what the next entry says and where it ends, where it is a well-known unit's
 * and a whole quantity of at most three bytes: the short way for the hottest loop.
 */
static inline bool
usage_peek_small(const UsageReader *reader, uint32 *code, int64 *count, const uint8 **next)
{
	const uint8 *p = reader->next;
	uint32 u = p[1];

	if (unlikely(p[0] >= UNIT_CUSTOM))
		return false;
	*next = p + 2;
	if (u & 0x80)
	{
		u = (u & 0x7F) | ((uint32) p[2] << 7);
		*next = p + 3;
		if (p[2] & 0x80)
		{
			u = (u & 0x3FFF) | ((uint32) p[3] << 14);
			*next = p + 4;
			if (unlikely(p[3] & 0x80))
				return false;
		}
	}
	if (unlikely(u & 1))
		return false;
	*code = p[0];
	*count = (int64) (u >> 2) ^ -(int64) ((u >> 1) & 1);
	return true;
}

/* Returns a bucket's quantity. */
static inline Dec
bucket_quantity(const Bucket *bucket)
{
	return bucket->whole ? dec_from_int64(bucket->count) : bucket->quantity;
}

/* Returns a bucket's name, which is not always zero-terminated, and its length. */
static inline const char *
bucket_name(const Bucket *bucket, int *length)
{
	const char *name = bucket->unit != 0 ? unit_name(bucket->unit) : bucket->name;

	*length = bucket->unit != 0 ? (int) strlen(name) : bucket->name_length;
	return name;
}

/* Returns a zigzag number, where the smallest numbers of either sign come first. */
static inline uint64
usage_zigzag(int64 value)
{
	return ((uint64) value << 1) ^ (uint64) (value >> 63);
}

/* Writes a quantity of so many whole units, at most USAGE_WHOLE_MAX bytes. */
static inline uint8 *
usage_write_whole(uint8 *p, int64 count)
{
	uint64 rest = usage_zigzag(count);
	uint8 byte = (uint8) ((rest & 0x3F) << 1);

	/* one to three bytes hold nearly every count */
	if (likely(rest < (1 << 20)))
	{
		uint32 u = (uint32) rest << 1;

		if (u < (1 << 7))
		{
			p[0] = (uint8) u;
			return p + 1;
		}
		p[0] = (uint8) u | 0x80;
		if (u < (1 << 14))
		{
			p[1] = (uint8) (u >> 7);
			return p + 2;
		}
		p[1] = (uint8) (u >> 7) | 0x80;
		p[2] = (uint8) (u >> 14);
		return p + 3;
	}

	for (rest >>= 6; rest != 0; rest >>= 7)
	{
		*p++ = byte | 0x80;
		byte = (uint8) (rest & 0x7F);
	}
	*p++ = byte;
	return p;
}

extern uint8 *usage_write_quantity(uint8 *p, Dec quantity);
extern uint8 *usage_write_unit(uint8 *p, const Bucket *bucket);

extern int bucket_compare(const Bucket *a, const Bucket *b);
extern void bucket_set_unit(Bucket *bucket, const char *name, int length);
extern struct varlena *usage_from_buckets(Bucket *buckets, int n, struct Node *escontext);
extern bool usage_check_name(const char *name, int length, struct Node *escontext);
pg_noreturn extern void usage_too_many_units(void);

extern struct varlena *usage_parse(const char *text, struct Node *escontext);
extern char *usage_print(const void *usage);
extern void usage_write_wire(StringInfo buffer, const void *usage);
extern struct varlena *usage_read_wire(StringInfo buffer);

#endif /* METER_USAGE_H */
