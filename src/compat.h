/*
 * compat.h: what differs between the supported PostgreSQL versions, 15 and up.
 *
 * Nothing else in the code looks at PG_VERSION_NUM.
 */
#ifndef METER_COMPAT_H
#define METER_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "meter needs PostgreSQL 15 or newer"
#endif

#ifndef HAVE_INT128
#error "meter needs a compiler with a 128-bit integer type (gcc or clang on a 64-bit machine)"
#endif

/* Goes before a declaration; PostgreSQL has it from 18 on, in place of an attribute behind it. */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#include "nodes/miscnodes.h"
#else
#include "nodes/nodes.h"

/* Type input reports errors softly from 16 on; before, a soft error is a hard one. */
#define ereturn(context, value, ...) \
	do                               \
	{                                \
		(void) (context);            \
		ereport(ERROR, __VA_ARGS__); \
		return value;                \
	} while (0)
#define errsave(context, ...)        \
	do                               \
	{                                \
		(void) (context);            \
		ereport(ERROR, __VA_ARGS__); \
	} while (0)
#define SOFT_ERROR_OCCURRED(context) (false)
#endif

/* Ranges take an error context from 16 on; use with utils/rangetypes.h. */
#if PG_VERSION_NUM >= 160000
#define meter_make_range(type, lower, upper, empty) make_range(type, lower, upper, empty, NULL)
#else
#define meter_make_range(type, lower, upper, empty) make_range(type, lower, upper, empty)
#endif
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "utils/fmgrprotos.h"

/* PG_DETOAST_DATUM_PACKED without a call where there is nothing to do, as in most rows. */
static inline struct varlena *
detoast_packed(Datum datum)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(datum);

	if (likely(!VARATT_IS_COMPRESSED(value) && !VARATT_IS_EXTERNAL(value)))
		return value;
	return pg_detoast_datum_packed(value);
}

/* Writes a text in the client's encoding behind its length in bytes. */
static inline void
send_counted_text(StringInfo buffer, const char *text, int length)
{
#if PG_VERSION_NUM >= 170000
	pq_sendcountedtext(buffer, text, length);
#else
	pq_sendcountedtext(buffer, text, length, false);
#endif
}

/* Sets the jsonb of a JSON text; returns false after a soft error. */
static inline bool
input_jsonb(char *text, struct Node *escontext, Datum *json)
{
#if PG_VERSION_NUM >= 160000
	return DirectInputFunctionCallSafe(jsonb_in, text, InvalidOid, -1, escontext, json);
#else
	(void) escontext;
	*json = DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
	return true;
#endif
}

#endif /* METER_COMPAT_H */
