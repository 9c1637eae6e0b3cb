/*
 * unpack.h: values that are used again and again where they lie, once they are unpacked.
 */
#ifndef METER_UNPACK_H
#define METER_UNPACK_H

#include "compat.h"

/*
 * The last value that had to be unpacked, and the bytes it was unpacked from: a TOAST
 * pointer, or a compressed value.
 */
typedef struct UnpackCache
{
	MemoryContext context; /* holds the value and the key's copy */
	struct varlena *key;
	Size key_size;
	struct varlena *value;
} UnpackCache;

extern struct varlena *value_unpack(struct varlena *value, UnpackCache **cache,
									MemoryContext context);

/*
 * Returns the value of a Datum, aligned and in memory. One that arrives as a value, as
 * from a scalar subquery that makes it, is used where it lies. The cache is the caller's
 * and lives in the context.
 */
static inline struct varlena *
value_fetch(Datum datum, UnpackCache **cache, MemoryContext context)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(datum);

	if (likely(!VARATT_IS_EXTENDED(value)))
		return value;
	return value_unpack(value, cache, context);
}

#endif /* METER_UNPACK_H */
