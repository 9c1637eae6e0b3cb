/*
 * share.c: splitting an amount without losing any of it, and how unequal shares are.
 *
 * allocate is a window function that gives each row of its partition its part of a
 * total by the largest remainder: each row gets its share rounded down, and the rows
 * whose share lost most get one smallest unit more, until the total is spent. All
 * shares are computed at the partition's first row, with one sort.
 *
 * gini and top_share are aggregates that must see all values at once. Their state
 * keeps them in the order of arrival; the final function sorts a copy. Sums there
 * are kept in 192 bits, so that no value that fits makes a statistic that does not.
 */
#include "decimal.h"

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "windowapi.h"

#define VALUES_VERSION 1
#define VALUES_FIRST_CAPACITY 8

/* How many rows' weights are worked out before what they needed is let go. */
#define ROWS_AT_ONCE 128

/* No Dec is this: the row has no weight and no share. */
#define NO_SHARE ((Dec) ((uint128) 1 << 127))

/* The shares of a partition, by row. */
typedef struct Allocation
{
	bool computed;
	bool total_is_null;
	Dec total;
	int digits;
	Dec *shares;
} Allocation;

/* What a row's share lost when it was rounded down. */
typedef struct Remainder
{
	Dec rest;
	int64 row;
} Remainder;

/* The state of gini and top_share: all values. */
typedef struct ValueList
{
	int32 vl_len_; /* varlena header (do not touch directly!) */
	uint8 version;
	uint8 reserved[3];
	DecHalves fraction; /* of top_share; zero in a gini */
	int32 count;
	int32 capacity;
	DecHalves values[FLEXIBLE_ARRAY_MEMBER];
} ValueList;

#define VALUES_MAX ((int) ((MaxAllocSize - offsetof(ValueList, values)) / sizeof(DecHalves)))

/* A sum of up to 2^26 products of a Dec and such a count: high * 2^64 + low. */
typedef struct Total
{
	int128 high;
	int128 low; /* below 2^64 where normal */
} Total;

static void allocation_compute(Allocation *a, WindowObject window, MemoryContext context);
static int compare_remainders(const void *a, const void *b);
static int compare_values(const void *a, const void *b);
static ValueList *values_create(int capacity, Dec fraction);

static void
refuse_total(const Allocation *a)
{
	char digits[DEC_BUFSIZE];

	dec_print(a->total, digits);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("total %s has more than %d decimal digits", digits, a->digits),
			 errdetail("Shares of so many digits could not add up to it."),
			 errhint("Round the total first, as with round_money, or allocate more digits.")));
}

/* Returns the row's share of the total. */
static Datum
allocate(FunctionCallInfo fcinfo, bool has_digits)
{
	WindowObject window = PG_WINDOW_OBJECT();
	Allocation *a = WinGetPartitionLocalMemory(window, sizeof(Allocation));
	Allocation row = {.digits = DEC_DIGITS_FRACTION};
	Datum value;
	bool isnull;
	Dec share;

	value = WinGetFuncArgCurrent(window, 0, &row.total_is_null);
	if (!row.total_is_null)
		row.total = dec_from_numeric(value, "total");
	if (has_digits)
	{
		value = WinGetFuncArgCurrent(window, 2, &isnull);
		row.digits = isnull ? -1 : DatumGetInt32(value);
		if (row.digits < 0 || row.digits > DEC_DIGITS_FRACTION)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							isnull ? errmsg("digits is null")
								   : errmsg("an amount cannot have %d decimal digits", row.digits),
							errdetail("Amounts have 0 to 12 decimal digits.")));
	}

	if (!a->computed)
	{
		*a = row;
		if (!a->total_is_null)
			allocation_compute(a, window, GetMemoryChunkContext(a));
		a->computed = true;
	}
	else if (a->total != row.total || a->total_is_null != row.total_is_null ||
			 a->digits != row.digits)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("allocate has more than one total in a partition"),
				 errdetail("One total, to one number of digits, is split over a partition's rows."),
				 errhint("PARTITION BY what has the total.")));
	if (a->total_is_null)
		PG_RETURN_NULL();
	share = a->shares[WinGetCurrentPosition(window)];
	if (share == NO_SHARE)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(dec_to_numeric(share));
}

PG_FUNCTION_INFO_V1(meter_allocate);
Datum
meter_allocate(PG_FUNCTION_ARGS)
{
	return allocate(fcinfo, false);
}

PG_FUNCTION_INFO_V1(meter_allocate_digits);
Datum
meter_allocate_digits(PG_FUNCTION_ARGS)
{
	return allocate(fcinfo, true);
}

/* Computes the shares of all rows of the window's partition. */
static void
allocation_compute(Allocation *a, WindowObject window, MemoryContext context)
{
	int64 nrows = WinGetPartitionRowCount(window);
	Dec *shares = MemoryContextAllocHuge(context, nrows * sizeof(Dec));
	Remainder *remainders = MemoryContextAllocHuge(context, nrows * sizeof(Remainder));
	int64 nremainders = 0;
	Dec weights = 0;
	Dec unit = 1;
	Dec units;
	Dec left;
	MemoryContext scratch;
	MemoryContext old;

	for (int i = a->digits; i < DEC_DIGITS_FRACTION; i++)
		unit *= 10;
	if (a->total % unit != 0)
		refuse_total(a);
	units = dec_abs(a->total) / unit;

	/* the weights of all rows are worked out within one row, which would keep what that needs */
	scratch = AllocSetContextCreate(CurrentMemoryContext, "meter weights", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(scratch);
	for (int64 i = 0; i < nrows; i++)
	{
		bool isnull;
		bool isout;
		Datum value;

		CHECK_FOR_INTERRUPTS();
		if (i % ROWS_AT_ONCE == 0)
			MemoryContextReset(scratch);
		value =
			WinGetFuncArgInPartition(window, 1, (int) i, WINDOW_SEEK_HEAD, false, &isnull, &isout);
		Assert(!isout);
		shares[i] = isnull ? NO_SHARE : dec_from_numeric(value, "weight");
		if (isnull)
			continue;
		if (shares[i] < 0)
		{
			char digits[DEC_BUFSIZE];

			dec_print(shares[i], digits);
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("weight %s is negative", digits),
							errdetail("A total is split by weights of zero and above.")));
		}
		weights = dec_add(weights, shares[i]);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	if (weights == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("all weights of a partition are zero"),
						errdetail("Nothing says how the total is split."),
						errhint("Weigh every row 1 to split it evenly.")));

	left = units;
	for (int64 i = 0; i < nrows; i++)
	{
		Dec rest;

		if (shares[i] == NO_SHARE)
			continue;
		shares[i] = dec_share(units, shares[i], weights, &rest);
		left -= shares[i];
		if (rest != 0)
		{
			remainders[nremainders].rest = rest;
			remainders[nremainders++].row = i;
		}
	}
	/* what is left is the sum of the rests over the weights, so less than there are rests */
	Assert(left >= 0 && left <= nremainders);
	if (left > 0)
		qsort(remainders, nremainders, sizeof(Remainder), compare_remainders);
	for (int64 i = 0; i < (int64) left; i++)
		shares[remainders[i].row]++;
	for (int64 i = 0; i < nrows; i++)
		if (shares[i] != NO_SHARE)
			shares[i] *= a->total < 0 ? -unit : unit;
	pfree(remainders);
	a->shares = shares;
}

/* The largest first; of equal ones, the earlier row. */
static int
compare_remainders(const void *a, const void *b)
{
	const Remainder *x = a;
	const Remainder *y = b;

	if (x->rest != y->rest)
		return x->rest > y->rest ? -1 : 1;
	return x->row < y->row ? -1 : 1;
}

static inline ValueList *
values_of(Datum value)
{
	return (ValueList *) PG_DETOAST_DATUM(value);
}

static inline Size
values_size(int capacity)
{
	return offsetof(ValueList, values) + (Size) capacity * sizeof(DecHalves);
}

/* Returns an empty list. */
static ValueList *
values_create(int capacity, Dec fraction)
{
	ValueList *list = palloc0(values_size(capacity));

	SET_VARSIZE(list, values_size(capacity));
	list->version = VALUES_VERSION;
	list->capacity = capacity;
	dec_store(&list->fraction, fraction);
	return list;
}

/* Returns the list with room for more values: itself, or a larger copy. */
static ValueList *
values_reserve(ValueList *list, int more)
{
	ValueList *larger;

	if (more <= list->capacity - list->count)
		return list;
	if (more > VALUES_MAX - list->count)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a group has more than %d values", VALUES_MAX)));
	larger = values_create(
		(int) Min(Max(2 * (int64) list->capacity, (int64) list->count + more), (int64) VALUES_MAX),
		dec_load(&list->fraction));
	larger->count = list->count;
	memcpy(larger->values, list->values, list->count * sizeof(DecHalves));
	return larger;
}

static void
refuse_fraction(Dec fraction, const char *reason)
{
	char digits[DEC_BUFSIZE];

	dec_print(fraction, digits);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("fraction %s %s", digits, reason),
			 errdetail("A group has one fraction, from 0 to 1: 0.05 for the top 5 %%.")));
}

static void
check_fraction(Dec fraction)
{
	if (fraction < 0 || fraction > DEC_ONE)
		refuse_fraction(fraction, "is not between 0 and 1");
}

static void
check_value(Dec value)
{
	char digits[DEC_BUFSIZE];

	if (likely(value >= 0))
		return;
	dec_print(value, digits);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("value %s is negative", digits),
			 errdetail("Only parts of zero and above make up a whole.")));
}

/* Keeps a value; a NULL is left out. */
static Datum
values_accumulate(FunctionCallInfo fcinfo, bool has_fraction)
{
	ValueList *list;
	Dec value;
	Dec fraction = 0;

	if (PG_ARGISNULL(1) || (has_fraction && PG_ARGISNULL(2)))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	value = dec_from_numeric(PG_GETARG_DATUM(1), "value");
	check_value(value);
	if (has_fraction)
		fraction = dec_from_numeric(PG_GETARG_DATUM(2), "fraction");

	if (PG_ARGISNULL(0))
	{
		check_fraction(fraction);
		list = values_create(VALUES_FIRST_CAPACITY, fraction);
	}
	else
	{
		list = AggCheckCallContext(fcinfo, NULL)
				   ? values_of(PG_GETARG_DATUM(0))
				   : (ValueList *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
		if (unlikely(fraction != dec_load(&list->fraction)))
			refuse_fraction(fraction, "is not that of the rows before");
		list = values_reserve(list, 1);
	}
	dec_store(&list->values[list->count++], value);
	PG_RETURN_POINTER(list);
}

PG_FUNCTION_INFO_V1(meter_gini_accum);
Datum
meter_gini_accum(PG_FUNCTION_ARGS)
{
	return values_accumulate(fcinfo, false);
}

PG_FUNCTION_INFO_V1(meter_top_share_accum);
Datum
meter_top_share_accum(PG_FUNCTION_ARGS)
{
	return values_accumulate(fcinfo, true);
}

PG_FUNCTION_INFO_V1(meter_value_list_combine);
Datum
meter_value_list_combine(PG_FUNCTION_ARGS)
{
	ValueList *list;
	ValueList *other;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
			PG_RETURN_NULL();
		/* one that was stored is unpacked here, once */
		PG_RETURN_POINTER(values_of(PG_ARGISNULL(0) ? PG_GETARG_DATUM(1) : PG_GETARG_DATUM(0)));
	}
	other = values_of(PG_GETARG_DATUM(1));
	list = AggCheckCallContext(fcinfo, NULL)
			   ? values_of(PG_GETARG_DATUM(0))
			   : (ValueList *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
	if (dec_load(&other->fraction) != dec_load(&list->fraction))
		refuse_fraction(dec_load(&other->fraction), "is not that of the rows before");
	list = values_reserve(list, other->count);
	memcpy(&list->values[list->count], other->values, other->count * sizeof(DecHalves));
	list->count += other->count;
	PG_RETURN_POINTER(list);
}

static int
compare_values(const void *a, const void *b)
{
	Dec x = dec_load(a);
	Dec y = dec_load(b);

	/* a list may have millions, and the server's sort leaves nothing behind */
	CHECK_FOR_INTERRUPTS();
	return x < y ? -1 : x > y;
}

/* Returns a copy of a list's values, the least first. */
static DecHalves *
values_sorted(const ValueList *list)
{
	DecHalves *values = palloc(Max(list->count, 1) * sizeof(DecHalves));

	memcpy(values, list->values, list->count * sizeof(DecHalves));
	qsort(values, list->count, sizeof(DecHalves), compare_values);
	return values;
}

/* Adds count * value to a total; at most 2^26 such products, of counts below 2^27. */
static inline void
total_add(Total *total, int64 count, const DecHalves *value)
{
	total->high += (int128) value->high * count;
	total->low += (int128) value->low * count;
}

static inline void
total_normalize(Total *total)
{
	total->high += total->low >> 64;
	total->low = (int128) (uint64) total->low;
}

static inline Total
total_multiply(Total total, int64 factor)
{
	total.high *= factor;
	total.low *= factor;
	total_normalize(&total);
	return total;
}

static inline bool
total_reaches(const Total *a, const Total *b)
{
	return a->high > b->high || (a->high == b->high && a->low >= b->low);
}

static inline void
total_subtract(Total *a, const Total *b)
{
	a->high -= b->high;
	a->low -= b->low;
	total_normalize(a);
}

/* Returns part / whole, settled to 12 digits; the part is not larger than the whole. */
static Dec
total_ratio(Total part, Total whole)
{
	Dec ratio = 0;

	for (int digit = 0; digit <= DEC_DIGITS_FRACTION; digit++)
	{
		ratio *= 10;
		while (total_reaches(&part, &whole))
		{
			total_subtract(&part, &whole);
			ratio++;
		}
		part = total_multiply(part, digit < DEC_DIGITS_FRACTION ? 10 : 2);
	}
	return ratio + (total_reaches(&part, &whole) ? 1 : 0);
}

/*
 * Returns the Gini coefficient: the sum of (2i - n - 1) x over n times the sum of x,
 * for values x in ascending order and i from 1 to n.
 */
PG_FUNCTION_INFO_V1(meter_gini_final);
Datum
meter_gini_final(PG_FUNCTION_ARGS)
{
	ValueList *list = values_of(PG_GETARG_DATUM(0));
	DecHalves *values = values_sorted(list);
	Total differences = {0, 0};
	Total sum = {0, 0};

	for (int64 i = 0; i < list->count; i++)
	{
		total_add(&differences, 2 * i + 1 - list->count, &values[i]);
		total_add(&sum, 1, &values[i]);
	}
	pfree(values);
	total_normalize(&differences);
	total_normalize(&sum);
	if (sum.high == 0 && sum.low == 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(dec_to_numeric(total_ratio(differences, total_multiply(sum, list->count))));
}

/* Returns the part of the total that the largest values have. */
PG_FUNCTION_INFO_V1(meter_top_share_final);
Datum
meter_top_share_final(PG_FUNCTION_ARGS)
{
	ValueList *list = values_of(PG_GETARG_DATUM(0));
	DecHalves *values = values_sorted(list);
	int64 ntop = (int64) ((dec_load(&list->fraction) * list->count + DEC_ONE - 1) / DEC_ONE);
	Total top = {0, 0};
	Total sum = {0, 0};

	for (int64 i = 0; i < list->count; i++)
	{
		total_add(&sum, 1, &values[i]);
		if (i >= list->count - ntop)
			total_add(&top, 1, &values[i]);
	}
	pfree(values);
	total_normalize(&top);
	total_normalize(&sum);
	if (sum.high == 0 && sum.low == 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(dec_to_numeric(total_ratio(top, sum)));
}

static void
values_write(StringInfo buffer, const ValueList *list)
{
	pq_sendbyte(buffer, VALUES_VERSION);
	dec_send(buffer, dec_load(&list->fraction));
	pq_sendint32(buffer, list->count);
	for (int i = 0; i < list->count; i++)
		dec_send(buffer, dec_load(&list->values[i]));
}

static ValueList *
values_read(StringInfo buffer)
{
	ValueList *list;
	Dec fraction;
	int count;

	wire_need(buffer, 1);
	if (pq_getmsgbyte(buffer) != VALUES_VERSION)
		wire_refuse("meter.value_list", "The version of the format is not known.");
	fraction = dec_recv(buffer);
	check_fraction(fraction);
	wire_need(buffer, 4);
	count = (int32) pq_getmsgint(buffer, 4);
	if (count < 1 || count > VALUES_MAX || count > (buffer->len - buffer->cursor) / 16)
		wire_refuse("meter.value_list", "The number of values does not fit their bytes.");
	list = values_create(Max(count, VALUES_FIRST_CAPACITY), fraction);
	for (int i = 0; i < count; i++)
	{
		Dec value = dec_recv(buffer);

		check_value(value);
		dec_store(&list->values[i], value);
	}
	list->count = count;
	return list;
}

PG_FUNCTION_INFO_V1(meter_value_list_send);
Datum
meter_value_list_send(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	values_write(&buffer, values_of(PG_GETARG_DATUM(0)));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

PG_FUNCTION_INFO_V1(meter_value_list_recv);
Datum
meter_value_list_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(values_read((StringInfo) PG_GETARG_POINTER(0)));
}

/* The text form is the binary form in hexadecimal digits. */
PG_FUNCTION_INFO_V1(meter_value_list_out);
Datum
meter_value_list_out(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	initStringInfo(&buffer);
	values_write(&buffer, values_of(PG_GETARG_DATUM(0)));
	PG_RETURN_CSTRING(wire_to_hex(&buffer));
}

PG_FUNCTION_INFO_V1(meter_value_list_in);
Datum
meter_value_list_in(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;
	ValueList *list;

	wire_from_hex(PG_GETARG_CSTRING(0), &buffer);
	list = values_read(&buffer);
	if (buffer.cursor != buffer.len)
		wire_refuse("meter.value_list", "There are bytes behind its end.");
	PG_RETURN_POINTER(list);
}
