/*
 * rate_card_io.c: the ways into and out of a rate card.
 *
 * The text form is a JSON array of rates, keys at their default left out; the wire
 * form is a version byte, a count and the rates, field by field. Both carry rates
 * only: whatever comes in is checked and built anew, so that no lookup structure is
 * ever taken from outside. Instants are written in UTC, and read as UTC where they
 * name no offset, because a value must not depend on a session's time zone.
 *
 * The aggregate's state is the list of rates in the order they came, in one block
 * that a doubled one replaces when it is full.
 */
#include "rate_card.h"

#include "instant.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/rangetypes.h"

#define WIRE_VERSION 1

/* How deep the text of a card may be nested: more than it ever is, far less than a stack. */
#define JSON_DEPTH_MAX 16

/* A list of specs that grows; the names belong to the caller's values. */
typedef struct SpecList
{
	RateSpec *specs;
	int count;
	int capacity;
} SpecList;

/* The aggregate's state: records of RateRecord behind the header. */
typedef struct RateList
{
	int32 vl_len_; /* varlena header: the block's size, used or not */
	uint16 format;
	uint16 reserved;
	uint32 count; /* records */
	uint32 used;  /* bytes, with this header */
} RateList;

typedef struct RateRecord
{
	DecHalves price;
	DecHalves per;
	DecHalves context_from;
	TimestampTz valid_from;
	TimestampTz valid_until;
	int64 daily_from;
	int64 daily_until;
	int32 precedence;
	uint16 item_length;
	uint16 variant_length;
	uint16 unit_length;
	uint16 size; /* of the record, with the names behind it, aligned */
} RateRecord;

#define RATE_LIST_FIRST_SIZE 1024

PG_FUNCTION_INFO_V1(meter_rate_card_in);
PG_FUNCTION_INFO_V1(meter_rate_card_out);
PG_FUNCTION_INFO_V1(meter_rate_card_recv);
PG_FUNCTION_INFO_V1(meter_rate_card_send);
PG_FUNCTION_INFO_V1(meter_rate_card_from_jsonb);
PG_FUNCTION_INFO_V1(meter_rate_card_to_jsonb);
PG_FUNCTION_INFO_V1(meter_rate_card_eq);
PG_FUNCTION_INFO_V1(meter_rate_card_ne);
PG_FUNCTION_INFO_V1(meter_rate_card_hash);
PG_FUNCTION_INFO_V1(meter_rate_card_hash_extended);
PG_FUNCTION_INFO_V1(meter_rate_list_in);
PG_FUNCTION_INFO_V1(meter_rate_list_out);
PG_FUNCTION_INFO_V1(meter_rate_list_recv);
PG_FUNCTION_INFO_V1(meter_rate_list_send);
PG_FUNCTION_INFO_V1(meter_rate_card_add);
PG_FUNCTION_INFO_V1(meter_rate_card_combine);
PG_FUNCTION_INFO_V1(meter_rate_card_final);

static void append_spec(SpecList *list, const RateSpec *spec);
static void spec_defaults(RateSpec *spec);
static bool read_text(char *text, SpecList *list, struct Node *escontext);
static bool read_json(Jsonb *json, SpecList *list, struct Node *escontext);
static bool refuse_shape(struct Node *escontext);
static bool read_rate(JsonbContainer *object, RateSpec *spec, struct Node *escontext);
static bool read_field(const char *key, JsonbValue *value, RateSpec *spec, struct Node *escontext);
static bool parse_range(const char *text, TimestampTz *from, TimestampTz *until);
static bool parse_bound(const char **text, TimestampTz *instant, bool *unbounded);
static bool parse_time(const char *text, int64 *time);
static void print_rate(StringInfo out, const RateSpec *spec);
static void send_rate(StringInfo out, const RateSpec *spec);
static void recv_rates(StringInfo in, SpecList *list);
static char *recv_name(StringInfo in, int *length, int most);
static void collect_card(const RateCard *card, SpecList *list);
static void collect_list(const RateList *list, SpecList *specs);
static RateList *list_append(RateList *list, const RateSpec *spec);
static RateList *list_of(const SpecList *specs);

/* Reads a card's JSON text. */
Datum
meter_rate_card_in(PG_FUNCTION_ARGS)
{
	SpecList list = {0};
	RateCard *card;

	if (!read_text(PG_GETARG_CSTRING(0), &list, fcinfo->context))
		PG_RETURN_NULL();
	card = rate_card_build(list.specs, list.count, fcinfo->context);
	if (card == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(card);
}

/* Returns the card of a JSON array of rates. */
Datum
meter_rate_card_from_jsonb(PG_FUNCTION_ARGS)
{
	SpecList list = {0};

	read_json(PG_GETARG_JSONB_P(0), &list, NULL);
	PG_RETURN_POINTER(rate_card_build(list.specs, list.count, NULL));
}

static char *
specs_text(const SpecList *list)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '[');
	for (int i = 0; i < list->count; i++)
	{
		if (i > 0)
			appendStringInfoString(&out, ", ");
		print_rate(&out, &list->specs[i]);
	}
	appendStringInfoChar(&out, ']');
	return out.data;
}

static bytea *
specs_wire(const SpecList *list)
{
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendbyte(&out, WIRE_VERSION);
	pq_sendint32(&out, list->count);
	for (int i = 0; i < list->count; i++)
		send_rate(&out, &list->specs[i]);
	return pq_endtypsend(&out);
}

/* Returns a card's JSON text, in canonical order. */
Datum
meter_rate_card_out(PG_FUNCTION_ARGS)
{
	SpecList list = {0};

	collect_card((RateCard *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0)), &list);
	PG_RETURN_CSTRING(specs_text(&list));
}

/* Returns a card as a jsonb array of rates. */
Datum
meter_rate_card_to_jsonb(PG_FUNCTION_ARGS)
{
	SpecList list = {0};

	collect_card((RateCard *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0)), &list);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(specs_text(&list)));
}

/* Reads a card's wire form. */
Datum
meter_rate_card_recv(PG_FUNCTION_ARGS)
{
	SpecList list = {0};

	recv_rates((StringInfo) PG_GETARG_POINTER(0), &list);
	PG_RETURN_POINTER(rate_card_build(list.specs, list.count, NULL));
}

/* Returns a card's wire form. */
Datum
meter_rate_card_send(PG_FUNCTION_ARGS)
{
	SpecList list = {0};

	collect_card((RateCard *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0)), &list);
	PG_RETURN_BYTEA_P(specs_wire(&list));
}

static bool
cards_equal(FunctionCallInfo fcinfo)
{
	const RateCard *a = (RateCard *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	const RateCard *b = (RateCard *) PG_DETOAST_DATUM(PG_GETARG_DATUM(1));

	/* a card is built one way from its rates, byte for byte */
	return a->hash == b->hash && VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

/* Says whether two cards have the same rates. */
Datum
meter_rate_card_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(cards_equal(fcinfo));
}

/* Says whether two cards have other rates. */
Datum
meter_rate_card_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!cards_equal(fcinfo));
}

/* Returns a card's hash. */
Datum
meter_rate_card_hash(PG_FUNCTION_ARGS)
{
	const RateCard *card = (RateCard *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));

	PG_RETURN_INT32((int32) card->hash);
}

/* Returns a card's hash in 64 bits, with a seed. */
Datum
meter_rate_card_hash_extended(PG_FUNCTION_ARGS)
{
	const RateCard *card = (RateCard *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	uint64 hash = (card->hash ^ (uint64) PG_GETARG_INT64(1)) * UINT64CONST(0x9E3779B97F4A7C15);

	/* with seed 0 the low half is the 32-bit hash, as hash operator classes promise */
	if (PG_GETARG_INT64(1) == 0)
		hash = (hash & UINT64CONST(0xFFFFFFFF00000000)) | card->hash;
	PG_RETURN_INT64((int64) hash);
}

/* Reads a state's text: the card's, in any order, ties allowed until it is built. */
Datum
meter_rate_list_in(PG_FUNCTION_ARGS)
{
	SpecList list = {0};

	if (!read_text(PG_GETARG_CSTRING(0), &list, fcinfo->context))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(list_of(&list));
}

/* Returns a state's text. */
Datum
meter_rate_list_out(PG_FUNCTION_ARGS)
{
	SpecList list = {0};

	collect_list((RateList *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0)), &list);
	PG_RETURN_CSTRING(specs_text(&list));
}

/* Reads a state's wire form. */
Datum
meter_rate_list_recv(PG_FUNCTION_ARGS)
{
	SpecList list = {0};

	recv_rates((StringInfo) PG_GETARG_POINTER(0), &list);
	PG_RETURN_POINTER(list_of(&list));
}

/* Returns a state's wire form. */
Datum
meter_rate_list_send(PG_FUNCTION_ARGS)
{
	SpecList list = {0};

	collect_list((RateList *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0)), &list);
	PG_RETURN_BYTEA_P(specs_wire(&list));
}

/* Adds a row's rate to the state; refuses a rate without an item, a unit or a price. */
Datum
meter_rate_card_add(PG_FUNCTION_ARGS)
{
	RateList *list = PG_ARGISNULL(0) ? NULL : (RateList *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	RateSpec spec;
	text *name;

	spec_defaults(&spec);
	for (int i = 1; i <= 3; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a rate has no %s", i == 1	 ? "item"
												: i == 2 ? "unit"
														 : "price"),
					 errhint("Leave rows without one out with FILTER (WHERE ... IS NOT NULL).")));
	name = PG_GETARG_TEXT_PP(1);
	spec.item = VARDATA_ANY(name);
	spec.item_length = VARSIZE_ANY_EXHDR(name);
	name = PG_GETARG_TEXT_PP(2);
	spec.unit = VARDATA_ANY(name);
	spec.unit_length = VARSIZE_ANY_EXHDR(name);
	spec.price = dec_from_numeric(PG_GETARG_DATUM(3), "price");
	if (!PG_ARGISNULL(4))
		spec.per = dec_from_numeric(PG_GETARG_DATUM(4), "per");
	if (PG_NARGS() > 5 && !PG_ARGISNULL(5))
	{
		RangeType *range = PG_GETARG_RANGE_P(5);
		RangeBound lower;
		RangeBound upper;
		bool empty;

		range_deserialize(range_get_typcache(fcinfo, RangeTypeGetOid(range)), range, &lower, &upper,
						  &empty);
		rate_spec_valid(&spec, &lower, &upper, empty);
	}
	if (PG_NARGS() > 6)
	{
		if (!PG_ARGISNULL(6))
		{
			name = PG_GETARG_TEXT_PP(6);
			spec.variant = VARDATA_ANY(name);
			spec.variant_length = VARSIZE_ANY_EXHDR(name);
		}
		if (!PG_ARGISNULL(7))
			spec.context_from = dec_from_numeric(PG_GETARG_DATUM(7), "context_from");
		if (PG_ARGISNULL(8) != PG_ARGISNULL(9))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("a rate of item \"%.*s\" has daily_%s but no daily_%s",
								   spec.item_length, spec.item, PG_ARGISNULL(8) ? "until" : "from",
								   PG_ARGISNULL(8) ? "from" : "until")));
		if (!PG_ARGISNULL(8))
		{
			spec.daily_from = PG_GETARG_TIMEADT(8);
			spec.daily_until = PG_GETARG_TIMEADT(9);
		}
		if (!PG_ARGISNULL(10))
			spec.precedence = PG_GETARG_INT32(10);
	}
	rate_spec_check(&spec, NULL);

	/* called outside an aggregate, the state is a value and stays as it is */
	if (list != NULL && !AggCheckCallContext(fcinfo, NULL))
		list = (RateList *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
	PG_RETURN_POINTER(list_append(list, &spec));
}

/* Returns the state that has the rates of both. */
Datum
meter_rate_card_combine(PG_FUNCTION_ARGS)
{
	RateList *list;
	SpecList other = {0};

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	if (PG_ARGISNULL(0))
		PG_RETURN_DATUM(PG_GETARG_DATUM(1));
	list = AggCheckCallContext(fcinfo, NULL)
			   ? (RateList *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0))
			   : (RateList *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
	collect_list((RateList *) PG_DETOAST_DATUM(PG_GETARG_DATUM(1)), &other);
	for (int i = 0; i < other.count; i++)
		list = list_append(list, &other.specs[i]);
	PG_RETURN_POINTER(list);
}

/* Returns the card of the state's rates; of no rows, a card that knows no item. */
Datum
meter_rate_card_final(PG_FUNCTION_ARGS)
{
	SpecList list = {0};

	if (!PG_ARGISNULL(0))
		collect_list((RateList *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0)), &list);
	PG_RETURN_POINTER(rate_card_build(list.specs, list.count, NULL));
}

/* Returns a bound, or the instant behind it: where there is none, that is the end of time. */
static TimestampTz
half_open(TimestampTz bound, bool behind)
{
	if (TIMESTAMP_NOT_FINITE(bound))
		return bound;
	bound += behind;
	return bound < END_TIMESTAMP ? bound : DT_NOEND;
}

/* Sets a spec's validity from a range of instants, made half open. */
void
rate_spec_valid(RateSpec *spec, const RangeBound *lower, const RangeBound *upper, bool empty)
{
	spec->valid_from = DT_NOBEGIN;
	spec->valid_until = DT_NOEND;
	if (empty)
		spec->valid_from = spec->valid_until = 0;
	else
	{
		if (!lower->infinite)
			spec->valid_from = half_open(DatumGetTimestampTz(lower->val), !lower->inclusive);
		if (!upper->infinite)
			spec->valid_until = half_open(DatumGetTimestampTz(upper->val), upper->inclusive);
	}
}

static void
append_spec(SpecList *list, const RateSpec *spec)
{
	if (list->count == list->capacity)
	{
		list->capacity = Max(64, list->capacity * 2);
		list->specs = list->specs == NULL
						  ? palloc(list->capacity * sizeof(RateSpec))
						  : repalloc_huge(list->specs, (Size) list->capacity * sizeof(RateSpec));
	}
	list->specs[list->count++] = *spec;
}

static void
spec_defaults(RateSpec *spec)
{
	memset(spec, 0, sizeof(*spec));
	spec->variant = RATE_VARIANT_STANDARD;
	spec->variant_length = RATE_VARIANT_STANDARD_LENGTH;
	spec->per = DEC_ONE;
	spec->valid_from = DT_NOBEGIN;
	spec->valid_until = DT_NOEND;
	spec->daily_from = RATE_NO_WINDOW;
}

/*
 * Reads the text of an array of rates; returns false after a soft error. Nesting is
 * looked at first: the parser behind it would answer with the depth of its stack.
 */
static bool
read_text(char *text, SpecList *list, struct Node *escontext)
{
	Datum json;

	if (json_is_deeper(text, JSON_DEPTH_MAX))
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("a rate card is nested more than %d deep", JSON_DEPTH_MAX),
				 errdetail("It is an array of objects of strings and numbers.")));
	/* The name of a card is no card, and the parser would say no more than that it is no JSON. */
	if (text[strspn(text, " \t\n\r")] != '[')
		return refuse_shape(escontext);
	return input_jsonb(text, escontext, &json) && read_json(DatumGetJsonbP(json), list, escontext);
}

/* Reads an array of rates; returns false after a soft error. */
static bool
read_json(Jsonb *json, SpecList *list, struct Node *escontext)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;

	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json))
		return refuse_shape(escontext);
	iterator = JsonbIteratorInit(&json->root);
	token = JsonbIteratorNext(&iterator, &value, true);
	Assert(token == WJB_BEGIN_ARRAY);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) == WJB_ELEM)
	{
		RateSpec spec;

		if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
			ereturn(escontext, false,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("rate %d of the rate card is not a JSON object", list->count + 1)));
		spec_defaults(&spec);
		if (!read_rate(value.val.binary.data, &spec, escontext) ||
			!rate_spec_check(&spec, escontext))
			return false;
		append_spec(list, &spec);
	}
	return true;
}

/* Refuses what is not an array, with the two ways to get a card; returns false. */
static bool
refuse_shape(struct Node *escontext)
{
	ereturn(escontext, false,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("a rate card is a JSON array of rates"),
			 errhint("For example [{\"item\": \"openai/gpt-4o\", \"unit\": \"input_tokens\", "
					 "\"price\": 2.5, \"per\": 1000000}]; of the rates in table meter.rate, "
					 "(SELECT meter.card('cost')) makes one.")));
}

static bool
read_rate(JsonbContainer *object, RateSpec *spec, struct Node *escontext)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue value;
	bool priced = false;
	bool until = false;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		char *key;

		if (token != WJB_KEY)
			continue;
		key = pnstrdup(value.val.string.val, value.val.string.len);
		JsonbIteratorNext(&iterator, &value, true);
		if (!read_field(key, &value, spec, escontext))
			return false;
		priced |= strcmp(key, "price") == 0;
		until |= strcmp(key, "daily_until") == 0;
	}
	if (spec->item == NULL || spec->unit == NULL || !priced)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("a rate has no %s", spec->item == NULL	 ? "item"
											: spec->unit == NULL ? "unit"
																 : "price"),
				 errhint("Each rate has an item, a unit and a price.")));
	if (until != (spec->daily_from != RATE_NO_WINDOW))
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("a rate of item \"%.*s\" has daily_%s but no daily_%s", spec->item_length,
						spec->item, until ? "until" : "from", until ? "from" : "until")));
	return true;
}

/* Reads one key of a rate; returns false after a soft error. */
static bool
read_field(const char *key, JsonbValue *value, RateSpec *spec, struct Node *escontext)
{
	const char *const texts[] = {"item", "unit", "variant", "valid", "daily_from", "daily_until"};
	const char *const numbers[] = {"price", "per", "context_from", "precedence"};
	char *text = NULL;
	Dec number = 0;
	bool is_text = false;
	bool is_number = false;

	for (int i = 0; i < (int) lengthof(texts); i++)
		is_text |= strcmp(key, texts[i]) == 0;
	for (int i = 0; i < (int) lengthof(numbers); i++)
		is_number |= strcmp(key, numbers[i]) == 0;
	if (!is_text && !is_number)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("a rate has no field \"%s\"", key),
				 errhint("The fields are item, unit, price, per, valid, variant, context_from, "
						 "daily_from, daily_until and precedence.")));
	if (value->type != (is_text ? jbvString : jbvNumeric))
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("field \"%s\" of a rate is not a JSON %s", key,
						is_text ? "string" : "number")));

	if (is_text)
		text = pnstrdup(value->val.string.val, value->val.string.len);
	else
	{
		/* through text, because that is where errors are soft */
		char *digits =
			DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		const char *end;

		if (!dec_parse(digits, &end, &number, key, escontext))
			return false;
	}

	if (strcmp(key, "item") == 0)
	{
		spec->item = text;
		spec->item_length = value->val.string.len;
	}
	else if (strcmp(key, "unit") == 0)
	{
		spec->unit = text;
		spec->unit_length = value->val.string.len;
	}
	else if (strcmp(key, "variant") == 0)
	{
		spec->variant = text;
		spec->variant_length = value->val.string.len;
	}
	else if (strcmp(key, "valid") == 0)
	{
		if (!parse_range(text, &spec->valid_from, &spec->valid_until))
			ereturn(escontext, false,
					(errcode(ERRCODE_INVALID_DATETIME_FORMAT),
					 errmsg("\"%s\" is not a range of validity", text),
					 errhint("Write it as [2025-01-01T00:00:00Z,2025-07-01T00:00:00Z), either "
							 "end left out where there is none.")));
	}
	else if (strcmp(key, "daily_from") == 0 || strcmp(key, "daily_until") == 0)
	{
		int64 *time = key[6] == 'f' ? &spec->daily_from : &spec->daily_until;

		if (!parse_time(text, time))
			ereturn(escontext, false,
					(errcode(ERRCODE_INVALID_DATETIME_FORMAT),
					 errmsg("\"%s\" is not a time of day", text),
					 errhint("Write it as 16:30:00, in UTC.")));
	}
	else if (strcmp(key, "price") == 0)
		spec->price = number;
	else if (strcmp(key, "per") == 0)
		spec->per = number;
	else if (strcmp(key, "context_from") == 0)
		spec->context_from = number;
	else
	{
		if (number % DEC_ONE != 0 || number / DEC_ONE > PG_INT32_MAX ||
			number / DEC_ONE < PG_INT32_MIN)
			ereturn(escontext, false,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("precedence of a rate is not an integer"),
					 errdetail("It lies between %d and %d.", PG_INT32_MIN, PG_INT32_MAX)));
		spec->precedence = (int32) (number / DEC_ONE);
	}
	return true;
}

static void
skip_spaces(const char **p)
{
	while (**p == ' ')
		(*p)++;
}

/* Reads a range of instants; any bracket is understood, and made half open. */
static bool
parse_range(const char *text, TimestampTz *from, TimestampTz *until)
{
	const char *p = text;
	bool exclusive;
	bool unbounded;

	skip_spaces(&p);
	if (*p != '[' && *p != '(')
		return false;
	exclusive = *p++ == '(';
	if (!parse_bound(&p, from, &unbounded))
		return false;
	*from = unbounded ? DT_NOBEGIN : half_open(*from, exclusive);
	if (*p++ != ',')
		return false;
	if (!parse_bound(&p, until, &unbounded))
		return false;
	if (*p != ']' && *p != ')')
		return false;
	*until = unbounded ? DT_NOEND : half_open(*until, *p == ']');
	p++;
	skip_spaces(&p);
	return *p == '\0';
}

/* Reads a bound, quoted or not, up to the comma or bracket behind it. */
static bool
parse_bound(const char **text, TimestampTz *instant, bool *unbounded)
{
	const char *p = *text;
	bool quoted;

	*unbounded = false;
	skip_spaces(&p);
	if (*p == ',' || *p == ')' || *p == ']')
	{
		*unbounded = true;
		*text = p;
		return true;
	}
	quoted = *p == '"';
	p += quoted;
	if (pg_strncasecmp(p, "infinity", 8) == 0 || pg_strncasecmp(p, "-infinity", 9) == 0)
	{
		*instant = *p == '-' ? DT_NOBEGIN : DT_NOEND;
		p += *p == '-' ? 9 : 8;
	}
	else if (!instant_parse(&p, instant))
		return false;
	if (quoted && *p++ != '"')
		return false;
	skip_spaces(&p);
	*text = p;
	return true;
}

static bool
parse_time(const char *text, int64 *time)
{
	const char *p = text;

	if (!clock_parse(&p, time))
		return false;
	p += *p == 'Z' || *p == 'z';
	return *p == '\0';
}

/* Prints a rate as a JSON object, without the fields at their default. */
static void
print_rate(StringInfo out, const RateSpec *spec)
{
	char number[DEC_BUFSIZE];

	appendStringInfoString(out, "{\"item\": ");
	json_text_print(out, spec->item, spec->item_length);
	if (!rate_variant_is_standard(spec->variant, spec->variant_length))
	{
		appendStringInfoString(out, ", \"variant\": ");
		json_text_print(out, spec->variant, spec->variant_length);
	}
	appendStringInfo(out, ", \"unit\": \"%.*s\"", spec->unit_length, spec->unit);
	dec_print(spec->price, number);
	appendStringInfo(out, ", \"price\": %s", number);
	if (spec->per != DEC_ONE)
	{
		dec_print(spec->per, number);
		appendStringInfo(out, ", \"per\": %s", number);
	}
	if (!TIMESTAMP_IS_NOBEGIN(spec->valid_from) || !TIMESTAMP_IS_NOEND(spec->valid_until))
	{
		appendStringInfo(out, ", \"valid\": \"%c",
						 TIMESTAMP_IS_NOBEGIN(spec->valid_from) ? '(' : '[');
		if (!TIMESTAMP_IS_NOBEGIN(spec->valid_from))
			instant_print(out, spec->valid_from);
		appendStringInfoChar(out, ',');
		if (!TIMESTAMP_IS_NOEND(spec->valid_until))
			instant_print(out, spec->valid_until);
		appendStringInfoString(out, ")\"");
	}
	if (spec->context_from != 0)
	{
		dec_print(spec->context_from, number);
		appendStringInfo(out, ", \"context_from\": %s", number);
	}
	if (spec->daily_from != RATE_NO_WINDOW)
	{
		appendStringInfoString(out, ", \"daily_from\": \"");
		clock_print(out, spec->daily_from % USECS_PER_DAY);
		appendStringInfoString(out, "\", \"daily_until\": \"");
		clock_print(out, spec->daily_until % USECS_PER_DAY);
		appendStringInfoChar(out, '"');
	}
	if (spec->precedence != 0)
		appendStringInfo(out, ", \"precedence\": %d", spec->precedence);
	appendStringInfoChar(out, '}');
}

static void
send_rate(StringInfo out, const RateSpec *spec)
{
	send_counted_text(out, spec->item, spec->item_length);
	send_counted_text(out, spec->variant, spec->variant_length);
	send_counted_text(out, spec->unit, spec->unit_length);
	dec_send(out, spec->price);
	dec_send(out, spec->per);
	dec_send(out, spec->context_from);
	pq_sendint64(out, spec->valid_from);
	pq_sendint64(out, spec->valid_until);
	pq_sendint64(out, spec->daily_from);
	pq_sendint64(out, spec->daily_from == RATE_NO_WINDOW ? 0 : spec->daily_until);
	pq_sendint32(out, spec->precedence);
}

/* Returns a counted name of the wire form, zero-terminated. */
static char *
recv_name(StringInfo in, int *length, int most)
{
	int bytes;

	wire_need(in, sizeof(int32));
	bytes = pq_getmsgint(in, sizeof(int32));
	wire_need(in, bytes);
	if (bytes > most)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("a name of %d bytes in an external rate card is too long", bytes),
						errdetail("It has at most %d bytes.", most)));
	return pq_getmsgtext(in, bytes, length);
}

/* Reads rates in wire form; refuses what is not one. */
static void
recv_rates(StringInfo in, SpecList *list)
{
	int version;
	int count;

	wire_need(in, 1 + sizeof(int32));
	version = pq_getmsgbyte(in);
	if (version != WIRE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("external rate card has version %d, not %d", version, WIRE_VERSION)));
	count = pq_getmsgint(in, sizeof(int32));
	if (count < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("external rate card has %d rates", count)));
	for (int i = 0; i < count; i++)
	{
		RateSpec spec;

		spec_defaults(&spec);
		/* another encoding may have been longer: the check below counts ours */
		spec.item = recv_name(in, &spec.item_length, 4 * RATE_NAME_MAX);
		spec.variant = recv_name(in, &spec.variant_length, 4 * RATE_NAME_MAX);
		spec.unit = recv_name(in, &spec.unit_length, UNIT_NAME_MAX);
		spec.price = dec_recv(in);
		spec.per = dec_recv(in);
		spec.context_from = dec_recv(in);
		wire_need(in, 4 * sizeof(int64) + sizeof(int32));
		spec.valid_from = pq_getmsgint64(in);
		spec.valid_until = pq_getmsgint64(in);
		spec.daily_from = pq_getmsgint64(in);
		spec.daily_until = pq_getmsgint64(in);
		spec.precedence = (int32) pq_getmsgint(in, sizeof(int32));
		if ((!TIMESTAMP_IS_NOBEGIN(spec.valid_from) && !IS_VALID_TIMESTAMP(spec.valid_from)) ||
			(!TIMESTAMP_IS_NOEND(spec.valid_until) && !IS_VALID_TIMESTAMP(spec.valid_until)))
			ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
							errmsg("timestamp out of range in an external rate card")));
		if (spec.daily_from == RATE_NO_WINDOW && spec.daily_until != 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
							errmsg("a daily window without a start in an external rate card")));
		rate_spec_check(&spec, NULL);
		append_spec(list, &spec);
	}
}

/* Appends the specs from which a card was built, in canonical order. */
static void
collect_card(const RateCard *card, SpecList *list)
{
	for (uint32 i = 0; i < card->section_count; i++)
	{
		const RateSection *section = rate_card_section(card, i);
		const RateUnit *units = section_units(card, section);

		for (uint32 unit = 0; unit < section->unit_count; unit++)
			for (uint32 rate = 0; rate < units[unit].rate_count; rate++)
			{
				RateSpec spec;

				rate_card_read(card, section, unit, rate, &spec);
				append_spec(list, &spec);
			}
	}
}

/* Appends the specs of a state, whose names are the state's. */
static void
collect_list(const RateList *list, SpecList *specs)
{
	const char *p = (const char *) list + MAXALIGN(sizeof(RateList));

	for (uint32 i = 0; i < list->count; i++)
	{
		const RateRecord *record = (const RateRecord *) p;
		RateSpec spec;

		spec.price = dec_load(&record->price);
		spec.per = dec_load(&record->per);
		spec.context_from = dec_load(&record->context_from);
		spec.valid_from = record->valid_from;
		spec.valid_until = record->valid_until;
		spec.daily_from = record->daily_from;
		spec.daily_until = record->daily_until;
		spec.precedence = record->precedence;
		spec.item = p + sizeof(RateRecord);
		spec.item_length = record->item_length;
		spec.variant = spec.item + record->item_length;
		spec.variant_length = record->variant_length;
		spec.unit = spec.variant + record->variant_length;
		spec.unit_length = record->unit_length;
		append_spec(specs, &spec);
		p += record->size;
	}
}

/* Returns the state with one more rate: itself, or a doubled copy where it was full. */
static RateList *
list_append(RateList *list, const RateSpec *spec)
{
	Size need =
		MAXALIGN(sizeof(RateRecord) + spec->item_length + spec->variant_length + spec->unit_length);
	RateRecord *record;
	char *names;

	if (list == NULL || VARSIZE(list) - list->used < need)
	{
		Size size = list == NULL ? RATE_LIST_FIRST_SIZE : 2 * VARSIZE(list);
		RateList *larger;

		while (size - (list == NULL ? MAXALIGN(sizeof(RateList)) : list->used) < need)
			size *= 2;
		larger = palloc0(size);
		if (list == NULL)
		{
			larger->format = RATE_CARD_FORMAT;
			larger->used = MAXALIGN(sizeof(RateList));
		}
		else
			memcpy(larger, list, list->used);
		SET_VARSIZE(larger, size);
		list = larger;
	}

	record = (RateRecord *) ((char *) list + list->used);
	memset(record, 0, need);
	dec_store(&record->price, spec->price);
	dec_store(&record->per, spec->per);
	dec_store(&record->context_from, spec->context_from);
	record->valid_from = spec->valid_from;
	record->valid_until = spec->valid_until;
	record->daily_from = spec->daily_from;
	record->daily_until = spec->daily_until;
	record->precedence = spec->precedence;
	record->item_length = spec->item_length;
	record->variant_length = spec->variant_length;
	record->unit_length = spec->unit_length;
	record->size = need;
	names = (char *) record + sizeof(RateRecord);
	memcpy(names, spec->item, spec->item_length);
	memcpy(names + spec->item_length, spec->variant, spec->variant_length);
	memcpy(names + spec->item_length + spec->variant_length, spec->unit, spec->unit_length);
	list->used += need;
	list->count++;
	return list;
}

static RateList *
list_of(const SpecList *specs)
{
	RateList *list = NULL;

	for (int i = 0; i < specs->count; i++)
		list = list_append(list, &specs->specs[i]);
	if (list == NULL)
	{
		list = palloc0(RATE_LIST_FIRST_SIZE);
		SET_VARSIZE(list, RATE_LIST_FIRST_SIZE);
		list->format = RATE_CARD_FORMAT;
		list->used = MAXALIGN(sizeof(RateList));
	}
	return list;
}
