/*
 * unpack.c: keeping the last value that had to be unpacked.
 */
#include "unpack.h"

#include "utils/memutils.h"

/*
 * Returns the value of an argument that is a TOAST pointer or compressed, as one from
 * a table column is. Reading it costs far more than using it; so the last one is kept,
 * known again by the bytes that arrived and never by the value's own.
 */
struct varlena *
value_unpack(struct varlena *value, UnpackCache **slot, MemoryContext context)
{
	UnpackCache *cache = *slot;
	Size size = VARSIZE_ANY(value);

	/* what lies in memory of its own may change under the same pointer */
	if (VARATT_IS_EXTERNAL(value) && !VARATT_IS_EXTERNAL_ONDISK(value))
		return PG_DETOAST_DATUM(PointerGetDatum(value));

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(context, sizeof(UnpackCache));
		cache->context =
			AllocSetContextCreate(context, "meter unpacked value", ALLOCSET_DEFAULT_SIZES);
		*slot = cache;
	}
	if (cache->value == NULL || cache->key_size != size || memcmp(cache->key, value, size) != 0)
	{
		MemoryContext previous;

		cache->value = NULL;
		MemoryContextReset(cache->context);
		previous = MemoryContextSwitchTo(cache->context);
		cache->key = memcpy(palloc(size), value, size);
		cache->key_size = size;
		cache->value = PG_DETOAST_DATUM_COPY(PointerGetDatum(value));
		MemoryContextSwitchTo(previous);
	}
	return cache->value;
}
