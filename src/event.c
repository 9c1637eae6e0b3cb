/*
 * event.c: the rules that an event keeps, so that every stored event can be rated,
 * added up and billed.
 *
 * They are one CHECK constraint over the whole row, because a statement reads each
 * constraint from the catalogue before its first row: thirteen of them cost an INSERT
 * of one event as much as the rest of it. The function says itself which rule is
 * broken, by what value, and what to write instead.
 */
#include "usage.h"

#include "access/detoast.h"
#include "catalog/pg_collation.h"
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

/* The arguments of is_event. */
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
	EVENT_TAGS,
	EVENT_SIGN,
	EVENT_REVERSES,
	EVENT_TXID
} EventColumn;

extern Datum meter_usage_out(PG_FUNCTION_ARGS);

static bool is_outcome(FunctionCallInfo fcinfo);
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

/* Returns the beginning of a text argument. */
static char *
shown(FunctionCallInfo fcinfo, int argument)
{
	char *value = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	int length = strlen(value);

	if (length <= SHOWN_BYTES)
		return value;
	return psprintf("%.*s...", pg_mbcliplen(value, length, SHOWN_BYTES), value);
}

/* Refuses a name that is empty or too long. */
static inline void
check_name(FunctionCallInfo fcinfo, int argument, const char *column, Size most)
{
	Size bytes;

	if (PG_ARGISNULL(argument))
		return;
	bytes = toast_raw_datum_size(PG_GETARG_DATUM(argument)) - VARHDRSZ;
	if (likely(bytes - 1 < most))
		return;
	if (bytes == 0)
		ereport(ERROR, (broken(), errmsg("%s of an event is empty", column)));
	ereport(ERROR, (broken(), errmsg("%s \"%s\" of an event has %zu bytes, more than %zu", column,
									 shown(fcinfo, argument), bytes, most)));
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
 * Says whether a row is a sound event: true, or an error that names what is not. The
 * arguments are the columns that have a rule, in the order of EventColumn; what must not
 * be NULL is the columns' own rule.
 */
PG_FUNCTION_INFO_V1(meter_is_event);
Datum
meter_is_event(PG_FUNCTION_ARGS)
{
	int16 sign = PG_ARGISNULL(EVENT_SIGN) ? 1 : PG_GETARG_INT16(EVENT_SIGN);

	check_name(fcinfo, EVENT_CUSTOMER_ID, "customer_id", NAME_MAX_BYTES);
	check_name(fcinfo, EVENT_ID, "event_id", EVENT_ID_MAX_BYTES);
	check_name(fcinfo, EVENT_ITEM, "item", NAME_MAX_BYTES);
	check_name(fcinfo, EVENT_ACTION, "action", NAME_MAX_BYTES);
	check_name(fcinfo, EVENT_VARIANT, "variant", NAME_MAX_BYTES);
	check_name(fcinfo, EVENT_REQUEST_CLASS, "request_class", NAME_MAX_BYTES);

	if (!PG_ARGISNULL(EVENT_OCCURRED_AT) &&
		unlikely(PG_GETARG_TIMESTAMPTZ(EVENT_OCCURRED_AT) < EVENT_FIRST ||
				 PG_GETARG_TIMESTAMPTZ(EVENT_OCCURRED_AT) >= EVENT_END))
		ereport(ERROR,
				(broken(), errmsg("occurred_at %s of an event is not in the years 1970 to 9999",
								  timestamptz_to_str(PG_GETARG_TIMESTAMPTZ(EVENT_OCCURRED_AT)))));
	if (!PG_ARGISNULL(EVENT_OUTCOME) && unlikely(!is_outcome(fcinfo)))
		ereport(ERROR,
				(broken(),
				 errmsg("outcome \"%s\" of an event is not known", shown(fcinfo, EVENT_OUTCOME)),
				 errhint("It is success, failure, pending, disputed or NULL.")));
	if (!PG_ARGISNULL(EVENT_TAGS) && unlikely(!JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(EVENT_TAGS))))
		ereport(ERROR, (broken(), errmsg("tags of an event are no JSON object")));

	if (unlikely(sign != 1 && sign != -1))
		ereport(ERROR, (broken(), errmsg("sign %d of an event is neither 1 nor -1", sign)));
	if (!PG_ARGISNULL(EVENT_USAGE))
	{
		struct varlena *usage = PG_GETARG_USAGE_PP(EVENT_USAGE);

		if (unlikely(!is_countable(usage, sign < 0)))
			refuse_usage(usage, sign < 0);
	}
	if (unlikely((sign < 0) != !PG_ARGISNULL(EVENT_REVERSES)))
		ereport(ERROR, (broken(),
						sign < 0 ? errmsg("an event with sign -1 does not say what it reverses")
								 : errmsg("an event with sign 1 says that it reverses another"),
						errhint("Take an event back with meter.void_event or meter.amend_event.")));
	if (unlikely(sign < 0) && !PG_ARGISNULL(EVENT_ID) &&
		DatumGetBool(DirectFunctionCall2Coll(
			texteq, C_COLLATION_OID, PG_GETARG_DATUM(EVENT_REVERSES), PG_GETARG_DATUM(EVENT_ID))))
		ereport(ERROR, (broken(), errmsg("event \"%s\" reverses itself", shown(fcinfo, EVENT_ID))));
	if (!PG_ARGISNULL(EVENT_TXID) && unlikely(PG_GETARG_INT64(EVENT_TXID) < 0))
		ereport(ERROR, (broken(), errmsg("txid " INT64_FORMAT " of an event is negative",
										 PG_GETARG_INT64(EVENT_TXID))));
	PG_RETURN_BOOL(true);
}

/* Says whether the outcome is one that there is. */
static bool
is_outcome(FunctionCallInfo fcinfo)
{
	static const char *const outcomes[] = {"success", "failure", "pending", "disputed"};
	struct varlena *outcome = PG_GETARG_TEXT_PP(EVENT_OUTCOME);

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
