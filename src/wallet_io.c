/*
 * wallet_io.c: the ways into and out of a wallet.
 *
 * The text form is a JSON object, keys at their default left out:
 *
 *   {"lots": [{"id": "g1", "amount": 100, "pool": "chat", "priority": 1,
 *              "effective_at": "2026-01-01T00:00:00Z", "expires_at": ..., "created_at": ...,
 *              "rollover_max": 50, "rollover_until": ..., "paid": 10}],
 *    "cuts": ["2026-02-01T00:00:00Z"], "absorbing": true,
 *    "through": "2026-01-05T12:00:00Z",
 *    "burned": [{"from": "2026-01-01T00:00:00Z", "pool": "chat", "credits": 12.5}]}
 *
 * Without "effective_at" a lot has always been there, without "created_at" it was
 * created when it became effective. "burned" has the sum of each span and pool of which
 * anything has been heard. Instants are written in UTC, and read as UTC where they
 * name no offset, because a value must not depend on a session's time zone. What is kept
 * for ever has "rollover_until": "infinity"; a lot's other instants may be infinite too.
 *
 * The wire form says the same field by field. Whatever comes in is built anew.
 */
#include "wallet.h"

#include "instant.h"

#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* What is burned, on its way in. */
typedef struct BurnDraft
{
	TimestampTz from;
	const char *pool; /* NULL: none */
	int pool_length;
	Dec credits;
} BurnDraft;

/* How the ends of time are written, where a field is not left out for them. */
static const struct
{
	const char *name;
	TimestampTz instant;
} ends_of_time[] = {{"-infinity", DT_NOBEGIN}, {"infinity", DT_NOEND}};

static bool refuse_shape(struct Node *escontext);
static bool read_array(JsonbContainer *root, const char *key, JsonbContainer **array,
					   struct Node *escontext);
static bool read_lot(JsonbContainer *object, int number, LotDraft *lot, struct Node *escontext);
static bool read_burn(JsonbContainer *object, BurnDraft *burn, struct Node *escontext);
static bool read_number(const char *key, const JsonbValue *value, Dec *number,
						struct Node *escontext);
static bool read_string(const char *key, const JsonbValue *value, char **text,
						struct Node *escontext);
static bool read_lot_instant(const char *key, const JsonbValue *value, TimestampTz *instant,
							 struct Node *escontext);
static bool read_instant(const char *key, const JsonbValue *value, TimestampTz *instant,
						 struct Node *escontext);
static bool burn_sum(Wallet *w, const BurnDraft *burn, struct Node *escontext);

static void print_lot(StringInfo out, const LotDraft *lot);
static void print_field_instant(StringInfo out, const char *key, TimestampTz instant);
static void print_field_number(StringInfo out, const char *key, Dec value);
static const char *recv_name(StringInfo buffer, int *length);
static TimestampTz recv_instant(StringInfo buffer);

/* Reads a wallet's text. */
PG_FUNCTION_INFO_V1(meter_wallet_in);
Datum
meter_wallet_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);
	Datum json;
	Wallet *w;

	if (json_is_deeper(text, WALLET_JSON_DEPTH_MAX))
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("a wallet is nested more than %d deep", WALLET_JSON_DEPTH_MAX),
				 errdetail("It is an object of arrays of objects of strings and numbers.")));
	/* the parser would say no more of a wallet's name than that it is no JSON */
	if (text[strspn(text, " \t\n\r")] != '{')
	{
		(void) refuse_shape(fcinfo->context);
		PG_RETURN_NULL();
	}
	if (!input_jsonb(text, fcinfo->context, &json) ||
		!wallet_read_json(&DatumGetJsonbP(json)->root, &w, fcinfo->context))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(w);
}

/* Returns the wallet of a JSON object. */
PG_FUNCTION_INFO_V1(meter_wallet_from_jsonb);
Datum
meter_wallet_from_jsonb(PG_FUNCTION_ARGS)
{
	Wallet *w = NULL;

	(void) wallet_read_json(&PG_GETARG_JSONB_P(0)->root, &w, NULL);
	PG_RETURN_POINTER(w);
}

/* Returns a wallet's text, canonical. */
PG_FUNCTION_INFO_V1(meter_wallet_out);
Datum
meter_wallet_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(wallet_text(PG_GETARG_WALLET_P(0)));
}

PG_FUNCTION_INFO_V1(meter_wallet_to_jsonb);
Datum
meter_wallet_to_jsonb(PG_FUNCTION_ARGS)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(wallet_text(PG_GETARG_WALLET_P(0))));
}

PG_FUNCTION_INFO_V1(meter_wallet_send);
Datum
meter_wallet_send(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	wallet_write(&buffer, PG_GETARG_WALLET_P(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

PG_FUNCTION_INFO_V1(meter_wallet_recv);
Datum
meter_wallet_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(wallet_read((StringInfo) PG_GETARG_POINTER(0)));
}

/* Refuses what is not an object, with the two ways to get a wallet; returns false. */
static bool
refuse_shape(struct Node *escontext)
{
	ereturn(escontext, false,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("a wallet is a JSON object"),
			 errhint("For example {\"lots\": [{\"id\": \"g1\", \"amount\": 100, "
					 "\"effective_at\": \"2026-01-01T00:00:00Z\", "
					 "\"expires_at\": \"2026-02-01T00:00:00Z\"}]}; of rows, the aggregate "
					 "meter.wallet makes one.")));
}

/* Refuses a field that is not known; returns false. */
static bool
refuse_field(const char *of, const char *key, const char *fields, struct Node *escontext)
{
	ereturn(escontext, false,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("%s has no field \"%s\"", of, key), errhint("The fields are %s.", fields)));
}

/* Reads a wallet's object; returns false after a soft error. */
bool
wallet_read_json(struct JsonbContainer *root, Wallet **w, struct Node *escontext)
{
	WalletDraft draft = {0};
	JsonbContainer *lots = NULL;
	JsonbContainer *cuts = NULL;
	JsonbContainer *burned = NULL;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;
	TimestampTz through = DT_NOBEGIN;

	if (!JsonContainerIsObject(root) || JsonContainerIsScalar(root))
		return refuse_shape(escontext);
	iterator = JsonbIteratorInit(root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		char *key;

		if (token != WJB_KEY)
			continue;
		key = pnstrdup(value.val.string.val, value.val.string.len);
		JsonbIteratorNext(&iterator, &value, true);
		if (strcmp(key, "through") == 0)
		{
			if (!read_instant(key, &value, &through, escontext))
				return false;
		}
		else if (strcmp(key, "absorbing") == 0)
		{
			if (value.type != jbvBool)
				ereturn(escontext, false,
						(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						 errmsg("field \"absorbing\" of a wallet is not true or false")));
			draft.absorbing = value.val.boolean;
		}
		else if (strcmp(key, "lots") != 0 && strcmp(key, "cuts") != 0 && strcmp(key, "burned") != 0)
			return refuse_field("a wallet", key, "lots, cuts, absorbing, through and burned",
								escontext);
	}
	if (!read_array(root, "lots", &lots, escontext) ||
		!read_array(root, "cuts", &cuts, escontext) ||
		!read_array(root, "burned", &burned, escontext))
		return false;

	for (int i = 0; lots != NULL && i < (int) JsonContainerSize(lots); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(lots, i);
		LotDraft lot;

		if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
			ereturn(escontext, false,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("lot %d of a wallet is not a JSON object", i + 1)));
		if (!read_lot(element->val.binary.data, i + 1, &lot, escontext))
			return false;
		wallet_draft_lot(&draft, &lot);
	}
	for (int i = 0; cuts != NULL && i < (int) JsonContainerSize(cuts); i++)
	{
		TimestampTz at;

		if (!read_instant("cuts", getIthJsonbValueFromContainer(cuts, i), &at, escontext))
			return false;
		wallet_draft_cut(&draft, at);
	}
	*w = wallet_build(&draft, escontext);
	if (*w == NULL)
		return false;
	(*w)->through = through;
	for (int i = 0; burned != NULL && i < (int) JsonContainerSize(burned); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(burned, i);
		BurnDraft burn;

		if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
			ereturn(escontext, false,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("sum %d of a wallet is not a JSON object", i + 1)));
		if (!read_burn(element->val.binary.data, &burn, escontext) ||
			!burn_sum(*w, &burn, escontext))
			return false;
	}
	return wallet_check_through(*w, escontext);
}

/* Sets an array of a wallet, where it is there; returns false after a soft error. */
static bool
read_array(JsonbContainer *root, const char *key, JsonbContainer **array, struct Node *escontext)
{
	JsonbValue value;

	if (getKeyJsonValueFromContainer(root, key, (int) strlen(key), &value) == NULL)
		return true;
	if (value.type != jbvBinary || !JsonContainerIsArray(value.val.binary.data))
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("field \"%s\" of a wallet is not a JSON array", key)));
	*array = value.val.binary.data;
	return true;
}

/* Reads a lot; returns false after a soft error. */
static bool
read_lot(JsonbContainer *object, int number, LotDraft *lot, struct Node *escontext)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue value;
	bool has_amount = false;
	bool has_max = false;
	bool has_until = false;
	bool created = false;
	char *text;

	lot_draft_init(lot);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		char *key;
		Dec priority;

		if (token != WJB_KEY)
			continue;
		key = pnstrdup(value.val.string.val, value.val.string.len);
		JsonbIteratorNext(&iterator, &value, true);
		if (strcmp(key, "id") == 0)
		{
			if (!read_string(key, &value, &text, escontext))
				return false;
			lot->id = text;
			lot->id_length = (int) strlen(text);
		}
		else if (strcmp(key, "pool") == 0)
		{
			if (value.type == jbvBinary && JsonContainerIsArray(value.val.binary.data))
				ereturn(escontext, false,
						(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						 errmsg("lot %d of a wallet names several pools", number),
						 errdetail("A lot names one pool or none. Where scopes cross, what is left "
								   "depends on the order of the events inside a span, and a "
								   "wallet keeps only their sums."),
						 errhint("Name one pool for what is consumed alike, or split the lot.")));
			if (!read_string(key, &value, &text, escontext))
				return false;
			lot->pool = text;
			lot->pool_length = (int) strlen(text);
		}
		else if (strcmp(key, "amount") == 0)
		{
			if (!read_number(key, &value, &lot->amount, escontext))
				return false;
			has_amount = true;
		}
		else if (strcmp(key, "priority") == 0)
		{
			if (!read_number(key, &value, &priority, escontext))
				return false;
			if (priority % DEC_ONE != 0 || priority / DEC_ONE > PG_INT32_MAX ||
				priority / DEC_ONE < PG_INT32_MIN)
				ereturn(escontext, false,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("priority %s of a lot is not an integer", dec_text(priority)),
						 errdetail("It lies between %d and %d.", PG_INT32_MIN, PG_INT32_MAX)));
			lot->priority = (int) (priority / DEC_ONE);
		}
		else if (strcmp(key, "effective_at") == 0)
		{
			if (!read_lot_instant(key, &value, &lot->effective_at, escontext))
				return false;
		}
		else if (strcmp(key, "expires_at") == 0)
		{
			if (!read_lot_instant(key, &value, &lot->expires_at, escontext))
				return false;
		}
		else if (strcmp(key, "created_at") == 0)
		{
			if (!read_lot_instant(key, &value, &lot->created_at, escontext))
				return false;
			created = true;
		}
		else if (strcmp(key, "rollover_max") == 0)
		{
			if (!read_number(key, &value, &lot->rollover_max, escontext))
				return false;
			has_max = true;
		}
		else if (strcmp(key, "rollover_until") == 0)
		{
			if (!read_lot_instant(key, &value, &lot->rollover_until, escontext))
				return false;
			has_until = true;
		}
		else if (strcmp(key, "paid") == 0)
		{
			if (!read_number(key, &value, &lot->paid, escontext))
				return false;
		}
		else
			return refuse_field("a lot", key,
								"id, amount, pool, priority, effective_at, expires_at, "
								"created_at, rollover_max, rollover_until and paid",
								escontext);
	}
	if (!has_amount || has_max != has_until)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("lot %d of a wallet has no %s", number,
						!has_amount ? "amount"
						: has_max	? "rollover_until"
									: "rollover_max"),
				 errhint("Each lot has an id and an amount; rollover_max and rollover_until come "
						 "together.")));
	lot->has_rollover = has_max;
	if (!created)
		lot->created_at = lot->effective_at;
	return lot_draft_check(lot, escontext);
}

/* Reads the sum of a span; returns false after a soft error. */
static bool
read_burn(JsonbContainer *object, BurnDraft *burn, struct Node *escontext)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue value;
	bool has_credits = false;
	char *text;

	memset(burn, 0, sizeof(*burn));
	burn->from = DT_NOBEGIN;
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		char *key;

		if (token != WJB_KEY)
			continue;
		key = pnstrdup(value.val.string.val, value.val.string.len);
		JsonbIteratorNext(&iterator, &value, true);
		if (strcmp(key, "from") == 0)
		{
			if (!read_instant(key, &value, &burn->from, escontext))
				return false;
		}
		else if (strcmp(key, "pool") == 0)
		{
			if (!read_string(key, &value, &text, escontext))
				return false;
			burn->pool = text;
			burn->pool_length = (int) strlen(text);
		}
		else if (strcmp(key, "credits") == 0)
		{
			if (!read_number(key, &value, &burn->credits, escontext))
				return false;
			has_credits = true;
		}
		else
			return refuse_field("a sum of a wallet", key, "from, pool and credits", escontext);
	}
	if (!has_credits)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("a sum of a wallet has no credits")));
	return true;
}

/* Reads a number; returns false after a soft error. */
static bool
read_number(const char *key, const JsonbValue *value, Dec *number, struct Node *escontext)
{
	const char *end;
	char *digits;

	if (value->type != jbvNumeric)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("field \"%s\" of a wallet is not a JSON number", key)));
	/* through text, because that is where errors are soft */
	digits = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	return dec_parse(digits, &end, number, key, escontext);
}

static bool
read_string(const char *key, const JsonbValue *value, char **text, struct Node *escontext)
{
	if (value->type != jbvString)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("field \"%s\" of a wallet is not a JSON string", key)));
	*text = pnstrdup(value->val.string.val, value->val.string.len);
	return true;
}

/* Reads an instant of a lot, which may be an end of time; returns false after a soft error. */
static bool
read_lot_instant(const char *key, const JsonbValue *value, TimestampTz *instant,
				 struct Node *escontext)
{
	if (value->type == jbvString)
		for (int i = 0; i < (int) lengthof(ends_of_time); i++)
			if (value->val.string.len == (int) strlen(ends_of_time[i].name) &&
				memcmp(value->val.string.val, ends_of_time[i].name, value->val.string.len) == 0)
			{
				*instant = ends_of_time[i].instant;
				return true;
			}
	return read_instant(key, value, instant, escontext);
}

/* Reads an instant; returns false after a soft error. */
static bool
read_instant(const char *key, const JsonbValue *value, TimestampTz *instant, struct Node *escontext)
{
	char *text;
	const char *p;

	if (!read_string(key, value, &text, escontext))
		return false;
	p = text;
	if (!instant_parse(&p, instant) || *p != '\0')
		ereturn(
			escontext, false,
			(errcode(ERRCODE_INVALID_DATETIME_FORMAT),
			 errmsg("\"%.*s\" is not an instant", pg_mbcliplen(text, (int) strlen(text), 80), text),
			 errdetail("It is in field \"%s\" of a wallet.", key),
			 errhint("Write it as 2026-01-31T16:30:00Z, and leave the field out where there "
					 "is none.")));
	return true;
}

/* Sets the sum of a span and pool; returns false after a soft error. */
static bool
burn_sum(Wallet *w, const BurnDraft *burn, struct Node *escontext)
{
	int span = TIMESTAMP_IS_NOBEGIN(burn->from) ? 0 : wallet_span(w, burn->from);
	int pool = burn->pool == NULL ? 0 : wallet_pool_find(w, burn->pool, burn->pool_length);
	DecHalves *sum = &wallet_sums(w)[span * (w->npools + 1) + pool];

	if (wallet_span_starts(w, span) != burn->from)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a sum of a wallet is of a span that it does not have"),
				 errdetail("A span begins where a lot changes or a cut is, or before them all.")));
	if (burn->pool != NULL && pool == 0)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a sum of a wallet is of pool \"%.*s\", which no lot has",
						pg_mbcliplen(burn->pool, burn->pool_length, 80), burn->pool)));
	if (wallet_heard(sum))
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a wallet has two sums of one span and pool")));
	dec_store(sum, burn->credits);
	return true;
}

/*
 * Refuses sums that could not have been burned through the instant that is said;
 * returns false after a soft error. The instant lies in the last span that has a sum.
 */
bool
wallet_check_through(const Wallet *w, struct Node *escontext)
{
	int last = -1;

	for (int i = 0; i < wallet_nsums(w); i++)
		if (wallet_heard(&wallet_sums(w)[i]))
			last = i / (w->npools + 1);
	if (last < 0 ? TIMESTAMP_IS_NOBEGIN(w->through)
				 : !TIMESTAMP_NOT_FINITE(w->through) && wallet_span(w, w->through) == last)
		return true;
	ereturn(escontext, false,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a wallet was burned through an instant that is not in the last span with a "
					"sum"),
			 errdetail("\"through\" is the last instant at which something was consumed, and is "
					   "there where \"burned\" has a sum.")));
}

/* Returns a wallet's text in memory of its own. */
char *
wallet_text(const Wallet *w)
{
	StringInfoData out;
	bool *changes = wallet_lots_bounds(w);
	const char *between = "";
	int width = w->npools + 1;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	for (int i = 0; i < w->nlots; i++)
	{
		LotDraft lot;

		lot_draft_from(&lot, w, i);
		appendStringInfoString(&out, i == 0 ? "\"lots\": [" : ", ");
		print_lot(&out, &lot);
	}
	if (w->nlots > 0)
	{
		appendStringInfoChar(&out, ']');
		between = ", ";
	}
	for (int i = 0, n = 0; i <= w->nbounds; i++)
	{
		if (i == w->nbounds)
		{
			if (n > 0)
			{
				appendStringInfoChar(&out, ']');
				between = ", ";
			}
			break;
		}
		if (changes[i])
			continue;
		appendStringInfo(&out, "%s", n++ == 0 ? between : ", ");
		if (n == 1)
			appendStringInfoString(&out, "\"cuts\": [");
		appendStringInfoChar(&out, '"');
		instant_print(&out, wallet_bounds(w)[i]);
		appendStringInfoChar(&out, '"');
	}
	if (w->flags & WALLET_ABSORBING)
	{
		appendStringInfo(&out, "%s\"absorbing\": true", between);
		between = ", ";
	}
	if (!TIMESTAMP_IS_NOBEGIN(w->through))
	{
		bool first = true;

		appendStringInfo(&out, "%s\"through\": \"", between);
		instant_print(&out, w->through);
		appendStringInfoString(&out, "\", \"burned\": [");
		for (int i = 0; i < wallet_nsums(w); i++)
		{
			const DecHalves *sum = &wallet_sums(w)[i];
			int pool = i % width;

			if (!wallet_heard(sum))
				continue;
			appendStringInfoString(&out, first ? "{" : ", {");
			first = false;
			if (i >= width)
			{
				appendStringInfoString(&out, "\"from\": \"");
				instant_print(&out, wallet_bounds(w)[i / width - 1]);
				appendStringInfoString(&out, "\", ");
			}
			if (pool > 0)
			{
				appendStringInfoString(&out, "\"pool\": ");
				json_text_print(&out, wallet_names(w) + wallet_pools(w)[pool - 1].name,
								wallet_pools(w)[pool - 1].length);
				appendStringInfoString(&out, ", ");
			}
			appendStringInfo(&out, "\"credits\": %s}", dec_text(dec_load(sum)));
		}
		appendStringInfoChar(&out, ']');
	}
	appendStringInfoChar(&out, '}');
	pfree(changes);
	return out.data;
}

/* Prints a lot as a JSON object, without the fields at their default. */
static void
print_lot(StringInfo out, const LotDraft *lot)
{
	appendStringInfoString(out, "{\"id\": ");
	json_text_print(out, lot->id, lot->id_length);
	print_field_number(out, "amount", lot->amount);
	if (lot->pool != NULL)
	{
		appendStringInfoString(out, ", \"pool\": ");
		json_text_print(out, lot->pool, lot->pool_length);
	}
	if (lot->priority != 0)
		appendStringInfo(out, ", \"priority\": %d", lot->priority);
	if (!TIMESTAMP_IS_NOBEGIN(lot->effective_at))
		print_field_instant(out, "effective_at", lot->effective_at);
	if (!TIMESTAMP_IS_NOEND(lot->expires_at))
		print_field_instant(out, "expires_at", lot->expires_at);
	if (lot->created_at != lot->effective_at)
		print_field_instant(out, "created_at", lot->created_at);
	if (lot->has_rollover)
	{
		print_field_number(out, "rollover_max", lot->rollover_max);
		print_field_instant(out, "rollover_until", lot->rollover_until);
	}
	if (lot->paid != 0)
		print_field_number(out, "paid", lot->paid);
	appendStringInfoChar(out, '}');
}

static void
print_field_instant(StringInfo out, const char *key, TimestampTz instant)
{
	appendStringInfo(out, ", \"%s\": \"", key);
	if (TIMESTAMP_NOT_FINITE(instant))
		appendStringInfoString(out, ends_of_time[TIMESTAMP_IS_NOBEGIN(instant) ? 0 : 1].name);
	else
		instant_print(out, instant);
	appendStringInfoChar(out, '"');
}

static void
print_field_number(StringInfo out, const char *key, Dec value)
{
	char digits[DEC_BUFSIZE];

	dec_print(value, digits);
	appendStringInfo(out, ", \"%s\": %s", key, digits);
}

/* Writes a lot field by field. */
void
lot_write(StringInfo buffer, const LotDraft *lot)
{
	send_counted_text(buffer, lot->id, lot->id_length);
	pq_sendbyte(buffer, lot->pool != NULL ? 1 : 0);
	if (lot->pool != NULL)
		send_counted_text(buffer, lot->pool, lot->pool_length);
	pq_sendint32(buffer, lot->priority);
	dec_send(buffer, lot->amount);
	dec_send(buffer, lot->paid);
	pq_sendint64(buffer, lot->effective_at);
	pq_sendint64(buffer, lot->expires_at);
	pq_sendint64(buffer, lot->created_at);
	pq_sendbyte(buffer, lot->has_rollover ? 1 : 0);
	if (lot->has_rollover)
	{
		dec_send(buffer, lot->rollover_max);
		pq_sendint64(buffer, lot->rollover_until);
	}
}

static bool
recv_bool(StringInfo buffer)
{
	int code;

	wire_need(buffer, 1);
	code = pq_getmsgbyte(buffer);
	if (code > 1)
		wire_refuse("meter.wallet", "A code is not known.");
	return code == 1;
}

/* Reads what lot_write wrote, and checks it. */
void
lot_read(StringInfo buffer, LotDraft *lot)
{
	lot_draft_init(lot);
	lot->id = recv_name(buffer, &lot->id_length);
	if (recv_bool(buffer))
		lot->pool = recv_name(buffer, &lot->pool_length);
	wire_need(buffer, 4);
	lot->priority = (int32) pq_getmsgint(buffer, 4);
	lot->amount = dec_recv(buffer);
	lot->paid = dec_recv(buffer);
	lot->effective_at = recv_instant(buffer);
	lot->expires_at = recv_instant(buffer);
	lot->created_at = recv_instant(buffer);
	lot->has_rollover = recv_bool(buffer);
	if (lot->has_rollover)
	{
		lot->rollover_max = dec_recv(buffer);
		lot->rollover_until = recv_instant(buffer);
	}
	(void) lot_draft_check(lot, NULL);
}

static const char *
recv_name(StringInfo buffer, int *length)
{
	int bytes;
	char *name;

	wire_need(buffer, 4);
	bytes = (int32) pq_getmsgint(buffer, 4);
	wire_need(buffer, bytes);
	name = pq_getmsgtext(buffer, bytes, length);
	if (memchr(name, '\0', *length) != NULL)
		wire_refuse("meter.wallet", "A name has a zero byte.");
	return name;
}

static TimestampTz
recv_instant(StringInfo buffer)
{
	TimestampTz at;

	wire_need(buffer, 8);
	at = pq_getmsgint64(buffer);
	if (!TIMESTAMP_NOT_FINITE(at) && !IS_VALID_TIMESTAMP(at))
		wire_refuse("meter.wallet", "An instant is out of range.");
	return at;
}

/*
 * Writes a wallet's wire form: version, whether it absorbs, lots, cuts, through, and
 * the span, pool and credits of each sum of which anything has been heard.
 */
void
wallet_write(StringInfo buffer, const Wallet *w)
{
	bool *changes = wallet_lots_bounds(w);
	int width = w->npools + 1;
	int cuts = 0;
	int heard = 0;

	for (int i = 0; i < w->nbounds; i++)
		cuts += !changes[i];
	for (int i = 0; i < wallet_nsums(w); i++)
		heard += wallet_heard(&wallet_sums(w)[i]);
	pq_sendbyte(buffer, WALLET_VERSION);
	pq_sendbyte(buffer, w->flags & WALLET_ABSORBING ? 1 : 0);
	pq_sendint32(buffer, w->nlots);
	for (int i = 0; i < w->nlots; i++)
	{
		LotDraft lot;

		lot_draft_from(&lot, w, i);
		lot_write(buffer, &lot);
	}
	pq_sendint32(buffer, cuts);
	for (int i = 0; i < w->nbounds; i++)
		if (!changes[i])
			pq_sendint64(buffer, wallet_bounds(w)[i]);
	pq_sendint64(buffer, w->through);
	pq_sendint32(buffer, heard);
	for (int i = 0; i < wallet_nsums(w); i++)
	{
		if (!wallet_heard(&wallet_sums(w)[i]))
			continue;
		pq_sendint32(buffer, i / width);
		pq_sendint32(buffer, i % width);
		dec_send(buffer, dec_load(&wallet_sums(w)[i]));
	}
	pfree(changes);
}

/* Reads what wallet_write wrote; refuses what no text could say. */
Wallet *
wallet_read(StringInfo buffer)
{
	WalletDraft draft = {0};
	Wallet *w;
	int n;

	wire_need(buffer, 1);
	if (pq_getmsgbyte(buffer) != WALLET_VERSION)
		wire_refuse("meter.wallet", "The version of the format is not known.");
	draft.absorbing = recv_bool(buffer);
	wire_need(buffer, 4);
	n = (int32) pq_getmsgint(buffer, 4);
	if (n < 0 || n > WALLET_MAX_LOTS)
		wire_refuse("meter.wallet", "The number of lots is out of range.");
	for (int i = 0; i < n; i++)
	{
		LotDraft lot;

		lot_read(buffer, &lot);
		wallet_draft_lot(&draft, &lot);
	}
	wire_need(buffer, 4);
	n = (int32) pq_getmsgint(buffer, 4);
	if (n < 0 || n > (buffer->len - buffer->cursor) / 8)
		wire_refuse("meter.wallet", "The number of cuts does not fit their bytes.");
	for (int i = 0; i < n; i++)
		wallet_draft_cut(&draft, recv_instant(buffer));
	w = wallet_build(&draft, NULL);
	w->through = recv_instant(buffer);
	wire_need(buffer, 4);
	n = (int32) pq_getmsgint(buffer, 4);
	for (int i = 0; i < n; i++)
	{
		int span;
		int pool;
		DecHalves *sum;

		wire_need(buffer, 8);
		span = (int32) pq_getmsgint(buffer, 4);
		pool = (int32) pq_getmsgint(buffer, 4);
		if (span < 0 || span > w->nbounds || pool < 0 || pool > w->npools)
			wire_refuse("meter.wallet", "A sum is of a span or pool that is not there.");
		sum = &wallet_sums(w)[span * (w->npools + 1) + pool];
		if (wallet_heard(sum))
			wire_refuse("meter.wallet", "There are two sums of one span and pool.");
		dec_store(sum, dec_recv(buffer));
	}
	if (n < 0)
		wire_refuse("meter.wallet", "The number of sums is negative.");
	(void) wallet_check_through(w, NULL);
	return w;
}
