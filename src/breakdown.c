/*
 * breakdown.c: the type meter.breakdown, a day's usage broken down by what was used
 * and how, as the roll-up stores it.
 *
 * The bytes are described in breakdown.h. One value a customer's day, in place of a
 * row for each key, is what makes the roll-up quick to write and small: a row, its
 * header and its index entry cost more than what is in them. Reading walks the bytes
 * once, and adding two breakdowns is a merge. Input and recv check everything; nothing
 * behind them checks again.
 *
 * The text form is JSON, an array of objects with the columns of meter.usage_daily;
 * names that are NULL and numbers that are zero are left out.
 */
#include "breakdown.h"

#include "event_sums.h"
#include "instant.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#define WIRE_VERSION 1

/* How much of a refused text an error shows. */
#define SHOWN_BYTES 60

/* How deep the text form may be nested: more than it ever is, far less than a stack. */
#define JSON_DEPTH_MAX 16

static const char *const names[BREAKDOWN_NAMES] = {"item", "action", "variant", "outcome",
												   "request_class"};

/* The columns of entries(), and the fields of the text form. */
enum
{
	COLUMN_EVENTS = BREAKDOWN_NAMES,
	COLUMN_USAGE,
	COLUMN_COST,
	COLUMN_CREDITS,
	COLUMN_UNPRICED_COST,
	COLUMN_UNPRICED_CREDITS,
	COLUMNS
};

/* A name of a key that is made; one that is NULL has no text. */
typedef struct KeyName
{
	const char *text;
	int length;
} KeyName;

/* Entries that are read from outside, and come in any order. */
typedef struct EntryList
{
	BreakdownEntry *entries;
	int count;
	int capacity;
} EntryList;

static uint8 *write_length(uint8 *p, uint32 length);
static const uint8 *read_length(const uint8 *p, int *length);
static void make_key(BreakdownKey *key, const KeyName *name);
static void print_key(StringInfo out, const BreakdownKey *key);
static void list_add(EntryList *list, const BreakdownEntry *entry);
static struct varlena *list_write(EntryList *list, struct Node *escontext);
static int compare_entries(const void *a, const void *b);

/* Writes a length as a varint. */
static uint8 *
write_length(uint8 *p, uint32 length)
{
	for (; length >= 0x80; length >>= 7)
		*p++ = (uint8) (length | 0x80);
	*p++ = (uint8) length;
	return p;
}

/* Reads a length, and returns what follows it. */
static inline const uint8 *
read_length(const uint8 *p, int *length)
{
	uint32 value = *p & 0x7F;

	for (int shift = 7; *p++ & 0x80; shift += 7)
		value |= (uint32) (*p & 0x7F) << shift;
	*length = (int) value;
	return p;
}

/* Begins to read a detoasted breakdown, packed or not. */
void
breakdown_open(BreakdownReader *reader, const void *breakdown)
{
	reader->next = (const uint8 *) VARDATA_ANY(breakdown);
	reader->end = reader->next + VARSIZE_ANY_EXHDR(breakdown);
	Assert(reader->next < reader->end && *reader->next == BREAKDOWN_FORMAT);
	reader->next++;
}

/* Reads a name of a key, and returns what follows it. */
const uint8 *
breakdown_read_name(const uint8 *p, const char **name, int *length)
{
	p = read_length(p, length);
	*name = (const char *) p;
	return p + *length;
}

/* Writes a name of a key. */
uint8 *
breakdown_write_name(uint8 *p, const char *name, int length)
{
	p = write_length(p, (uint32) length);
	memcpy(p, name, length);
	return p + length;
}

static inline const uint8 *
read_number(const uint8 *p, int64 *number)
{
	Bucket bucket;

	p = usage_read_quantity(p, &bucket);
	Assert(bucket.whole);
	*number = bucket.whole ? bucket.count : 0;
	return p;
}

static inline const uint8 *
read_amount(const uint8 *p, Dec *amount)
{
	Bucket bucket;

	p = usage_read_quantity(p, &bucket);
	*amount = bucket_quantity(&bucket);
	return p;
}

/* Reads the next entry, which points into the breakdown; returns false behind the last one. */
bool
breakdown_next(BreakdownReader *reader, BreakdownEntry *entry)
{
	const uint8 *p = reader->next;

	if (p >= reader->end)
		return false;
	entry->key.bytes = p;
	for (uint32 present = *p++; present != 0; present &= present - 1)
	{
		int length;

		p = read_length(p, &length);
		p += length;
	}
	entry->key.length = (int) (p - entry->key.bytes);
	p = read_number(p, &entry->events);
	p = read_number(p, &entry->unpriced_cost);
	p = read_number(p, &entry->unpriced_credits);
	p = read_amount(p, &entry->cost);
	p = read_amount(p, &entry->credits);
	entry->usage = read_length(p, &entry->usage_length);
	reader->next = entry->usage + entry->usage_length;
	return true;
}

/* Begins to write a breakdown. */
void
breakdown_begin(StringInfo out)
{
	initStringInfo(out);
	enlargeStringInfo(out, VARHDRSZ);
	out->len = VARHDRSZ;
	appendStringInfoCharMacro(out, BREAKDOWN_FORMAT);
}

/* Writes an entry, whose key is behind that of the one before. */
void
breakdown_write(StringInfo out, const BreakdownEntry *entry)
{
	uint8 *p;

	enlargeStringInfo(out, entry->key.length + 3 * USAGE_WHOLE_MAX + 2 * USAGE_QUANTITY_MAX +
							   BREAKDOWN_NAME_HEAD + entry->usage_length);
	p = (uint8 *) out->data + out->len;
	memcpy(p, entry->key.bytes, entry->key.length);
	p += entry->key.length;
	p = usage_write_whole(p, entry->events);
	p = usage_write_whole(p, entry->unpriced_cost);
	p = usage_write_whole(p, entry->unpriced_credits);
	p = usage_write_quantity(p, entry->cost);
	p = usage_write_quantity(p, entry->credits);
	p = write_length(p, (uint32) entry->usage_length);
	memcpy(p, entry->usage, entry->usage_length);
	p += entry->usage_length;
	out->len = (int) (p - (uint8 *) out->data);
}

/* Returns the breakdown that was written. */
struct varlena *
breakdown_end(StringInfo out)
{
	SET_VARSIZE(out->data, out->len);
	return (struct varlena *) out->data;
}

/* Returns a copy of an entry's usage. */
struct varlena *
breakdown_usage(const BreakdownEntry *entry)
{
	struct varlena *usage = palloc(VARHDRSZ + entry->usage_length);

	SET_VARSIZE(usage, VARHDRSZ + entry->usage_length);
	memcpy(VARDATA(usage), entry->usage, entry->usage_length);
	return usage;
}

/* Makes a key of its names. */
static void
make_key(BreakdownKey *key, const KeyName *name)
{
	Size room = 1;
	uint8 *bytes;
	uint8 *p;

	for (int i = 0; i < BREAKDOWN_NAMES; i++)
		if (name[i].text != NULL)
			room += BREAKDOWN_NAME_HEAD + name[i].length;
	p = bytes = palloc(room);
	*p++ = 0;
	for (int i = 0; i < BREAKDOWN_NAMES; i++)
		if (name[i].text != NULL)
		{
			bytes[0] |= 1 << i;
			p = breakdown_write_name(p, name[i].text, name[i].length);
		}
	key->bytes = bytes;
	key->length = (int) (p - bytes);
}

/* Writes the names of a key as fields of the text form, without a brace. */
static void
print_key(StringInfo out, const BreakdownKey *key)
{
	const uint8 *p = key->bytes + 1;
	const char *separator = "";

	for (int name = 0; name < BREAKDOWN_NAMES; name++)
		if (key->bytes[0] & (1 << name))
		{
			const char *text;
			int length;

			p = breakdown_read_name(p, &text, &length);
			appendStringInfo(out, "%s\"%s\": ", separator, names[name]);
			json_text_print(out, text, length);
			separator = ", ";
		}
}

/* Returns the beginning of a text, for an error. */
static const char *
shown(const char *text)
{
	int length = (int) strlen(text);

	if (length <= SHOWN_BYTES)
		return text;
	return psprintf("%.*s...", pg_mbcliplen(text, length, SHOWN_BYTES), text);
}

static void
list_add(EntryList *list, const BreakdownEntry *entry)
{
	if (list->count == list->capacity)
	{
		list->capacity = Max(16, 2 * list->capacity);
		list->entries = list->entries == NULL
							? palloc(list->capacity * sizeof(BreakdownEntry))
							: repalloc_huge(list->entries, list->capacity * sizeof(BreakdownEntry));
	}
	list->entries[list->count++] = *entry;
}

static int
compare_entries(const void *a, const void *b)
{
	return breakdown_compare(&((const BreakdownEntry *) a)->key,
							 &((const BreakdownEntry *) b)->key);
}

/* Returns the breakdown of entries in any order; NULL after a soft error, where a key is there twice. */
static struct varlena *
list_write(EntryList *list, struct Node *escontext)
{
	StringInfoData out;

	if (list->count > 1)
		qsort(list->entries, list->count, sizeof(BreakdownEntry), compare_entries);
	breakdown_begin(&out);
	for (int i = 0; i < list->count; i++)
	{
		if (i > 0 && compare_entries(&list->entries[i - 1], &list->entries[i]) == 0)
		{
			StringInfoData key;

			initStringInfo(&key);
			print_key(&key, &list->entries[i].key);
			ereturn(escontext, NULL,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("a breakdown has each combination of item, action, variant, outcome "
							"and request_class once"),
					 errdetail("{%s} is there twice.", shown(key.data)),
					 errhint("Add the two up, as meter.add does.")));
		}
		breakdown_write(&out, &list->entries[i]);
	}
	return breakdown_end(&out);
}

/* Sets a number that a field of the text form says; returns false after a soft error. */
static bool
parse_number(const JsonbValue *value, const char *field, Dec *number, struct Node *escontext)
{
	char *text;
	const char *end;

	if (value->type != jbvNumeric)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("\"%s\" of a breakdown is a number", field)));
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	if (!dec_parse(text, &end, number, field, escontext) || *end != '\0')
	{
		if (SOFT_ERROR_OCCURRED(escontext))
			return false;
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("\"%s\" of a breakdown is no number: %s", field, text)));
	}
	return true;
}

/* Sets a whole number that a field of the text form says; returns false after a soft error. */
static bool
parse_count(const JsonbValue *value, const char *field, int64 *count, struct Node *escontext)
{
	Dec number;

	if (!parse_number(value, field, &number, escontext))
		return false;
	if (number % DEC_ONE != 0 || number / DEC_ONE > PG_INT64_MAX || number / DEC_ONE < PG_INT64_MIN)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("\"%s\" of a breakdown is a whole number of at most 64 bits, not %s", field,
						dec_text(number))));
	*count = (int64) (number / DEC_ONE);
	return true;
}

/* Sets an entry from an object of the text form; returns false after a soft error. */
static bool
parse_entry(JsonbContainer *object, BreakdownEntry *entry, struct Node *escontext)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue value;
	KeyName found[BREAKDOWN_NAMES] = {0};
	struct varlena *usage = NULL;
	bool counted = false;

	memset(entry, 0, sizeof(*entry));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		char *field;
		int name = 0;

		if (token != WJB_KEY)
			continue;
		field = pnstrdup(value.val.string.val, value.val.string.len);
		(void) JsonbIteratorNext(&iterator, &value, true);
		while (name < BREAKDOWN_NAMES && strcmp(field, names[name]) != 0)
			name++;
		if (name < BREAKDOWN_NAMES)
		{
			if (value.type == jbvNull)
				continue;
			if (value.type != jbvString)
				ereturn(escontext, false,
						(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						 errmsg("\"%s\" of a breakdown is a string", field)));
			found[name].text = value.val.string.val;
			found[name].length = value.val.string.len;
		}
		else if (strcmp(field, "usage") == 0)
		{
			if (value.type != jbvBinary)
				ereturn(escontext, false,
						(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						 errmsg("\"usage\" of a breakdown is an object")));
			usage = usage_parse(JsonbToCString(NULL, value.val.binary.data, value.val.binary.len),
								escontext);
			if (usage == NULL)
				return false;
		}
		else if (strcmp(field, "events") == 0)
		{
			if (!parse_count(&value, field, &entry->events, escontext))
				return false;
			counted = true;
		}
		else if (strcmp(field, "unpriced_cost") == 0)
		{
			if (!parse_count(&value, field, &entry->unpriced_cost, escontext))
				return false;
		}
		else if (strcmp(field, "unpriced_credits") == 0)
		{
			if (!parse_count(&value, field, &entry->unpriced_credits, escontext))
				return false;
		}
		else if (strcmp(field, "cost") == 0)
		{
			if (!parse_number(&value, field, &entry->cost, escontext))
				return false;
		}
		else if (strcmp(field, "credits") == 0)
		{
			if (!parse_number(&value, field, &entry->credits, escontext))
				return false;
		}
		else
			ereturn(escontext, false,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("a breakdown has no \"%s\"", field),
					 errhint("An entry has item, action, variant, outcome, request_class, events, "
							 "usage, cost, credits, unpriced_cost and unpriced_credits.")));
	}
	if (usage == NULL || !counted)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("an entry of a breakdown has events and usage")));

	make_key(&entry->key, found);
	entry->usage = (const uint8 *) VARDATA_ANY(usage);
	entry->usage_length = (int) VARSIZE_ANY_EXHDR(usage);
	return true;
}

PG_FUNCTION_INFO_V1(meter_breakdown_in);
PG_FUNCTION_INFO_V1(meter_breakdown_out);
PG_FUNCTION_INFO_V1(meter_breakdown_recv);
PG_FUNCTION_INFO_V1(meter_breakdown_send);
PG_FUNCTION_INFO_V1(meter_breakdown_add);
PG_FUNCTION_INFO_V1(meter_breakdown_at_most);
PG_FUNCTION_INFO_V1(meter_breakdown_mentions);
PG_FUNCTION_INFO_V1(meter_breakdown_entries);

/* Returns the breakdown that a text says; NULL after a soft error. */
struct varlena *
breakdown_parse(char *text, struct Node *escontext)
{
	EntryList list = {0};
	Datum json;
	Jsonb *array;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;

	/* The parser behind it would answer with the depth of its stack. */
	if (json_is_deeper(text, JSON_DEPTH_MAX))
		ereturn(escontext, NULL,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("a breakdown is nested more than %d deep", JSON_DEPTH_MAX)));
	if (!input_jsonb(text, escontext, &json))
		return NULL;
	array = DatumGetJsonbP(json);
	if (!JB_ROOT_IS_ARRAY(array) || JB_ROOT_IS_SCALAR(array))
		ereturn(escontext, NULL,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type meter.breakdown: \"%s\"", shown(text)),
				 errdetail("It is an array of objects, such as "
						   "[{\"item\": \"openai/gpt-4o\", \"variant\": \"standard\", "
						   "\"events\": 2, \"usage\": {\"input_tokens\": 900}, "
						   "\"cost\": 0.00225}].")));
	iterator = JsonbIteratorInit(&array->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		BreakdownEntry entry;

		if (token != WJB_ELEM)
			continue;
		if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
			ereturn(escontext, NULL,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("an entry of a breakdown is an object: \"%s\"", shown(text))));
		if (!parse_entry(value.val.binary.data, &entry, escontext))
			return NULL;
		list_add(&list, &entry);
	}
	return list_write(&list, escontext);
}

/* Writes a field with a number other than zero. */
static void
print_amount(StringInfo out, const char *field, Dec amount)
{
	char buffer[DEC_BUFSIZE];

	if (amount == 0)
		return;
	dec_print(amount, buffer);
	appendStringInfo(out, ", \"%s\": %s", field, buffer);
}

/* Returns the text of a detoasted breakdown. */
char *
breakdown_print(const void *breakdown)
{
	StringInfoData out;
	BreakdownReader reader;
	BreakdownEntry entry;
	const char *before_entry = "{";

	initStringInfo(&out);
	appendStringInfoChar(&out, '[');
	breakdown_open(&reader, breakdown);
	while (breakdown_next(&reader, &entry))
	{
		struct varlena *usage = breakdown_usage(&entry);
		char *usage_text = usage_print(usage);

		appendStringInfoString(&out, before_entry);
		before_entry = ", {";
		print_key(&out, &entry.key);
		if (entry.key.bytes[0] != 0)
			appendStringInfoString(&out, ", ");
		appendStringInfo(&out, "\"events\": " INT64_FORMAT ", \"usage\": %s", entry.events,
						 usage_text);
		pfree(usage_text);
		pfree(usage);
		print_amount(&out, "cost", entry.cost);
		print_amount(&out, "credits", entry.credits);
		print_amount(&out, "unpriced_cost", dec_from_int64(entry.unpriced_cost));
		print_amount(&out, "unpriced_credits", dec_from_int64(entry.unpriced_credits));
		appendStringInfoChar(&out, '}');
	}
	appendStringInfoChar(&out, ']');
	return out.data;
}

/* Writes the wire form of a detoasted breakdown. */
void
breakdown_write_wire(StringInfo out, const void *breakdown)
{
	BreakdownReader reader;
	BreakdownEntry entry;
	uint32 count = 0;

	breakdown_open(&reader, breakdown);
	while (breakdown_next(&reader, &entry))
		count++;
	pq_sendbyte(out, WIRE_VERSION);
	pq_sendint32(out, count);
	breakdown_open(&reader, breakdown);
	while (breakdown_next(&reader, &entry))
	{
		const uint8 *p = entry.key.bytes + 1;

		pq_sendbyte(out, entry.key.bytes[0]);
		for (uint32 present = entry.key.bytes[0]; present != 0; present &= present - 1)
		{
			const char *text;
			int length;

			p = breakdown_read_name(p, &text, &length);
			send_counted_text(out, text, length);
		}
		pq_sendint64(out, entry.events);
		pq_sendint64(out, entry.unpriced_cost);
		pq_sendint64(out, entry.unpriced_credits);
		dec_send(out, entry.cost);
		dec_send(out, entry.credits);
		usage_write_wire(out, breakdown_usage(&entry));
	}
}

/* Reads the wire form of a breakdown. */
struct varlena *
breakdown_read_wire(StringInfo in)
{
	EntryList list = {0};
	uint32 count;

	wire_need(in, 5);
	if (pq_getmsgbyte(in) != WIRE_VERSION)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("external meter.breakdown has an unknown version")));
	count = pq_getmsgint(in, 4);
	for (; count > 0; count--)
	{
		BreakdownEntry entry;
		KeyName found[BREAKDOWN_NAMES] = {0};
		struct varlena *usage;
		uint32 present;

		CHECK_FOR_INTERRUPTS();
		wire_need(in, 1);
		present = (uint32) pq_getmsgbyte(in);
		if (present >= 1 << BREAKDOWN_NAMES)
			wire_refuse("breakdown", "A key has other names than it can have.");
		for (int name = 0; name < BREAKDOWN_NAMES; name++)
		{
			int length;

			if ((present & (1 << name)) == 0)
				continue;
			wire_need(in, 4);
			length = (int) pq_getmsgint(in, 4);
			if (length < 0)
				wire_refuse("breakdown", "A name has a length below zero.");
			wire_need(in, length);
			found[name].text = pq_getmsgtext(in, length, &found[name].length);
		}
		make_key(&entry.key, found);
		wire_need(in, 3 * sizeof(int64));
		entry.events = pq_getmsgint64(in);
		entry.unpriced_cost = pq_getmsgint64(in);
		entry.unpriced_credits = pq_getmsgint64(in);
		entry.cost = dec_recv(in);
		entry.credits = dec_recv(in);
		usage = usage_read_wire(in);
		entry.usage = (const uint8 *) VARDATA_ANY(usage);
		entry.usage_length = (int) VARSIZE_ANY_EXHDR(usage);
		list_add(&list, &entry);
	}
	return list_write(&list, NULL);
}

/* Reads a breakdown's text. */
Datum
meter_breakdown_in(PG_FUNCTION_ARGS)
{
	struct varlena *breakdown = breakdown_parse(PG_GETARG_CSTRING(0), fcinfo->context);

	if (breakdown == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(breakdown);
}

/* Returns a breakdown's text. */
Datum
meter_breakdown_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(breakdown_print(PG_GETARG_BREAKDOWN_PP(0)));
}

/* Reads a breakdown's wire form. */
Datum
meter_breakdown_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(breakdown_read_wire((StringInfo) PG_GETARG_POINTER(0)));
}

/* Returns a breakdown's wire form. */
Datum
meter_breakdown_send(PG_FUNCTION_ARGS)
{
	StringInfoData out;

	pq_begintypsend(&out);
	breakdown_write_wire(&out, PG_GETARG_BREAKDOWN_PP(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

/* Returns the sum of two breakdowns, key by key. */
Datum
meter_breakdown_add(PG_FUNCTION_ARGS)
{
	BreakdownReader readers[2];
	BreakdownEntry entries[2];
	bool there[2];
	Size room = 0;
	StringInfoData out;

	for (int i = 0; i < 2; i++)
	{
		breakdown_open(&readers[i], PG_GETARG_BREAKDOWN_PP(i));
		room += readers[i].end - readers[i].next;
		there[i] = breakdown_next(&readers[i], &entries[i]);
	}
	breakdown_begin(&out);
	enlargeStringInfo(&out, (int) room);
	while (there[0] || there[1])
	{
		int order = !there[0]	? 1
					: !there[1] ? -1
								: breakdown_compare(&entries[0].key, &entries[1].key);
		const BreakdownEntry *first = &entries[order > 0];

		if (order != 0)
			appendBinaryStringInfoNT(&out, (const char *) first->key.bytes,
									 first->usage + first->usage_length - first->key.bytes);
		else
		{
			BreakdownEntry sum = *first;
			UsageState *state = usage_state_for_units(breakdown_usage_reader(&entries[0]));
			struct varlena *usage;

			state = usage_state_add_units(state, breakdown_usage_reader(&entries[0]));
			state = usage_state_add_units(state, breakdown_usage_reader(&entries[1]));
			usage = usage_state_sum(state);
			event_sums_add_number(&sum.events, entries[1].events);
			event_sums_add_number(&sum.unpriced_cost, entries[1].unpriced_cost);
			event_sums_add_number(&sum.unpriced_credits, entries[1].unpriced_credits);
			sum.cost = dec_add(sum.cost, entries[1].cost);
			sum.credits = dec_add(sum.credits, entries[1].credits);
			sum.usage = (const uint8 *) VARDATA_ANY(usage);
			sum.usage_length = (int) VARSIZE_ANY_EXHDR(usage);
			breakdown_write(&out, &sum);
		}
		if (order <= 0)
			there[0] = breakdown_next(&readers[0], &entries[0]);
		if (order >= 0)
			there[1] = breakdown_next(&readers[1], &entries[1]);
	}
	PG_RETURN_POINTER(breakdown_end(&out));
}

/* Returns a breakdown of at most so many bytes, and NULL in place of a larger one. */
Datum
meter_breakdown_at_most(PG_FUNCTION_ARGS)
{
	if (toast_raw_datum_size(PG_GETARG_DATUM(0)) > (Size) Max(PG_GETARG_INT32(1), 0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* Returns whether an entry of a breakdown has an item or an action; one that is NULL is not asked for. */
Datum
meter_breakdown_mentions(PG_FUNCTION_ARGS)
{
	BreakdownReader reader;
	BreakdownEntry entry;
	struct varlena *asked[BREAKDOWN_ACTION + 1];

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	for (int name = 0; name <= BREAKDOWN_ACTION; name++)
		asked[name] = PG_ARGISNULL(1 + name) ? NULL : detoast_packed(PG_GETARG_DATUM(1 + name));
	breakdown_open(&reader, PG_GETARG_BREAKDOWN_PP(0));
	while (breakdown_next(&reader, &entry))
	{
		const uint8 *p = entry.key.bytes + 1;

		for (int name = 0; name <= BREAKDOWN_ACTION; name++)
			if (entry.key.bytes[0] & (1 << name))
			{
				const char *text;
				int length;

				p = breakdown_read_name(p, &text, &length);
				if (asked[name] != NULL && length == (int) VARSIZE_ANY_EXHDR(asked[name]) &&
					memcmp(text, VARDATA_ANY(asked[name]), length) == 0)
					PG_RETURN_BOOL(true);
			}
	}
	PG_RETURN_BOOL(false);
}

/* Returns the entries of a breakdown, a row each. */
Datum
meter_breakdown_entries(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	BreakdownReader *reader;
	BreakdownEntry entry;
	Datum values[COLUMNS];
	bool nulls[COLUMNS] = {0};
	const uint8 *p;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		call = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &call->tuple_desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "entries has no row type");
		call->tuple_desc = BlessTupleDesc(call->tuple_desc);
		call->user_fctx = reader = palloc(sizeof(BreakdownReader));
		breakdown_open(reader, PG_GETARG_BREAKDOWN_PP(0));
		MemoryContextSwitchTo(old);
	}
	call = SRF_PERCALL_SETUP();
	reader = call->user_fctx;
	if (!breakdown_next(reader, &entry))
		SRF_RETURN_DONE(call);

	p = entry.key.bytes + 1;
	for (int name = 0; name < BREAKDOWN_NAMES; name++)
	{
		const char *text;
		int length;

		nulls[name] = (entry.key.bytes[0] & (1 << name)) == 0;
		if (nulls[name])
			continue;
		p = breakdown_read_name(p, &text, &length);
		values[name] = PointerGetDatum(cstring_to_text_with_len(text, length));
	}
	values[COLUMN_EVENTS] = Int64GetDatum(entry.events);
	values[COLUMN_USAGE] = PointerGetDatum(breakdown_usage(&entry));
	values[COLUMN_COST] = dec_to_numeric(entry.cost);
	values[COLUMN_CREDITS] = dec_to_numeric(entry.credits);
	values[COLUMN_UNPRICED_COST] = Int64GetDatum(entry.unpriced_cost);
	values[COLUMN_UNPRICED_CREDITS] = Int64GetDatum(entry.unpriced_credits);
	SRF_RETURN_NEXT(call, HeapTupleGetDatum(heap_form_tuple(call->tuple_desc, values, nulls)));
}
