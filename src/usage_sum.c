/*
 * usage_sum.c: the aggregate sum(meter.usage) and its state, meter.usage_state.
 *
 * A state is one block: the header, the units' code bytes (as in a usage: a custom one
 * is UNIT_CUSTOM plus the length of its name), padded to eight, the sums, and the names
 * of custom units, all in canonical order. Rows that repeat their units walk the state
 * beside the row and add in place; two units take 48 bytes. A unit that is new moves
 * what is behind it, in place where there is room, else in a new state twice as large,
 * because the executor owns the old one. A sum that would have more units than a usage may
 * have is no error, as it would be one of a statement over all customers for one that
 * wrote something else where a unit's name belongs: the last ones are added up in one.
 */
#include "usage_sum.h"

#include "fmgr.h"
#include "libpq/pqformat.h"

#define WIRE_VERSION 1

/* Where a sum has the units beyond the most that it may have: see state_fold. */
#define FURTHER_UNITS "further_units"

static UsageState *state_make(int capacity, int names_room);
static UsageState *state_grow(const UsageState *old);
static UsageState *state_copy(const UsageState *state);
static UsageState *state_fold(UsageState *state, const Bucket *bucket);

static inline DecHalves *
state_sums(const UsageState *state)
{
	return (DecHalves *) ((char *) state +
						  TYPEALIGN(8, offsetof(UsageState, codes) + state->capacity));
}

static inline char *
state_names(const UsageState *state)
{
	return (char *) (state_sums(state) + state->capacity);
}

static inline void
assert_state(const UsageState *state)
{
	Assert(state->format == USAGE_STATE_FORMAT);
	Assert(state->units <= state->capacity);
	Assert(state->names_size <= state->names_room);
	Assert(state_names(state) + state->names_room == (char *) state + VARSIZE(state));
}

#define PG_GETARG_USAGE_STATE_P(n) ((UsageState *) PG_DETOAST_DATUM(PG_GETARG_DATUM(n)))

/* Returns a state without units. */
static UsageState *
state_make(int capacity, int names_room)
{
	Size size = TYPEALIGN(8, offsetof(UsageState, codes) + capacity) +
				capacity * sizeof(DecHalves) + names_room;
	UsageState *state = palloc0(size);

	SET_VARSIZE(state, size);
	state->format = USAGE_STATE_FORMAT;
	state->capacity = capacity;
	state->names_room = (uint16) names_room;
	return state;
}

/* Returns a copy with twice the room, and room for one more unit at least. */
static UsageState *
state_grow(const UsageState *old)
{
	UsageState *state =
		state_make(Min(Max(2 * (int) old->capacity, 2), USAGE_MAX_UNITS),
				   Min(2 * (int) old->names_room + UNIT_NAME_MAX, USAGE_MAX_UNITS * UNIT_NAME_MAX));

	state->units = old->units;
	state->names_size = old->names_size;
	memcpy(state->codes, old->codes, old->units);
	memcpy(state_sums(state), state_sums(old), old->units * sizeof(DecHalves));
	memcpy(state_names(state), state_names(old), old->names_size);
	return state;
}

/* Returns a state with room for just the units of a first row. */
UsageState *
usage_state_for(const void *usage)
{
	UsageReader reader;

	usage_open(&reader, usage);
	return usage_state_for_units(reader);
}

/* The same for a usage that is being read. */
UsageState *
usage_state_for_units(UsageReader reader)
{
	Bucket bucket;
	int units = 0;
	int names = 0;

	while (usage_next(&reader, &bucket))
	{
		units++;
		if (bucket.unit == 0)
			names += bucket.name_length;
	}
	return state_make(units, names);
}

/* Adds a usage, in place where there is room; returns the state that holds the sum. */
UsageState *
usage_state_add(UsageState *state, const void *usage)
{
	UsageReader reader;

	usage_open(&reader, usage);
	return usage_state_add_units(state, reader);
}

/* The same for a usage that is being read. */
UsageState *
usage_state_add_units(UsageState *state, UsageReader reader)
{
	DecHalves *sums = state_sums(state);
	Bucket bucket;
	int i = 0;
	int name_at = 0; /* of custom unit i, within the names */

	while (usage_next(&reader, &bucket))
	{
		bool known;

		if (likely(bucket.unit != 0))
		{
			while (i < state->units && state->codes[i] < bucket.unit)
				i++;
			known = i < state->units && state->codes[i] == bucket.unit;
		}
		else
		{
			const char *names = state_names(state);

			known = false;
			while (i < state->units)
			{
				Bucket here;
				int order;

				if (state->codes[i] < UNIT_CUSTOM)
				{
					i++;
					continue;
				}
				here.unit = 0;
				here.name = names + name_at;
				here.name_length = state->codes[i] - UNIT_CUSTOM;
				order = bucket_compare(&here, &bucket);
				if (order >= 0)
				{
					known = order == 0;
					break;
				}
				name_at += here.name_length;
				i++;
			}
		}

		if (unlikely(!known))
		{
			int length = bucket.unit != 0 ? 0 : bucket.name_length;

			if (unlikely(state->units == USAGE_MAX_UNITS))
			{
				state = state_fold(state, &bucket);
				sums = state_sums(state);
				i = name_at = 0;
				continue;
			}
			if (state->units == state->capacity ||
				state->names_size + length > (int) state->names_room)
			{
				state = state_grow(state);
				sums = state_sums(state);
			}
			memmove(state->codes + i + 1, state->codes + i, state->units - i);
			memmove(sums + i + 1, sums + i, (state->units - i) * sizeof(DecHalves));
			state->codes[i] = (uint8) (bucket.unit != 0 ? bucket.unit : UNIT_CUSTOM + length);
			dec_store(&sums[i], 0);
			if (length > 0)
			{
				char *name = state_names(state) + name_at;

				memmove(name + length, name, state->names_size - name_at);
				memcpy(name, bucket.name, length);
				state->names_size += (uint16) length;
			}
			state->units++;
		}

		dec_store(&sums[i], dec_add(dec_load(&sums[i]), bucket_quantity(&bucket)));
		if (bucket.unit == 0)
			name_at += bucket.name_length;
		i++;
	}
	assert_state(state);
	return state;
}

/*
 * Adds the quantity of a unit that is new to a state which has as many as a usage may have:
 * returns the state that has the first ones of all in canonical order, and the quantities of
 * the others in FURTHER_UNITS. Which ones these are does not depend on the order of rows.
 */
static UsageState *
state_fold(UsageState *state, const Bucket *bucket)
{
	Bucket *units = palloc((USAGE_MAX_UNITS + 2) * sizeof(Bucket));
	DecHalves *sums = state_sums(state);
	const char *name = state_names(state);
	struct varlena *usage;
	Bucket further;
	int further_at = -1;
	Dec rest = 0;
	int n = 0;

	bucket_set_unit(&further, FURTHER_UNITS, sizeof(FURTHER_UNITS) - 1);
	further.whole = false;
	for (int i = 0; i < (int) state->units; i++)
	{
		Bucket *unit = &units[n++];

		unit->unit = state->codes[i] < UNIT_CUSTOM ? state->codes[i] : 0;
		unit->name = name;
		unit->name_length = unit->unit == 0 ? state->codes[i] - UNIT_CUSTOM : 0;
		unit->whole = false;
		unit->quantity = dec_load(&sums[i]);
		name += unit->name_length;
		if (bucket_compare(unit, &further) == 0)
		{
			further_at = i;
			rest = unit->quantity;
			n--;
		}
	}

	if (bucket_compare(bucket, &further) == 0)
		rest = dec_add(rest, bucket_quantity(bucket));
	else if (further_at >= 0 && bucket_compare(bucket, &units[n - 1]) > 0)
	{
		dec_store(&sums[further_at], dec_add(rest, bucket_quantity(bucket)));
		pfree(units);
		return state;
	}
	else
	{
		int at = n++;

		for (; at > 0 && bucket_compare(&units[at - 1], bucket) > 0; at--)
			units[at] = units[at - 1];
		units[at] = *bucket;
		units[at].whole = false;
		units[at].quantity = bucket_quantity(bucket);
	}
	while (n >= USAGE_MAX_UNITS)
		rest = dec_add(rest, units[--n].quantity);
	further.quantity = rest;
	units[n++] = further;

	usage = usage_from_buckets(units, n, NULL);
	pfree(units);
	return usage_state_add(usage_state_for(usage), usage);
}

static UsageState *
state_copy(const UsageState *state)
{
	UsageState *copy = palloc(VARSIZE(state));

	memcpy(copy, state, VARSIZE(state));
	return copy;
}

/* Returns the usage that a state has summed up. */
struct varlena *
usage_state_sum(const UsageState *state)
{
	const DecHalves *sums = state_sums(state);
	const char *name = state_names(state);
	struct varlena *result;
	uint8 *p;

	result = palloc(VARHDRSZ + state->names_size + state->units * (1 + USAGE_QUANTITY_MAX));
	p = (uint8 *) VARDATA(result);
	for (int i = 0; i < state->units; i++)
	{
		Bucket bucket;

		bucket.unit = state->codes[i] < UNIT_CUSTOM ? state->codes[i] : 0;
		bucket.name = name;
		bucket.name_length = state->codes[i] - UNIT_CUSTOM;
		if (bucket.unit == 0)
			name += bucket.name_length;
		p = usage_write_unit(p, &bucket);
		p = usage_write_quantity(p, dec_load(&sums[i]));
	}
	SET_VARSIZE(result, (char *) p - (char *) result);
	return result;
}

/* Returns the state as it may be changed: itself in an aggregate, else a copy. */
static inline UsageState *
changeable(FunctionCallInfo fcinfo, UsageState *state)
{
	return likely(AggCheckCallContext(fcinfo, NULL) != 0) ? state : state_copy(state);
}

PG_FUNCTION_INFO_V1(meter_usage_sum_transition);
Datum
meter_usage_sum_transition(PG_FUNCTION_ARGS)
{
	UsageState *state;
	struct varlena *usage;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	usage = PG_GETARG_USAGE_PP(1);
	if (PG_ARGISNULL(0))
		state = usage_state_for(usage);
	else
		state = changeable(fcinfo, PG_GETARG_USAGE_STATE_P(0));
	PG_RETURN_POINTER(usage_state_add(state, usage));
}

PG_FUNCTION_INFO_V1(meter_usage_sum_combine);
Datum
meter_usage_sum_combine(PG_FUNCTION_ARGS)
{
	UsageState *state;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (PG_ARGISNULL(0))
		PG_RETURN_DATUM(PG_GETARG_DATUM(1));
	state = changeable(fcinfo, PG_GETARG_USAGE_STATE_P(0));
	PG_RETURN_POINTER(usage_state_add(state, usage_state_sum(PG_GETARG_USAGE_STATE_P(1))));
}

PG_FUNCTION_INFO_V1(meter_usage_sum_final);
Datum
meter_usage_sum_final(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(usage_state_sum(PG_GETARG_USAGE_STATE_P(0)));
}

/* A state's external forms are those of the usage it has summed up so far. */
PG_FUNCTION_INFO_V1(meter_usage_state_in);
Datum
meter_usage_state_in(PG_FUNCTION_ARGS)
{
	struct varlena *usage = usage_parse(PG_GETARG_CSTRING(0), fcinfo->context);

	if (usage == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(usage_state_add(usage_state_for(usage), usage));
}

PG_FUNCTION_INFO_V1(meter_usage_state_out);
Datum
meter_usage_state_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(usage_print(usage_state_sum(PG_GETARG_USAGE_STATE_P(0))));
}

PG_FUNCTION_INFO_V1(meter_usage_state_send);
Datum
meter_usage_state_send(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendint8(&buffer, WIRE_VERSION);
	usage_write_wire(&buffer, usage_state_sum(PG_GETARG_USAGE_STATE_P(0)));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

PG_FUNCTION_INFO_V1(meter_usage_state_recv);
Datum
meter_usage_state_recv(PG_FUNCTION_ARGS)
{
	StringInfo buffer = (StringInfo) PG_GETARG_POINTER(0);
	struct varlena *usage;
	int version;

	wire_need(buffer, 1);
	version = pq_getmsgbyte(buffer);
	if (version != WIRE_VERSION)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("unsupported version %d of an external usage_state", version),
						errdetail("This meter reads version %d.", WIRE_VERSION)));
	usage = usage_read_wire(buffer);
	PG_RETURN_POINTER(usage_state_add(usage_state_for(usage), usage));
}
