/*
 * event.c: the rules that an event keeps, so that every stored event can be rated,
 * added up and billed.
 *
 * They are one CHECK constraint over the whole row, because a statement reads each
 * constraint, and in it each column, from the text of the catalogue before its first row:
 * thirteen constraints cost an INSERT of one event as much as the rest of it, one that
 * names thirteen columns a third. The function says itself which rule is broken, by what
 * value, and what to write instead.
 */
#include "usage.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* The largest quantity of one event: times a price of a million a unit it is in range. */
#define EVENT_QUANTITY_MAX ((Dec) INT64CONST(10000000000) * INT64CONST(10000000000) * DEC_ONE)

/* The first instant that an event may have, and the one that is too late. */
#define EVENT_FIRST (-INT64CONST(946684800) * USECS_PER_SEC) /* 1970-01-01 UTC */
#define EVENT_END (INT64CONST(252455616000) * USECS_PER_SEC) /* 10000-01-01 UTC */

#define NAME_MAX_BYTES 255
#define EVENT_ID_MAX_BYTES 1000

/* How much of a value a message shows. */
#define SHOWN_BYTES 40

/* The columns of an event, in their order. */
typedef enum EventColumn
{
	EVENT_CUSTOMER_ID,
	EVENT_ID,
	EVENT_OCCURRED_AT,
	EVENT_ITEM,
	EVENT_USAGE,
	EVENT_ACTION,
	EVENT_VARIANT,
	EVENT_OUTCOME,
	EVENT_REQUEST_CLASS,
	EVENT_USER_ID,
	EVENT_WORKFLOW_ID,
	EVENT_TAGS,
	EVENT_SIGN,
	EVENT_REVERSES,
	EVENT_RECEIVED_AT,
	EVENT_TXID,
	EVENT_COLUMNS
} EventColumn;

typedef struct Event
{
	Datum value[EVENT_COLUMNS];
	bool null[EVENT_COLUMNS];
} Event;

extern Datum meter_usage_out(PG_FUNCTION_ARGS);

static bool is_outcome(const struct varlena *outcome);
pg_noreturn static void refuse_usage(const void *usage, bool negative);

/* The fields by which a client knows a broken constraint. */
static int
broken(void)
{
	errcode(ERRCODE_CHECK_VIOLATION);
	err_generic_string(PG_DIAG_SCHEMA_NAME, "meter");
	err_generic_string(PG_DIAG_TABLE_NAME, "usage_event");
	err_generic_string(PG_DIAG_CONSTRAINT_NAME, "usage_event_is_sound");
	return 0;
}

/* Returns the beginning of a text. */
static char *
shown(Datum whole)
{
	char *value = TextDatumGetCString(whole);
	int length = strlen(value);

	if (length <= SHOWN_BYTES)
		return value;
	return psprintf("%.*s...", pg_mbcliplen(value, length, SHOWN_BYTES), value);
}

/*
 * Reads the columns of a row of an event, whose type the SQL declaration guarantees. With a
 * loop of its own, as what PostgreSQL has for it would have to look the type up for each row.
 */
static inline void
read_event(HeapTupleHeader row, Event *event)
{
	const char *data = (const char *) row + row->t_hoff;
	bool nulls = (row->t_infomask & HEAP_HASNULL) != 0;
	uint32 at = 0;

	/* Further ones are the user's. */
	if (HeapTupleHeaderGetNatts(row) < EVENT_COLUMNS)
		elog(ERROR, "an event has %d columns, not %d", EVENT_COLUMNS, HeapTupleHeaderGetNatts(row));
	for (int column = 0; column < EVENT_COLUMNS; column++)
	{
		event->null[column] = nulls && att_isnull(column, row->t_bits);
		if (event->null[column])
			continue;
		switch (column)
		{
			case EVENT_OCCURRED_AT:
			case EVENT_RECEIVED_AT:
			case EVENT_TXID:
				at = DOUBLEALIGN(at);
				event->value[column] = Int64GetDatum(*(const int64 *) (data + at));
				at += sizeof(int64);
				break;
			case EVENT_SIGN:
				at = SHORTALIGN(at);
				event->value[column] = Int16GetDatum(*(const int16 *) (data + at));
				at += sizeof(int16);
				break;
			default:
				at = att_align_pointer(at, TYPALIGN_INT, -1, data + at);
				event->value[column] = PointerGetDatum(data + at);
				at += VARSIZE_ANY(data + at);
		}
	}
}

/* Refuses a name that is empty or too long. */
static inline void
check_name(const Event *event, EventColumn name, const char *column, Size most)
{
	Size bytes;

	if (event->null[name])
		return;
	bytes = toast_raw_datum_size(event->value[name]) - VARHDRSZ;
	if (likely(bytes - 1 < most))
		return;
	if (bytes == 0)
		ereport(ERROR, (broken(), errmsg("%s of an event is empty", column)));
	ereport(ERROR, (broken(), errmsg("%s \"%s\" of an event has %zu bytes, more than %zu", column,
									 shown(event->value[name]), bytes, most)));
}

/* Returns whether no quantity has another sign than the event, or is too large for one. */
static inline bool
is_countable(const void *usage, bool negative)
{
	UsageReader reader;
	Bucket bucket;

	usage_open(&reader, usage);
	while (usage_next(&reader, &bucket))
	{
		/* A whole count is below 2^63, which is below the limit. */
		if (bucket.whole ? (negative ? bucket.count > 0 : bucket.count < 0)
						 : (negative ? bucket.quantity > 0 || bucket.quantity < -EVENT_QUANTITY_MAX
									 : bucket.quantity < 0 || bucket.quantity > EVENT_QUANTITY_MAX))
			return false;
	}
	return true;
}

/* Says whether one event of a sign may have a usage. */
PG_FUNCTION_INFO_V1(meter_is_countable);
Datum
meter_is_countable(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_countable(PG_GETARG_USAGE_PP(0), PG_GETARG_INT16(1) < 0));
}

/*
 * Says whether a row is a sound event: true, or an error that names what is not. What must
 * not be NULL is the columns' own rule.
 */
PG_FUNCTION_INFO_V1(meter_is_event);
Datum
meter_is_event(PG_FUNCTION_ARGS)
{
	Event event;
	int16 sign;

	read_event(PG_GETARG_HEAPTUPLEHEADER(0), &event);
	sign = event.null[EVENT_SIGN] ? 1 : DatumGetInt16(event.value[EVENT_SIGN]);

	check_name(&event, EVENT_CUSTOMER_ID, "customer_id", NAME_MAX_BYTES);
	check_name(&event, EVENT_ID, "event_id", EVENT_ID_MAX_BYTES);
	check_name(&event, EVENT_ITEM, "item", NAME_MAX_BYTES);
	check_name(&event, EVENT_ACTION, "action", NAME_MAX_BYTES);
	check_name(&event, EVENT_VARIANT, "variant", NAME_MAX_BYTES);
	check_name(&event, EVENT_REQUEST_CLASS, "request_class", NAME_MAX_BYTES);

	if (!event.null[EVENT_OCCURRED_AT])
	{
		TimestampTz at = DatumGetTimestampTz(event.value[EVENT_OCCURRED_AT]);

		if (unlikely(at < EVENT_FIRST || at >= EVENT_END))
			ereport(ERROR,
					(broken(), errmsg("occurred_at %s of an event is not in the years 1970 to 9999",
									  timestamptz_to_str(at))));
	}
	if (!event.null[EVENT_OUTCOME] &&
		unlikely(!is_outcome(DatumGetTextPP(event.value[EVENT_OUTCOME]))))
		ereport(ERROR, (broken(),
						errmsg("outcome \"%s\" of an event is not known",
							   shown(event.value[EVENT_OUTCOME])),
						errhint("It is success, failure, pending, disputed or NULL.")));
	if (!event.null[EVENT_TAGS] &&
		unlikely(!JB_ROOT_IS_OBJECT(DatumGetJsonbP(event.value[EVENT_TAGS]))))
		ereport(ERROR, (broken(), errmsg("tags of an event are no JSON object")));

	if (unlikely(sign != 1 && sign != -1))
		ereport(ERROR, (broken(), errmsg("sign %d of an event is neither 1 nor -1", sign)));
	if (!event.null[EVENT_USAGE])
	{
		struct varlena *usage = DatumGetUsagePP(event.value[EVENT_USAGE]);

		if (unlikely(!is_countable(usage, sign < 0)))
			refuse_usage(usage, sign < 0);
	}
	if (unlikely((sign < 0) != !event.null[EVENT_REVERSES]))
		ereport(ERROR, (broken(),
						sign < 0 ? errmsg("an event with sign -1 does not say what it reverses")
								 : errmsg("an event with sign 1 says that it reverses another"),
						errhint("Take an event back with meter.void_event or meter.amend_event.")));
	if (unlikely(sign < 0) && !event.null[EVENT_ID] &&
		DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, event.value[EVENT_REVERSES],
											 event.value[EVENT_ID])))
		ereport(ERROR,
				(broken(), errmsg("event \"%s\" reverses itself", shown(event.value[EVENT_ID]))));
	if (!event.null[EVENT_TXID] && unlikely(DatumGetInt64(event.value[EVENT_TXID]) < 0))
		ereport(ERROR, (broken(), errmsg("txid " INT64_FORMAT " of an event is negative",
										 DatumGetInt64(event.value[EVENT_TXID]))));
	PG_RETURN_BOOL(true);
}

/* Says whether the outcome is one that there is. */
static bool
is_outcome(const struct varlena *outcome)
{
	static const char *const outcomes[] = {"success", "failure", "pending", "disputed"};

	for (int i = 0; i < (int) lengthof(outcomes); i++)
		if (VARSIZE_ANY_EXHDR(outcome) == strlen(outcomes[i]) &&
			memcmp(VARDATA_ANY(outcome), outcomes[i], strlen(outcomes[i])) == 0)
			return true;
	return false;
}

static void
refuse_usage(const void *usage, bool negative)
{
	char *text = DatumGetCString(DirectFunctionCall1(meter_usage_out, PointerGetDatum(usage)));

	ereport(ERROR,
			(broken(),
			 negative
				 ? errmsg("usage %s of a reversal has a quantity above zero or below -10^20", text)
				 : errmsg("usage %s of an event has a quantity below zero or above 10^20", text),
			 errhint("Take an event back with meter.void_event or meter.amend_event.")));
}
