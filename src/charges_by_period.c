/*
 * charges_by_period.c: an aggregate that charges each billing period of a group.
 *
 * Grouping by customer and period makes the hash table as many times larger as there
 * are periods. This aggregate is grouped by the customer alone and keeps the
 * quantity of each period in its state, in one pass over events in any order; the
 * tariff is applied at the end, once a period.
 *
 * The state's bytes: a header that has all that every row is compared with, then the
 * buckets in order of time, then room for more, then the rule: anchor, length, tariff
 * and zone, which only the end looks at. A row reads the header and one bucket, which it finds
 * by dividing: periods are about equally long, so the guess is right or next to right
 * unless there are gaps. The zone's arithmetic is done once a bucket, not once a row.
 */
#include "period.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

#include "customer.h"
#include "tariff.h"
#include "unpack.h"

#define SUMS_VERSION 1
#define SUMS_FIRST_CAPACITY 4

/* The quantity of one period. */
typedef struct PeriodBucket
{
	TimestampTz lower;
	TimestampTz upper;
	DecHalves quantity;
} PeriodBucket;

typedef struct PeriodSums
{
	int32 vl_len_; /* varlena header (do not touch directly!) */
	uint8 version;
	bool anchor_is_date;
	uint16 zone_length;
	uint64 fingerprint; /* of all that a group's rows must share */
	uint64 customer;	/* of the customer, where the rule is out of a book; else zero */
	int32 count;
	int32 capacity;
	TimestampTz lower; /* of the first bucket */
	int64 length;	   /* of a bucket on average, so that a division finds it */
	PeriodBucket buckets[FLEXIBLE_ARRAY_MEMBER];
	/* SumsRule; Tariff; char zone_name[zone_length] */
} PeriodSums;

/* What the periods are counted from, behind the buckets. */
typedef struct SumsRule
{
	int64 anchor;
	Interval every;
} SumsRule;

StaticAssertDecl(offsetof(PeriodSums, buckets) % MAXIMUM_ALIGNOF == 0 &&
					 sizeof(PeriodBucket) % MAXIMUM_ALIGNOF == 0 &&
					 sizeof(SumsRule) % MAXIMUM_ALIGNOF == 0,
				 "buckets and the tariff behind them are aligned");

#define SUMS_MAX_BUCKETS \
	((int) ((MaxAllocSize - offsetof(PeriodSums, buckets)) / sizeof(PeriodBucket) / 2))

/* What a row says its group is charged by. */
typedef struct ChargeRule
{
	const Tariff *tariff;
	PeriodAnchor anchor;
	const Interval *every;
	const char *zone_name;
	int zone_length;
} ChargeRule;

/* What the functions keep from row to row. */
typedef struct ChargeCache
{
	PeriodCache *periods;
	TariffCache *tariff;
	UnpackCache *book;
	TupleDesc row;
	Oid row_type;
	TypeCacheEntry *range;
} ChargeCache;

static PeriodSums *sums_create(const ChargeRule *rule, uint64 customer, int capacity);
static bool book_find(Jsonb *book, const char *customer, int length, ChargeRule *rule);
static PeriodSums *sums_insert(PeriodSums *sums, int position, const PeriodBucket *bucket);
static int sums_search(const PeriodSums *sums, TimestampTz at);
pg_noreturn static void refuse_other_customer(void);
pg_noreturn static void refuse_other_rule(const PeriodSums *sums, const ChargeRule *rule);

static inline PeriodSums *
sums_of(Datum value)
{
	return (PeriodSums *) PG_DETOAST_DATUM(value);
}

static inline Size
sums_rule_offset(int capacity)
{
	return offsetof(PeriodSums, buckets) + (Size) capacity * sizeof(PeriodBucket);
}

static inline const Tariff *
sums_tariff(const PeriodSums *sums)
{
	return (const Tariff *) ((const char *) sums + sums_rule_offset(sums->capacity) +
							 sizeof(SumsRule));
}

static inline Size
sums_size(int capacity, Size tariff_size, Size zone_length)
{
	return sums_rule_offset(capacity) + sizeof(SumsRule) + tariff_size + zone_length;
}

/* The rule that a state keeps. */
static ChargeRule
sums_rule(const PeriodSums *sums)
{
	const SumsRule *kept =
		(const SumsRule *) ((const char *) sums + sums_rule_offset(sums->capacity));
	ChargeRule rule;

	rule.tariff = sums_tariff(sums);
	rule.anchor.value = kept->anchor;
	rule.anchor.is_date = sums->anchor_is_date;
	rule.every = &kept->every;
	rule.zone_name = (const char *) rule.tariff + VARSIZE(rule.tariff);
	rule.zone_length = sums->zone_length;
	return rule;
}

static void
sums_check(const PeriodSums *sums)
{
#ifdef USE_ASSERT_CHECKING
	Assert(sums->count >= 0 && sums->count <= sums->capacity);
	Assert(VARSIZE(sums) ==
		   sums_size(sums->capacity, VARSIZE(sums_tariff(sums)), sums->zone_length));
	Assert(sums->count == 0 || sums->lower == sums->buckets[0].lower);
	for (int i = 0; i < sums->count; i++)
	{
		Assert(sums->buckets[i].lower < sums->buckets[i].upper);
		Assert(i == 0 || sums->buckets[i - 1].upper <= sums->buckets[i].lower);
	}
#endif
}

static inline ChargeCache *
charge_cache(FunctionCallInfo fcinfo)
{
	ChargeCache *cache = fcinfo->flinfo->fn_extra;

	if (unlikely(cache == NULL))
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(ChargeCache));
		cache->periods = period_cache_create(fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = cache;
	}
	return cache;
}

/*
 * Hashes all that the rows of a group must share into one word, so that a row is
 * compared with its state without reading the state's rule.
 */
static inline uint64
fingerprint(const ChargeRule *rule)
{
	uint64 first;
	uint64 last;
	uint64 hash;

	zone_words(rule->zone_name, rule->zone_length, &first, &last);
	hash =
		(uint64) rule->anchor.value * UINT64CONST(0x9E3779B97F4A7C15) +
		(uint64) rule->every->time * UINT64CONST(0xBF58476D1CE4E5B9) +
		((uint64) (uint32) rule->every->day << 32 | (uint32) rule->every->month) *
			UINT64CONST(0x94D049BB133111EB) +
		((uint64) rule->tariff->hash << 32 | VARSIZE(rule->tariff)) *
			UINT64CONST(0xD6E8FEB86659FD93) +
		first * UINT64CONST(0xA0761D6478BD642F) + last * UINT64CONST(0xE7037ED1A0B428DB) +
		((uint64) rule->zone_length << 1 | rule->anchor.is_date) * UINT64CONST(0x8EBC6AF09C88C6E3);
	for (int i = 8; unlikely(i < rule->zone_length - 8); i += 8)
	{
		memcpy(&last, rule->zone_name + Min(i, rule->zone_length - 8), 8);
		hash = (hash ^ hash >> 32 ^ last) * UINT64CONST(0x589965CC75374CC3);
	}
	return hash;
}

static inline void
bucket_add(PeriodBucket *bucket, Dec quantity)
{
	dec_store(&bucket->quantity, dec_add(dec_load(&bucket->quantity), quantity));
}

/* Returns the bucket that holds an instant, or NULL. */
static inline PeriodBucket *
sums_find(PeriodSums *sums, TimestampTz at)
{
	int guess;
	PeriodBucket *bucket;

	if (unlikely(at < sums->lower || sums->count == 0))
		return NULL;
	guess =
		(int) Min((uint64) (at - sums->lower) / (uint64) sums->length, (uint64) sums->count - 1);
	bucket = &sums->buckets[guess];
	if (at < bucket->lower)
	{
		/* the first bucket is not above, so there is one before */
		bucket--;
	}
	else if (at >= bucket->upper && guess + 1 < sums->count)
		bucket++;
	if (likely(at >= bucket->lower && at < bucket->upper))
		return bucket;
	guess = sums_search(sums, at);
	bucket = &sums->buckets[guess];
	return guess < sums->count && at >= bucket->lower ? bucket : NULL;
}

/* Returns the position of the first bucket that ends after an instant. */
static int
sums_search(const PeriodSums *sums, TimestampTz at)
{
	int low = 0;
	int high = sums->count;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (sums->buckets[middle].upper <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
sums_measure(PeriodSums *sums)
{
	sums->lower = sums->buckets[0].lower;
	sums->length = (sums->buckets[sums->count - 1].upper - sums->lower) / sums->count;
	if (sums->length <= 0)
		sums->length = 1;
}

/* Returns a state without buckets. */
static PeriodSums *
sums_create(const ChargeRule *rule, uint64 customer, int capacity)
{
	Size tariff_size = VARSIZE(rule->tariff);
	Size size = sums_size(capacity, tariff_size, rule->zone_length);
	PeriodSums *sums = palloc0(size);
	SumsRule *kept;

	SET_VARSIZE(sums, size);
	sums->version = SUMS_VERSION;
	sums->anchor_is_date = rule->anchor.is_date;
	sums->zone_length = (uint16) rule->zone_length;
	sums->fingerprint = fingerprint(rule);
	sums->customer = customer;
	sums->capacity = capacity;
	kept = (SumsRule *) ((char *) sums + sums_rule_offset(capacity));
	kept->anchor = rule->anchor.value;
	kept->every = *rule->every;
	memcpy(kept + 1, rule->tariff, tariff_size);
	memcpy((char *) (kept + 1) + tariff_size, rule->zone_name, rule->zone_length);
	return sums;
}

/*
 * Inserts a bucket where its position says. Returns the state, or a new one twice as
 * large in the current context, which the executor puts in the old one's place.
 */
static PeriodSums *
sums_insert(PeriodSums *sums, int position, const PeriodBucket *bucket)
{
	if (sums->count >= sums->capacity)
	{
		ChargeRule rule = sums_rule(sums);
		PeriodSums *larger;

		if (sums->capacity >= SUMS_MAX_BUCKETS)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("a group has more than %d periods", SUMS_MAX_BUCKETS),
							errhint("Take longer periods.")));
		larger = sums_create(&rule, sums->customer, Min(2 * sums->capacity, SUMS_MAX_BUCKETS));
		larger->count = sums->count;
		memcpy(larger->buckets, sums->buckets, sums->count * sizeof(PeriodBucket));
		sums = larger;
	}
	memmove(&sums->buckets[position + 1], &sums->buckets[position],
			(sums->count - position) * sizeof(PeriodBucket));
	sums->buckets[position] = *bucket;
	sums->count++;
	sums_measure(sums);
	sums_check(sums);
	return sums;
}

static void
refuse_other_rule(const PeriodSums *sums, const ChargeRule *rule)
{
	ChargeRule kept = sums_rule(sums);
	const char *what;

	if (!tariff_same(kept.tariff, rule->tariff))
		what = "tariff";
	else if (kept.anchor.value != rule->anchor.value || kept.anchor.is_date != rule->anchor.is_date)
		what = "anchor";
	else if (!interval_same(kept.every, rule->every))
		what = "every";
	else
		what = "timezone";
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("charges_by_period has more than one %s in a group", what),
					errdetail("A group is charged by one tariff, and its periods are counted from "
							  "one anchor, with one length, in one zone."),
					errhint("Group by %s too.", what)));
}

/* Adds a quantity to the period of a moment; a row that lacks anything is left out. */
static pg_attribute_always_inline Datum
accumulate(FunctionCallInfo fcinfo, bool anchor_is_date, Oid quantity_type)
{
	ChargeCache *cache;
	ChargeRule rule;
	PeriodSums *sums = NULL;
	PeriodBucket *bucket;
	PeriodBucket fresh;
	TimestampTz at;
	Dec quantity;
	text *zone_name;

	if (unlikely(PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3) || PG_ARGISNULL(4) ||
				 PG_ARGISNULL(5) || PG_ARGISNULL(6)))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}

	cache = charge_cache(fcinfo);
	rule.tariff = tariff_fetch(PG_GETARG_DATUM(1), &cache->tariff, fcinfo->flinfo->fn_mcxt);
	at = PG_GETARG_TIMESTAMPTZ(2);
	if (quantity_type == INT4OID)
		quantity = dec_from_int64(PG_GETARG_INT32(3));
	else if (quantity_type == INT8OID)
		quantity = dec_from_int64(PG_GETARG_INT64(3));
	else
		quantity = dec_from_numeric(PG_GETARG_DATUM(3), "quantity");
	rule.anchor.is_date = anchor_is_date;
	rule.anchor.value = anchor_is_date ? (int64) PG_GETARG_DATEADT(4) : PG_GETARG_TIMESTAMPTZ(4);
	rule.every = PG_GETARG_INTERVAL_P(5);
	zone_name = detoast_packed(PG_GETARG_DATUM(6));
	rule.zone_name = VARDATA_ANY(zone_name);
	rule.zone_length = VARSIZE_ANY_EXHDR(zone_name);

	if (likely(!PG_ARGISNULL(0)))
	{
		sums = sums_of(PG_GETARG_DATUM(0));
		if (unlikely(sums->fingerprint != fingerprint(&rule)))
			refuse_other_rule(sums, &rule);
		if (unlikely(!AggCheckCallContext(fcinfo, NULL)))
			sums = (PeriodSums *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
		bucket = sums_find(sums, at);
		if (likely(bucket != NULL))
		{
			bucket_add(bucket, quantity);
			PG_RETURN_POINTER(sums);
		}
	}

	/* a period that the group has not seen, or a group without a state */
	period_bounds(
		period_rule_get(cache->periods, rule.anchor, rule.every, rule.zone_name, rule.zone_length),
		at, &fresh.lower, &fresh.upper);
	if (sums == NULL)
		sums = sums_create(&rule, 0, SUMS_FIRST_CAPACITY);
	dec_store(&fresh.quantity, quantity);
	PG_RETURN_POINTER(sums_insert(sums, sums_search(sums, at), &fresh));
}

/* of charges_by_period(tariff, timestamptz, numeric, timestamptz, interval, text) */
PG_FUNCTION_INFO_V1(meter_charges_by_period_accum);
Datum
meter_charges_by_period_accum(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, false, NUMERICOID);
}

PG_FUNCTION_INFO_V1(meter_charges_by_period_accum_int8);
Datum
meter_charges_by_period_accum_int8(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, false, INT8OID);
}

PG_FUNCTION_INFO_V1(meter_charges_by_period_accum_int4);
Datum
meter_charges_by_period_accum_int4(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, false, INT4OID);
}

/* of charges_by_period(tariff, timestamptz, numeric, date, interval, text) */
PG_FUNCTION_INFO_V1(meter_charges_by_period_accum_date);
Datum
meter_charges_by_period_accum_date(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, true, NUMERICOID);
}

PG_FUNCTION_INFO_V1(meter_charges_by_period_accum_date_int8);
Datum
meter_charges_by_period_accum_date_int8(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, true, INT8OID);
}

PG_FUNCTION_INFO_V1(meter_charges_by_period_accum_date_int4);
Datum
meter_charges_by_period_accum_date_int4(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, true, INT4OID);
}

static void
refuse_other_customer(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("charges_by_period has more than one customer in a group"),
					errdetail("A group is charged by the rule that the book has for its customer."),
					errhint("Group by the customer.")));
}

/*
 * Adds a quantity to the period of a moment, by the rule that a book has for the row's
 * customer (state, book, customer, at, quantity, every). The book is looked at for a
 * group's first row only. A row that lacks anything is left out, and so are the rows of
 * a customer that is not in the book: its group has no state, and its result is NULL.
 */
static pg_attribute_always_inline Datum
accumulate_by_book(FunctionCallInfo fcinfo, Oid customer_type, Oid quantity_type)
{
	PeriodSums *sums = NULL;
	PeriodBucket *bucket;
	PeriodBucket fresh;
	ChargeCache *cache;
	ChargeRule rule;
	TimestampTz at;
	Dec quantity;
	uint64 customer;

	if (unlikely(PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3) || PG_ARGISNULL(4) ||
				 PG_ARGISNULL(5)))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}

	if (customer_type == INT8OID)
		customer = customer_word_of_id(PG_GETARG_INT64(2));
	else
	{
		struct varlena *name = detoast_packed(PG_GETARG_DATUM(2));

		customer = customer_word(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	}
	at = PG_GETARG_TIMESTAMPTZ(3);
	if (quantity_type == INT4OID)
		quantity = dec_from_int64(PG_GETARG_INT32(4));
	else if (quantity_type == INT8OID)
		quantity = dec_from_int64(PG_GETARG_INT64(4));
	else
		quantity = dec_from_numeric(PG_GETARG_DATUM(4), "quantity");

	if (likely(!PG_ARGISNULL(0)))
	{
		sums = sums_of(PG_GETARG_DATUM(0));
		if (unlikely(sums->customer != customer))
			refuse_other_customer();
		if (unlikely(!AggCheckCallContext(fcinfo, NULL)))
			sums = (PeriodSums *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
		bucket = sums_find(sums, at);
		if (likely(bucket != NULL))
		{
			bucket_add(bucket, quantity);
			PG_RETURN_POINTER(sums);
		}
		rule = sums_rule(sums);
		if (!interval_same(rule.every, PG_GETARG_INTERVAL_P(5)))
		{
			rule.every = PG_GETARG_INTERVAL_P(5);
			refuse_other_rule(sums, &rule);
		}
	}
	else
	{
		char digits[MAXINT8LEN + 1];
		const char *name = digits;
		int length;

		if (customer_type == INT8OID)
			length = pg_lltoa(PG_GETARG_INT64(2), digits);
		else
		{
			struct varlena *text = detoast_packed(PG_GETARG_DATUM(2));

			name = VARDATA_ANY(text);
			length = VARSIZE_ANY_EXHDR(text);
		}
		rule.every = PG_GETARG_INTERVAL_P(5);
		cache = charge_cache(fcinfo);
		if (!book_find(
				(Jsonb *) value_fetch(PG_GETARG_DATUM(1), &cache->book, fcinfo->flinfo->fn_mcxt),
				name, length, &rule))
			PG_RETURN_NULL();
	}

	/* a period that the group has not seen, or a group without a state */
	cache = charge_cache(fcinfo);
	period_bounds(
		period_rule_get(cache->periods, rule.anchor, rule.every, rule.zone_name, rule.zone_length),
		at, &fresh.lower, &fresh.upper);
	if (sums == NULL)
		sums = sums_create(&rule, customer, SUMS_FIRST_CAPACITY);
	dec_store(&fresh.quantity, quantity);
	PG_RETURN_POINTER(sums_insert(sums, sums_search(sums, at), &fresh));
}

/* Returns a text field of a book's entry, zero-terminated. */
static char *
book_field(JsonbContainer *entry, const char *field, const char *customer, int length)
{
	JsonbValue value;

	if (getKeyJsonValueFromContainer(entry, field, (int) strlen(field), &value) == NULL ||
		value.type != jbvString)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the book has no text \"%s\" for customer \"%.*s\"", field,
							   pg_mbcliplen(customer, length, 80), customer),
						errhint("An entry is {\"tariff\": \"at 0.08\", \"anchor\": \"2026-01-31\", "
								"\"timezone\": \"Europe/Berlin\"}.")));
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* Sets the rule that a book has for a customer, but for its length; false for none. */
static bool
book_find(Jsonb *book, const char *customer, int length, ChargeRule *rule)
{
	JsonbValue entry;
	const char *anchor;
	const char *p;
	int year;
	int month;
	int day;

	if (!JB_ROOT_IS_OBJECT(book))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a book of charge rules is a JSON object with a key a customer"),
						errhint("Make it with jsonb_object_agg(customer, "
								"jsonb_build_object('tariff', tariff, 'anchor', anchor, "
								"'timezone', timezone)).")));
	if (getKeyJsonValueFromContainer(&book->root, customer, length, &entry) == NULL)
		return false;
	if (entry.type != jbvBinary || !JsonContainerIsObject(entry.val.binary.data))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the book's entry for customer \"%.*s\" is not a JSON object",
							   pg_mbcliplen(customer, length, 80), customer)));

	rule->tariff =
		tariff_from_text(book_field(entry.val.binary.data, "tariff", customer, length), NULL);
	rule->zone_name = book_field(entry.val.binary.data, "timezone", customer, length);
	rule->zone_length = (int) strlen(rule->zone_name);
	anchor = book_field(entry.val.binary.data, "anchor", customer, length);
	p = anchor;
	if (!parse_digits(&p, 4, 6, &year) || *p++ != '-' || !parse_digits(&p, 2, 2, &month) ||
		*p++ != '-' || !parse_digits(&p, 2, 2, &day) || *p != '\0' || year < 1 || month < 1 ||
		month > MONTHS_PER_YEAR || day < 1 || day > day_tab[isleap(year)][month - 1] ||
		!IS_VALID_JULIAN(year, month, day))
		ereport(ERROR, (errcode(ERRCODE_INVALID_DATETIME_FORMAT),
						errmsg("anchor \"%s\" of customer \"%.*s\" is not a date", anchor,
							   pg_mbcliplen(customer, length, 80), customer),
						errhint("Write it as 2026-01-31.")));
	rule->anchor.is_date = true;
	rule->anchor.value = date2j(year, month, day) - POSTGRES_EPOCH_JDATE;
	return true;
}

#define BY_BOOK(name, customer_type, quantity_type)                      \
	PG_FUNCTION_INFO_V1(name);                                           \
	Datum name(PG_FUNCTION_ARGS)                                         \
	{                                                                    \
		return accumulate_by_book(fcinfo, customer_type, quantity_type); \
	}

BY_BOOK(meter_charges_by_book_accum, TEXTOID, NUMERICOID)
BY_BOOK(meter_charges_by_book_accum_int8, TEXTOID, INT8OID)
BY_BOOK(meter_charges_by_book_accum_int4, TEXTOID, INT4OID)
BY_BOOK(meter_charges_by_book_accum_id, INT8OID, NUMERICOID)
BY_BOOK(meter_charges_by_book_accum_id_int8, INT8OID, INT8OID)
BY_BOOK(meter_charges_by_book_accum_id_int4, INT8OID, INT4OID)

/* Adds a state's periods to another's. */
PG_FUNCTION_INFO_V1(meter_charges_by_period_combine);
Datum
meter_charges_by_period_combine(PG_FUNCTION_ARGS)
{
	PeriodSums *sums;
	PeriodSums *other;
	ChargeRule rule;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
			PG_RETURN_NULL();
		/* one that was stored is unpacked here, once */
		PG_RETURN_POINTER(sums_of(PG_ARGISNULL(0) ? PG_GETARG_DATUM(1) : PG_GETARG_DATUM(0)));
	}
	other = sums_of(PG_GETARG_DATUM(1));
	rule = sums_rule(other);
	sums = AggCheckCallContext(fcinfo, NULL)
			   ? sums_of(PG_GETARG_DATUM(0))
			   : (PeriodSums *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
	if (sums->customer != other->customer)
		refuse_other_customer();
	if (sums->fingerprint != other->fingerprint)
		refuse_other_rule(sums, &rule);
	for (int i = 0; i < other->count; i++)
	{
		const PeriodBucket *from = &other->buckets[i];
		int position = sums_search(sums, from->lower);
		PeriodBucket *bucket = &sums->buckets[position];

		if (position < sums->count && bucket->lower == from->lower && bucket->upper == from->upper)
			bucket_add(bucket, dec_load(&from->quantity));
		else if (position < sums->count && bucket->lower < from->upper)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("two states of charges_by_period have different periods"),
							errdetail("They were made by different versions of the tz database."),
							errhint("Make them again from their rows.")));
		else
			sums = sums_insert(sums, position, from);
	}
	PG_RETURN_POINTER(sums);
}

/* Returns an array with a row a period. */
PG_FUNCTION_INFO_V1(meter_charges_by_period_final);
Datum
meter_charges_by_period_final(PG_FUNCTION_ARGS)
{
	PeriodSums *sums = sums_of(PG_GETARG_DATUM(0));
	const Tariff *tariff = sums_tariff(sums);
	ChargeCache *cache = charge_cache(fcinfo);
	Datum *rows = palloc(Max(sums->count, 1) * sizeof(Datum));

	if (cache->row == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		cache->row_type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
		cache->range = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
		cache->row = lookup_rowtype_tupdesc_copy(cache->row_type, -1);
		MemoryContextSwitchTo(old);
	}
	for (int i = 0; i < sums->count; i++)
	{
		const PeriodBucket *bucket = &sums->buckets[i];
		Dec quantity = dec_load(&bucket->quantity);
		RangeBound lower = {
			.val = TimestampTzGetDatum(bucket->lower), .inclusive = true, .lower = true};
		RangeBound upper = {.val = TimestampTzGetDatum(bucket->upper)};
		Datum values[4];
		bool nulls[4] = {false};

		if (quantity < 0)
		{
			char digits[DEC_BUFSIZE];

			dec_print(quantity, digits);
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
							errmsg("quantity %s is negative", digits),
							errdetail("It is that of the period from %s to %s.",
									  pstrdup(timestamptz_to_str(bucket->lower)),
									  pstrdup(timestamptz_to_str(bucket->upper))),
							errhint("A charge has no negative quantity: give back what was charged "
									"before, as the difference of two charges.")));
		}
		values[0] = RangeTypePGetDatum(meter_make_range(cache->range, &lower, &upper, false));
		values[1] = dec_to_numeric(quantity);
		values[2] = dec_to_numeric(tariff_overage(tariff, quantity));
		values[3] = dec_to_numeric(tariff_charge(tariff, quantity));
		rows[i] = HeapTupleGetDatum(heap_form_tuple(cache->row, values, nulls));
	}
	PG_RETURN_ARRAYTYPE_P(
		construct_array(rows, sums->count, cache->row_type, -1, false, TYPALIGN_DOUBLE));
}

/* Writes a state field by field, a version byte first. */
static void
sums_write(StringInfo buffer, const PeriodSums *sums)
{
	ChargeRule rule = sums_rule(sums);

	pq_sendbyte(buffer, SUMS_VERSION);
	pq_sendint64(buffer, sums->customer);
	pq_sendbyte(buffer, rule.anchor.is_date ? 1 : 0);
	pq_sendint64(buffer, rule.anchor.value);
	pq_sendint64(buffer, rule.every->time);
	pq_sendint32(buffer, rule.every->day);
	pq_sendint32(buffer, rule.every->month);
	pq_sendint32(buffer, rule.zone_length);
	pq_sendbytes(buffer, rule.zone_name, rule.zone_length);
	tariff_write(buffer, rule.tariff);
	pq_sendint32(buffer, sums->count);
	for (int i = 0; i < sums->count; i++)
	{
		pq_sendint64(buffer, sums->buckets[i].lower);
		pq_sendint64(buffer, sums->buckets[i].upper);
		dec_send(buffer, dec_load(&sums->buckets[i].quantity));
	}
}

/*
 * Reads what sums_write wrote. The periods are those of the tz database that they
 * were counted with, so they are only checked to be periods, in order.
 */
static PeriodSums *
sums_read(FunctionCallInfo fcinfo, StringInfo buffer)
{
	ChargeCache *cache = charge_cache(fcinfo);
	ChargeRule rule;
	Interval every;
	PeriodSums *sums;
	uint64 customer;
	int anchor_is_date;
	int count;

	wire_need(buffer, 1);
	if (pq_getmsgbyte(buffer) != SUMS_VERSION)
		wire_refuse("meter.period_sums", "The version of the format is not known.");
	wire_need(buffer, 37);
	customer = (uint64) pq_getmsgint64(buffer);
	anchor_is_date = pq_getmsgbyte(buffer);
	if (anchor_is_date > 1)
		wire_refuse("meter.period_sums", "The anchor is neither a date nor an instant.");
	rule.anchor.is_date = anchor_is_date == 1;
	rule.anchor.value = pq_getmsgint64(buffer);
	if (rule.anchor.is_date ? !IS_VALID_DATE(rule.anchor.value)
							: !IS_VALID_TIMESTAMP(rule.anchor.value))
		wire_refuse("meter.period_sums", "The anchor is out of range.");
	every.time = pq_getmsgint64(buffer);
	every.day = (int32) pq_getmsgint(buffer, 4);
	every.month = (int32) pq_getmsgint(buffer, 4);
	rule.every = &every;
	rule.zone_length = (int32) pq_getmsgint(buffer, 4);
	if (rule.zone_length < 1 || rule.zone_length > TZ_STRLEN_MAX)
		wire_refuse("meter.period_sums", "The zone has no name.");
	wire_need(buffer, rule.zone_length);
	rule.zone_name = pq_getmsgbytes(buffer, rule.zone_length);
	for (int i = 0; i < rule.zone_length; i++)
		if ((unsigned char) rule.zone_name[i] <= ' ' || (unsigned char) rule.zone_name[i] >= 0x7F)
			wire_refuse("meter.period_sums", "The zone's name is no name.");
	/* refuses a length that is none, and a zone that is not tzdata's */
	(void) period_rule_get(cache->periods, rule.anchor, rule.every, rule.zone_name,
						   rule.zone_length);
	rule.tariff = tariff_read(buffer);

	wire_need(buffer, 4);
	count = (int32) pq_getmsgint(buffer, 4);
	if (count < 1 || count > (buffer->len - buffer->cursor) / 32)
		wire_refuse("meter.period_sums", "The number of periods does not fit their bytes.");
	sums = sums_create(&rule, customer, Max(count, SUMS_FIRST_CAPACITY));
	for (int i = 0; i < count; i++)
	{
		PeriodBucket *bucket = &sums->buckets[i];

		bucket->lower = pq_getmsgint64(buffer);
		bucket->upper = pq_getmsgint64(buffer);
		dec_store(&bucket->quantity, dec_recv(buffer));
		if (!IS_VALID_TIMESTAMP(bucket->lower) || !IS_VALID_TIMESTAMP(bucket->upper) ||
			bucket->lower >= bucket->upper || (i > 0 && bucket[-1].upper > bucket->lower))
			wire_refuse("meter.period_sums", "The periods are not in order.");
	}
	sums->count = count;
	sums_measure(sums);
	sums_check(sums);
	return sums;
}

PG_FUNCTION_INFO_V1(meter_period_sums_send);
Datum
meter_period_sums_send(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	sums_write(&buffer, sums_of(PG_GETARG_DATUM(0)));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

PG_FUNCTION_INFO_V1(meter_period_sums_recv);
Datum
meter_period_sums_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(sums_read(fcinfo, (StringInfo) PG_GETARG_POINTER(0)));
}

/* The text form is the binary form in hexadecimal digits. */
PG_FUNCTION_INFO_V1(meter_period_sums_out);
Datum
meter_period_sums_out(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	initStringInfo(&buffer);
	sums_write(&buffer, sums_of(PG_GETARG_DATUM(0)));
	PG_RETURN_CSTRING(wire_to_hex(&buffer));
}

PG_FUNCTION_INFO_V1(meter_period_sums_in);
Datum
meter_period_sums_in(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;
	PeriodSums *sums;

	wire_from_hex(PG_GETARG_CSTRING(0), &buffer);
	sums = sums_read(fcinfo, &buffer);
	if (buffer.cursor != buffer.len)
		wire_refuse("meter.period_sums", "There are bytes behind its end.");
	PG_RETURN_POINTER(sums);
}
