/*
 * usage.c: the type meter.usage. Its bytes are described in usage.h.
 */
#include "usage.h"

/*
 * Reads a quantity of ten bytes and more, and returns what follows it: a whole number
 * of 2^61 and above, or a fraction that does not fit 64 bits.
 */
const uint8 *
usage_read_long(const uint8 *p, Bucket *bucket)
{
	bool fractional = (*p & 1) != 0;
	uint128 zigzag = (*p & 0x7F) >> 1;
	int shift = 6;
	Dec value;

	while (*p++ & 0x80)
	{
		zigzag |= (uint128) (*p & 0x7F) << shift;
		shift += 7;
	}

	value = (Dec) (zigzag >> 1) ^ -(Dec) (zigzag & 1);
	bucket->whole = !fractional && dec_fits_int64(value);
	if (bucket->whole)
		bucket->count = (int64) value;
	else
		bucket->quantity = fractional ? value : value * DEC_ONE;
	return p;
}
