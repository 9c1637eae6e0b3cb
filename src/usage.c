/*
 * usage.c: the type meter.usage, a bag of named quantities.
 *
 * The bytes are described in usage.h. They are canonical: units in order, each once,
 * numbers in their shortest form. So equality and hashing look at bytes alone, and
 * adding two bags is a merge. Input and recv check all of it; nothing behind them
 * checks again. Reading never needs an aligned copy.
 */
#include "usage.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#define WIRE_VERSION 1

/* Buckets that fit on the stack; longer lists move to the heap. */
#define FEW 16

/* How much of a refused text an error shows. */
#define SHOWN_BYTES 60

typedef struct BucketList
{
	Bucket *items;
	int count;
	int capacity;
	Bucket few[FEW];
} BucketList;

/* The unit that an operator was asked for last, with the name it was asked by. */
typedef struct UnitCache
{
	int length;
	int unit;
	char name[UNIT_NAME_MAX + 1];
} UnitCache;

static Bucket *list_append(BucketList *list);
static int compare_buckets(const void *a, const void *b);
static void refuse_twice(const Bucket *bucket, struct Node *escontext);
static const char *shown(const char *text, int length);
static struct varlena *refuse_text(const char *text, const char *at, const char *expected,
								   struct Node *escontext);
static struct varlena *merge(const void *a, const void *b, bool minus);
static Node *argument_node(FunctionCallInfo fcinfo, int i);
static void resolve_unit(FunctionCallInfo fcinfo, text *name, Bucket *bucket);
static bool find_unit(const void *usage, const Bucket *wanted, Bucket *found);
static int compare_bytes(const void *a, const void *b);

static inline void
list_init(BucketList *list)
{
	list->items = list->few;
	list->count = 0;
	list->capacity = FEW;
}

/* Returns a new bucket at the list's end, or NULL where a usage may not have more. */
static Bucket *
list_append(BucketList *list)
{
	if (list->count == USAGE_MAX_UNITS)
		return NULL;
	if (list->count == list->capacity)
	{
		list->capacity *= 2;
		if (list->items == list->few)
		{
			list->items = palloc(list->capacity * sizeof(Bucket));
			memcpy(list->items, list->few, sizeof(list->few));
		}
		else
			list->items = repalloc(list->items, list->capacity * sizeof(Bucket));
	}
	return &list->items[list->count++];
}

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

/* Writes any quantity, at most USAGE_QUANTITY_MAX bytes. */
uint8 *
usage_write_quantity(uint8 *p, Dec quantity)
{
	bool whole;
	uint128 rest;
	uint8 byte;

	if (likely(dec_fits_int64(quantity)))
	{
		int64 small = (int64) quantity;

		if (small % INT64CONST(1000000000000) == 0)
			return usage_write_whole(p, small / INT64CONST(1000000000000));
		whole = false;
	}
	else
	{
		whole = quantity % DEC_ONE == 0;
		if (whole)
			quantity /= DEC_ONE;
	}

	rest = ((uint128) quantity << 1) ^ (uint128) (quantity >> 127);
	byte = (uint8) ((rest & 0x3F) << 1) | (whole ? 0 : 1);
	for (rest >>= 6; rest != 0; rest >>= 7)
	{
		*p++ = byte | 0x80;
		byte = (uint8) (rest & 0x7F);
	}
	*p++ = byte;
	return p;
}

/* Writes a bucket's code byte and name, at most USAGE_NAME_MAX bytes. */
uint8 *
usage_write_unit(uint8 *p, const Bucket *bucket)
{
	if (bucket->unit != 0)
		*p++ = (uint8) bucket->unit;
	else
	{
		*p++ = (uint8) (UNIT_CUSTOM + bucket->name_length);
		memcpy(p, bucket->name, bucket->name_length);
		p += bucket->name_length;
	}
	return p;
}

/* Returns the canonical order of two buckets' units. */
int
bucket_compare(const Bucket *a, const Bucket *b)
{
	int order;

	if (a->unit != 0 && b->unit != 0)
		return a->unit - b->unit;
	if (a->unit != 0 || b->unit != 0)
		return a->unit != 0 ? -1 : 1;
	order = memcmp(a->name, b->name, Min(a->name_length, b->name_length));
	return order != 0 ? order : a->name_length - b->name_length;
}

static int
compare_buckets(const void *a, const void *b)
{
	return bucket_compare(a, b);
}

/* Sets a bucket's unit by its name, which must outlive the bucket. */
void
bucket_set_unit(Bucket *bucket, const char *name, int length)
{
	bucket->unit = unit_by_name(name, length);
	bucket->name = name;
	bucket->name_length = length;
}

/* Reports that a usage would have more than USAGE_MAX_UNITS units. */
void
usage_too_many_units(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("a usage has at most %d units", USAGE_MAX_UNITS)));
}

static void
refuse_twice(const Bucket *bucket, struct Node *escontext)
{
	int length;
	const char *name = bucket_name(bucket, &length);

	errsave(escontext, (errcode(ERRCODE_DUPLICATE_JSON_OBJECT_KEY_VALUE),
						errmsg("unit %.*s is there twice in one usage", length, name),
						errhint("Add the quantities up where both were measured.")));
}

/*
 * Returns the usage of buckets in any order, which it sorts. A unit that is there
 * twice is a soft error, and returns NULL.
 */
struct varlena *
usage_from_buckets(Bucket *buckets, int n, struct Node *escontext)
{
	uint8 few[FEW * (USAGE_NAME_MAX + USAGE_QUANTITY_MAX)];
	uint8 *bytes = few;
	uint8 *p;
	struct varlena *result;
	Size size;

	if (n <= FEW)
	{
		for (int i = 1; i < n; i++)
		{
			Bucket moving = buckets[i];
			int j = i;

			for (; j > 0 && bucket_compare(&buckets[j - 1], &moving) > 0; j--)
				buckets[j] = buckets[j - 1];
			buckets[j] = moving;
		}
	}
	else
	{
		qsort(buckets, n, sizeof(Bucket), compare_buckets);
		bytes = palloc(n * (USAGE_NAME_MAX + USAGE_QUANTITY_MAX));
	}

	p = bytes;
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && bucket_compare(&buckets[i - 1], &buckets[i]) == 0)
		{
			refuse_twice(&buckets[i], escontext);
			return NULL;
		}
		p = usage_write_unit(p, &buckets[i]);
		p = buckets[i].whole ? usage_write_whole(p, buckets[i].count)
							 : usage_write_quantity(p, buckets[i].quantity);
	}

	size = VARHDRSZ + (p - bytes);
	result = palloc(size);
	SET_VARSIZE(result, size);
	memcpy(VARDATA(result), bytes, p - bytes);
	if (bytes != few)
		pfree(bytes);
	return result;
}

/* Returns the beginning of a text, cut off where a character ends. */
static const char *
shown(const char *text, int length)
{
	int cut = pg_mbcliplen(text, length, SHOWN_BYTES);

	return psprintf("%.*s%s", cut, text, cut < length ? "..." : "");
}

/* Returns true where a name can be a unit's; another one is a soft error. */
bool
usage_check_name(const char *name, int length, struct Node *escontext)
{
	if (likely(unit_name_is_legal(name, length)))
		return true;
	ereturn(escontext, false,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("\"%s\" is not the name of a unit", shown(name, length)),
			 errdetail("The name of a unit is a lower-case letter and up to %d more lower-case "
					   "letters, digits and underscores.",
					   UNIT_NAME_MAX - 1)));
}

static struct varlena *
refuse_text(const char *text, const char *at, const char *expected, struct Node *escontext)
{
	ereturn(escontext, NULL,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type meter.usage: \"%s\"",
					shown(text, (int) strlen(text))),
			 *at == '\0' ? errdetail("The text ends where there should be %s.", expected)
						 : errdetail("There should be %s at \"%s\".", expected,
									 shown(at, (int) strlen(at))),
			 errhint("Write a flat JSON object of numbers: {\"input_tokens\": 1200, "
					 "\"output_tokens\": 88}.")));
}

static inline const char *
skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
		p++;
	return p;
}

/* Returns the usage that a text says; soft errors return NULL. */
struct varlena *
usage_parse(const char *text, struct Node *escontext)
{
	BucketList list;
	const char *p = skip_space(text);
	struct varlena *result;

	list_init(&list);
	if (*p != '{')
		return refuse_text(text, p, "an opening brace", escontext);
	p = skip_space(p + 1);
	if (*p != '}')
	{
		for (;;)
		{
			Bucket *bucket;
			const char *name;
			const char *end;
			char what[UNIT_NAME_MAX + 16];

			if (*p != '"')
				return refuse_text(text, p, "a unit's name in double quotes", escontext);
			name = ++p;
			while (*p != '"' && *p != '\0')
				p += p[0] == '\\' && p[1] != '\0' ? 2 : 1;
			if (*p == '\0')
				return refuse_text(text, p, "a double quote", escontext);
			if (!usage_check_name(name, (int) (p - name), escontext))
				return NULL;

			bucket = list_append(&list);
			if (bucket == NULL)
				ereturn(escontext, NULL,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("a usage has at most %d units", USAGE_MAX_UNITS)));
			bucket_set_unit(bucket, name, (int) (p - name));

			p = skip_space(p + 1);
			if (*p != ':')
				return refuse_text(text, p, "a colon", escontext);
			p = skip_space(p + 1);
			snprintf(what, sizeof(what), "quantity of %.*s", bucket->name_length, name);
			bucket->whole = false;
			if (!dec_parse(p, &end, &bucket->quantity, what, escontext))
				return end == p ? refuse_text(text, p, "a number", escontext) : NULL;

			p = skip_space(end);
			if (*p == '}')
				break;
			if (*p != ',')
				return refuse_text(text, p, "a comma or a closing brace", escontext);
			p = skip_space(p + 1);
		}
	}
	p = skip_space(p + 1);
	if (*p != '\0')
		return refuse_text(text, p, "nothing more", escontext);

	result = usage_from_buckets(list.items, list.count, escontext);
	if (list.items != list.few)
		pfree(list.items);
	return result;
}

/* Returns a usage's canonical text. */
char *
usage_print(const void *usage)
{
	StringInfoData buffer;
	UsageReader reader;
	Bucket bucket;
	char number[DEC_BUFSIZE];
	bool first = true;

	initStringInfo(&buffer);
	appendStringInfoChar(&buffer, '{');
	usage_open(&reader, usage);
	while (usage_next(&reader, &bucket))
	{
		int length;
		const char *name = bucket_name(&bucket, &length);

		if (!first)
			appendBinaryStringInfo(&buffer, ", ", 2);
		first = false;
		appendStringInfoChar(&buffer, '"');
		appendBinaryStringInfo(&buffer, name, length);
		appendBinaryStringInfo(&buffer, "\": ", 3);
		length = dec_print(bucket_quantity(&bucket), number);
		appendBinaryStringInfo(&buffer, number, length);
	}
	appendStringInfoChar(&buffer, '}');
	return buffer.data;
}

/*
 * Writes a usage's external form: version, a zero, the number of entries, and of each
 * the length of its name, the name and the quantity. Codes stay at home.
 */
void
usage_write_wire(StringInfo buffer, const void *usage)
{
	UsageReader reader;
	Bucket bucket;
	int count = 0;

	usage_open(&reader, usage);
	while (usage_next(&reader, &bucket))
		count++;

	pq_sendint8(buffer, WIRE_VERSION);
	pq_sendint8(buffer, 0);
	pq_sendint16(buffer, count);
	usage_open(&reader, usage);
	while (usage_next(&reader, &bucket))
	{
		int length;
		const char *name = bucket_name(&bucket, &length);

		pq_sendint8(buffer, length);
		pq_sendbytes(buffer, name, length);
		dec_send(buffer, bucket_quantity(&bucket));
	}
}

/* Reads what usage_write_wire() wrote, and refuses what is not canonical. */
struct varlena *
usage_read_wire(StringInfo buffer)
{
	BucketList list;
	int version;
	int count;
	struct varlena *result;

	wire_need(buffer, 4);
	version = pq_getmsgbyte(buffer);
	if (version != WIRE_VERSION)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("unsupported version %d of an external usage", version),
						errdetail("This meter reads version %d.", WIRE_VERSION)));
	if (pq_getmsgbyte(buffer) != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("a reserved byte of an external usage is not zero")));
	count = (int) pq_getmsgint(buffer, 2);
	if (count > USAGE_MAX_UNITS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("external usage has %d units, a usage has at most %d", count,
							   USAGE_MAX_UNITS)));

	list_init(&list);
	while (count-- > 0)
	{
		Bucket *bucket = list_append(&list);
		const char *name;
		int length;

		wire_need(buffer, 1);
		length = pq_getmsgbyte(buffer);
		wire_need(buffer, length);
		name = pq_getmsgbytes(buffer, length);
		if (!unit_name_is_legal(name, length))
			ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
							errmsg("external usage has an entry without a legal unit name")));
		bucket_set_unit(bucket, name, length);
		bucket->whole = false;
		bucket->quantity = dec_recv(buffer);
		if (list.count > 1 && bucket_compare(&list.items[list.count - 2], bucket) >= 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
							errmsg("external usage has unit %.*s out of order", length, name)));
	}

	result = usage_from_buckets(list.items, list.count, NULL);
	if (list.items != list.few)
		pfree(list.items);
	return result;
}

PG_FUNCTION_INFO_V1(meter_usage_in);
Datum
meter_usage_in(PG_FUNCTION_ARGS)
{
	struct varlena *result = usage_parse(PG_GETARG_CSTRING(0), fcinfo->context);

	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(result);
}

PG_FUNCTION_INFO_V1(meter_usage_out);
Datum
meter_usage_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(usage_print(PG_GETARG_USAGE_PP(0)));
}

PG_FUNCTION_INFO_V1(meter_usage_send);
Datum
meter_usage_send(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	usage_write_wire(&buffer, PG_GETARG_USAGE_PP(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

PG_FUNCTION_INFO_V1(meter_usage_recv);
Datum
meter_usage_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(usage_read_wire((StringInfo) PG_GETARG_POINTER(0)));
}

/* meter.usage(jsonb): refuses whatever is not a flat object of numbers. */
PG_FUNCTION_INFO_V1(meter_usage_from_jsonb);
Datum
meter_usage_from_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb *jsonb = PG_GETARG_JSONB_P(0);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;
	BucketList list;
	Bucket *bucket = NULL;

	if (!JB_ROOT_IS_OBJECT(jsonb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a usage comes from a JSON object, not from %s",
						JB_ROOT_IS_SCALAR(jsonb) ? "a scalar" : "an array"),
				 errhint("The object's keys are units, its values numbers: {\"input_tokens\": "
						 "1200}.")));

	list_init(&list);
	iterator = JsonbIteratorInit(&jsonb->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		char what[UNIT_NAME_MAX + 16];

		if (token == WJB_KEY)
		{
			usage_check_name(value.val.string.val, value.val.string.len, NULL);
			bucket = list_append(&list);
			if (bucket == NULL)
				usage_too_many_units();
			bucket_set_unit(bucket, value.val.string.val, value.val.string.len);
			bucket->whole = false;
		}
		else if (token == WJB_VALUE)
		{
			if (value.type != jbvNumeric)
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("quantity of %.*s is of JSON type %s, not number",
									   bucket->name_length, bucket->name, JsonbTypeName(&value)),
								errhint("Leave out a unit that was not measured.")));
			snprintf(what, sizeof(what), "quantity of %.*s", bucket->name_length, bucket->name);
			bucket->quantity = dec_from_numeric(NumericGetDatum(value.val.numeric), what);
		}
	}
	PG_RETURN_POINTER(usage_from_buckets(list.items, list.count, NULL));
}

PG_FUNCTION_INFO_V1(meter_usage_to_jsonb);
Datum
meter_usage_to_jsonb(PG_FUNCTION_ARGS)
{
	struct varlena *usage = PG_GETARG_USAGE_PP(0);
	JsonbParseState *state = NULL;
	JsonbValue *object;
	UsageReader reader;
	Bucket bucket;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	usage_open(&reader, usage);
	while (usage_next(&reader, &bucket))
	{
		JsonbValue value;

		value.type = jbvString;
		value.val.string.val = unconstify(char *, bucket_name(&bucket, &value.val.string.len));
		pushJsonbValue(&state, WJB_KEY, &value);
		value.type = jbvNumeric;
		value.val.numeric = DatumGetNumeric(dec_to_numeric(bucket_quantity(&bucket)));
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(object));
}

/*
 * meter.usage('unit', quantity, ...): the constructor on the hottest path there is,
 * once a row. What can be known from the call itself is found out at the first row.
 * After that a row with constant names costs reading its integers, writing them as
 * varints and one allocation.
 */
PG_FUNCTION_INFO_V1(meter_usage);
Datum
meter_usage(PG_FUNCTION_ARGS)
{
	UsageArgs *args = (UsageArgs *) fcinfo->flinfo->fn_extra;
	struct varlena *result;
	uint8 *p;

	if (unlikely(args == NULL))
	{
		args = usage_args_resolve(fcinfo, "meter.usage", 0, 1, fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = args;
	}
	if (unlikely(!args->constant))
		PG_RETURN_POINTER(usage_args_build(fcinfo, args));

	result = palloc(args->bound);
	p = (uint8 *) VARDATA(result);
	for (int i = 0; i < args->pairs; i++)
	{
		const UsagePair *pair = &args->pair[i];
		const NullableDatum *quantity = &fcinfo->args[pair->quantity];
		int64 count;

		if (quantity->isnull)
			continue;
		*p++ = pair->head[0];
		if (unlikely(pair->head_length > 1))
		{
			memcpy(p, pair->head + 1, pair->head_length - 1);
			p += pair->head_length - 1;
		}
		if (pair->kind == QUANTITY_INT8)
			count = DatumGetInt64(quantity->value);
		else if (pair->kind == QUANTITY_INT4)
			count = DatumGetInt32(quantity->value);
		else if (pair->kind == QUANTITY_INT2)
			count = DatumGetInt16(quantity->value);
		else
		{
			p = usage_write_quantity(p, dec_from_numeric(quantity->value, "quantity"));
			continue;
		}
		p = usage_write_whole(p, count);
	}
	SET_VARSIZE(result, (char *) p - (char *) result);
	PG_RETURN_POINTER(result);
}

/* Returns the node that an argument is in the call's expression, or NULL. */
static Node *
argument_node(FunctionCallInfo fcinfo, int i)
{
	Node *call = fcinfo->flinfo->fn_expr;

	if (call == NULL || !IsA(call, FuncExpr) || list_length(((FuncExpr *) call)->args) <= i)
		return NULL;
	return list_nth(((FuncExpr *) call)->args, i);
}

/*
 * Finds out, from the call, what can be known about the pairs of arguments that begin
 * with the one of number `first`, in the context. Errors call the function so and
 * count its arguments from `shown` on.
 */
UsageArgs *
usage_args_resolve(FunctionCallInfo fcinfo, const char *function, int first, int shown,
				   MemoryContext context)
{
	int nargs = PG_NARGS() - first;
	UsageArgs *args;
	Bucket units[FUNC_MAX_ARGS / 2];

	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s does not take a VARIADIC array", function),
						errhint("Where units are known at run time only, use "
								"meter.usage(jsonb_object_agg(unit, quantity)).")));
	if (nargs % 2 != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has a unit without a quantity, or the other way round", function),
				 errdetail("Units and quantities come in pairs; here are %d.", nargs),
				 errhint("Write pairs of a unit and its quantity: meter.usage('input_tokens', "
						 "1200, 'output_tokens', 88).")));

	args =
		MemoryContextAllocZero(context, offsetof(UsageArgs, pair) + nargs / 2 * sizeof(UsagePair));
	args->function = function;
	args->shown = shown;
	args->pairs = nargs / 2;
	args->constant = true;
	args->bound = VARHDRSZ;

	for (int i = 0; i < args->pairs; i++)
	{
		Oid name_type = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, first + 2 * i));
		Oid quantity_type = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, first + 2 * i + 1));
		Node *name = argument_node(fcinfo, first + 2 * i);
		UsagePair *pair = &args->pair[i];

		pair->quantity = first + 2 * i + 1;
		if (name_type != TEXTOID && name_type != VARCHAROID && name_type != UNKNOWNOID)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("argument %d of %s is of type %s, not the name of a unit",
								   first + 2 * i + shown, function, format_type_be(name_type)),
							errhint("Write pairs of a unit and its quantity: "
									"meter.usage('input_tokens', 1200, 'output_tokens', 88).")));
		switch (quantity_type)
		{
			case INT2OID:
				pair->kind = QUANTITY_INT2;
				break;
			case INT4OID:
				pair->kind = QUANTITY_INT4;
				break;
			case INT8OID:
				pair->kind = QUANTITY_INT8;
				break;
			case NUMERICOID:
				pair->kind = QUANTITY_NUMERIC;
				break;
			case FLOAT4OID:
			case FLOAT8OID:
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("argument %d of %s is of type %s", first + 2 * i + 1 + shown,
									   function, format_type_be(quantity_type)),
								errdetail("Quantities are exact; a floating-point number is not."),
								errhint("Cast it to numeric, rounded as you mean it.")));
				break;
			case UNKNOWNOID:
				if (PG_ARGISNULL(first + 2 * i + 1))
				{
					pair->kind = QUANTITY_NULL;
					break;
				}
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("argument %d of %s is a text, not a number",
								first + 2 * i + 1 + shown, function),
						 errhint("Write the number without quotes, or cast it to numeric.")));
				break;
			default:
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("argument %d of %s is of type %s, not a quantity",
								first + 2 * i + 1 + shown, function, format_type_be(quantity_type)),
						 errhint("A quantity is a smallint, integer, bigint or numeric.")));
		}

		/* a parameter may change between two calls, whatever get_fn_expr_arg_stable says */
		if (name != NULL && IsA(name, Const) && !PG_ARGISNULL(first + 2 * i))
		{
			char *string = name_type == UNKNOWNOID
							   ? DatumGetCString(PG_GETARG_DATUM(first + 2 * i))
							   : text_to_cstring(PG_GETARG_TEXT_PP(first + 2 * i));
			int length = (int) strlen(string);

			usage_check_name(string, length, NULL);
			bucket_set_unit(&units[i], string, length);
			pair->head_length = (int) (usage_write_unit(pair->head, &units[i]) - pair->head);
			args->bound += pair->head_length +
						   (pair->kind == QUANTITY_NUMERIC ? USAGE_QUANTITY_MAX : USAGE_WHOLE_MAX);
		}
		else
			args->constant = false;
		pair->cstring = name_type == UNKNOWNOID;
	}

	if (args->constant)
	{
		for (int i = 1; i < args->pairs; i++)
		{
			UsagePair moving = args->pair[i];
			Bucket unit = units[i];
			int j = i;
			int order = 1;

			for (; j > 0 && (order = bucket_compare(&units[j - 1], &unit)) > 0; j--)
			{
				args->pair[j] = args->pair[j - 1];
				units[j] = units[j - 1];
			}
			if (order == 0)
				refuse_twice(&unit, NULL);
			args->pair[j] = moving;
			units[j] = unit;
		}
	}
	return args;
}

/* Returns the usage of a call's pairs, whose names may differ from row to row. */
struct varlena *
usage_args_build(FunctionCallInfo fcinfo, const UsageArgs *args)
{
	Bucket units[FUNC_MAX_ARGS / 2];
	Bucket buckets[FUNC_MAX_ARGS / 2];
	int n = 0;

	for (int i = 0; i < args->pairs; i++)
	{
		const UsagePair *pair = &args->pair[i];
		Bucket *bucket = &units[i];
		const char *name;
		int length;
		Datum quantity;

		if (PG_ARGISNULL(pair->quantity - 1))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("argument %d of %s, a unit, is NULL",
								   pair->quantity - 1 + args->shown, args->function)));
		if (pair->cstring)
		{
			name = DatumGetCString(PG_GETARG_DATUM(pair->quantity - 1));
			length = (int) strlen(name);
		}
		else
		{
			text *string = PG_GETARG_TEXT_PP(pair->quantity - 1);

			name = VARDATA_ANY(string);
			length = VARSIZE_ANY_EXHDR(string);
		}
		usage_check_name(name, length, NULL);
		bucket_set_unit(bucket, name, length);
		for (int j = 0; j < i; j++)
			if (bucket_compare(&units[j], bucket) == 0)
				refuse_twice(bucket, NULL);
		if (PG_ARGISNULL(pair->quantity))
			continue;

		quantity = PG_GETARG_DATUM(pair->quantity);
		bucket->whole = pair->kind != QUANTITY_NUMERIC;
		if (pair->kind == QUANTITY_INT8)
			bucket->count = DatumGetInt64(quantity);
		else if (pair->kind == QUANTITY_INT4)
			bucket->count = DatumGetInt32(quantity);
		else if (pair->kind == QUANTITY_INT2)
			bucket->count = DatumGetInt16(quantity);
		else
			bucket->quantity = dec_from_numeric(quantity, "quantity");
		buckets[n++] = *bucket;
	}
	return usage_from_buckets(buckets, n, NULL);
}

/* Returns a + b, or a - b: a merge of the two. */
static struct varlena *
merge(const void *a, const void *b, bool minus)
{
	uint8 few[512];
	uint8 *bytes = few;
	uint8 *p;
	UsageReader left;
	UsageReader right;
	Bucket l;
	Bucket r;
	bool has_left;
	bool has_right;
	int count = 0;
	Size size = VARSIZE_ANY_EXHDR(a) + VARSIZE_ANY_EXHDR(b);
	struct varlena *result;

	/* an entry has two bytes or more, and its quantity may grow */
	size += size / 2 * USAGE_QUANTITY_MAX;
	if (size > sizeof(few))
		bytes = palloc(size);
	p = bytes;

	usage_open(&left, a);
	usage_open(&right, b);
	has_left = usage_next(&left, &l);
	has_right = usage_next(&right, &r);
	for (; has_left || has_right; count++)
	{
		int order = !has_left ? 1 : !has_right ? -1 : bucket_compare(&l, &r);
		Dec quantity = 0;

		p = usage_write_unit(p, order <= 0 ? &l : &r);
		if (order <= 0)
		{
			quantity = bucket_quantity(&l);
			has_left = usage_next(&left, &l);
		}
		if (order >= 0)
		{
			quantity = minus ? dec_sub(quantity, bucket_quantity(&r))
							 : dec_add(quantity, bucket_quantity(&r));
			has_right = usage_next(&right, &r);
		}
		p = usage_write_quantity(p, quantity);
	}
	if (count > USAGE_MAX_UNITS)
		usage_too_many_units();

	size = VARHDRSZ + (p - bytes);
	result = palloc(size);
	SET_VARSIZE(result, size);
	memcpy(VARDATA(result), bytes, p - bytes);
	if (bytes != few)
		pfree(bytes);
	return result;
}

PG_FUNCTION_INFO_V1(meter_add);
Datum
meter_add(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(merge(PG_GETARG_USAGE_PP(0), PG_GETARG_USAGE_PP(1), false));
}

PG_FUNCTION_INFO_V1(meter_subtract);
Datum
meter_subtract(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(merge(PG_GETARG_USAGE_PP(0), PG_GETARG_USAGE_PP(1), true));
}

PG_FUNCTION_INFO_V1(meter_negate);
Datum
meter_negate(PG_FUNCTION_ARGS)
{
	text *nothing = cstring_to_text_with_len("", 0);

	PG_RETURN_POINTER(merge(nothing, PG_GETARG_USAGE_PP(0), true));
}

/*
 * Sets the bucket's unit from an operator's right side. Mostly that is the same name
 * in every row, and comparing it costs less than finding it.
 */
static void
resolve_unit(FunctionCallInfo fcinfo, text *name, Bucket *bucket)
{
	UnitCache *cache = (UnitCache *) fcinfo->flinfo->fn_extra;
	const char *bytes = VARDATA_ANY(name);
	int length = VARSIZE_ANY_EXHDR(name);

	bucket->name = bytes;
	bucket->name_length = length;
	if (length > UNIT_NAME_MAX)
	{
		bucket->unit = 0;
		return;
	}
	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(UnitCache));
		fcinfo->flinfo->fn_extra = cache;
	}
	if (cache->length != length || memcmp(cache->name, bytes, length) != 0)
	{
		cache->length = length;
		cache->unit = unit_by_name(bytes, length);
		memcpy(cache->name, bytes, length);
	}
	bucket->unit = cache->unit;
}

/* Returns whether a usage has the wanted unit, and its bucket. */
static bool
find_unit(const void *usage, const Bucket *wanted, Bucket *found)
{
	UsageReader reader;

	usage_open(&reader, usage);
	while (usage_next(&reader, found))
	{
		int order = bucket_compare(found, wanted);

		if (order >= 0)
			return order == 0;
	}
	return false;
}

PG_FUNCTION_INFO_V1(meter_quantity);
Datum
meter_quantity(PG_FUNCTION_ARGS)
{
	Bucket wanted;
	Bucket found;

	resolve_unit(fcinfo, PG_GETARG_TEXT_PP(1), &wanted);
	if (!find_unit(PG_GETARG_USAGE_PP(0), &wanted, &found))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(dec_to_numeric(bucket_quantity(&found)));
}

PG_FUNCTION_INFO_V1(meter_has_unit);
Datum
meter_has_unit(PG_FUNCTION_ARGS)
{
	Bucket wanted;
	Bucket found;

	resolve_unit(fcinfo, PG_GETARG_TEXT_PP(1), &wanted);
	PG_RETURN_BOOL(find_unit(PG_GETARG_USAGE_PP(0), &wanted, &found));
}

/* meter.each(usage): a row a unit, in canonical order. */
PG_FUNCTION_INFO_V1(meter_each);
Datum
meter_each(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	UsageReader *reader;
	Bucket bucket;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		TupleDesc descriptor;
		struct varlena *usage;

		call = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "meter.each must return a row type");
		call->tuple_desc = BlessTupleDesc(descriptor);
		/* the argument may live shorter than the calls */
		usage = (struct varlena *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
		reader = palloc(sizeof(UsageReader));
		usage_open(reader, usage);
		call->user_fctx = reader;
		MemoryContextSwitchTo(old);
	}

	call = SRF_PERCALL_SETUP();
	reader = (UsageReader *) call->user_fctx;
	if (usage_next(reader, &bucket))
	{
		Datum values[2];
		bool nulls[2] = {false, false};
		int length;
		const char *name = bucket_name(&bucket, &length);

		values[0] = PointerGetDatum(cstring_to_text_with_len(name, length));
		values[1] = dec_to_numeric(bucket_quantity(&bucket));
		SRF_RETURN_NEXT(call, HeapTupleGetDatum(heap_form_tuple(call->tuple_desc, values, nulls)));
	}
	SRF_RETURN_DONE(call);
}

/* Orders two usages by their bytes: an order for sorting and indexes, without meaning. */
static int
compare_bytes(const void *a, const void *b)
{
	int a_size = VARSIZE_ANY_EXHDR(a);
	int b_size = VARSIZE_ANY_EXHDR(b);
	int order = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(a_size, b_size));

	return order != 0 ? order : a_size - b_size;
}

static inline int
compare_arguments(FunctionCallInfo fcinfo)
{
	struct varlena *a = PG_GETARG_USAGE_PP(0);
	struct varlena *b = PG_GETARG_USAGE_PP(1);
	int order = compare_bytes(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

PG_FUNCTION_INFO_V1(meter_usage_eq);
Datum
meter_usage_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

PG_FUNCTION_INFO_V1(meter_usage_ne);
Datum
meter_usage_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

PG_FUNCTION_INFO_V1(meter_usage_lt);
Datum
meter_usage_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(meter_usage_le);
Datum
meter_usage_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(meter_usage_gt);
Datum
meter_usage_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(meter_usage_ge);
Datum
meter_usage_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(meter_usage_cmp);
Datum
meter_usage_cmp(PG_FUNCTION_ARGS)
{
	int order = compare_arguments(fcinfo);

	PG_RETURN_INT32(order < 0 ? -1 : order > 0 ? 1 : 0);
}

PG_FUNCTION_INFO_V1(meter_usage_hash);
Datum
meter_usage_hash(PG_FUNCTION_ARGS)
{
	struct varlena *usage = PG_GETARG_USAGE_PP(0);
	Datum hash = hash_any((unsigned char *) VARDATA_ANY(usage), VARSIZE_ANY_EXHDR(usage));

	PG_FREE_IF_COPY(usage, 0);
	PG_RETURN_DATUM(hash);
}

PG_FUNCTION_INFO_V1(meter_usage_hash_extended);
Datum
meter_usage_hash_extended(PG_FUNCTION_ARGS)
{
	struct varlena *usage = PG_GETARG_USAGE_PP(0);
	Datum hash = hash_any_extended((unsigned char *) VARDATA_ANY(usage), VARSIZE_ANY_EXHDR(usage),
								   PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(usage, 0);
	PG_RETURN_DATUM(hash);
}
