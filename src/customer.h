/*
 * customer.h: telling customers apart by one word, where a book has what holds for each.
 */
#ifndef METER_CUSTOMER_H
#define METER_CUSTOMER_H

#include "compat.h"

#include "common/hashfn.h"

/* A word that tells customers apart; never zero, which is no customer. */
static inline uint64
customer_word(const char *name, int length)
{
	uint64 word = hash_bytes_extended((const unsigned char *) name, length, 0);

	return word != 0 ? word : 1;
}

/* The same of a customer that is a number. */
static inline uint64
customer_word_of_id(int64 id)
{
	uint64 word = (uint64) id + UINT64CONST(0x8000000000000001);

	return word != 0 ? word : 1;
}

#endif /* METER_CUSTOMER_H */
