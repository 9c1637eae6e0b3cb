/*
 * breakdown_sum.c: the aggregates break_down, which makes a breakdown of events, and
 * sum(meter.breakdown) and sum_by, and the state of all three.
 *
 * A state is one block: the header; a table of the keys that it has met, open to
 * linear probing and at most three quarters full; and behind it, wherever there was
 * room, each key's bytes and the sums of its events (event_sums.h). So it can be
 * copied, sent and stored. A row that repeats the key of the row before, as many do,
 * finds it at once. A key that is new, or sums that have outgrown their place, take
 * room at the end; where there is none, everything moves to a new block twice as
 * large, because the executor owns the old one. A key of three units takes 256 bytes,
 * and each of many some 200.
 *
 * A state's external forms are those of the breakdown it has summed up.
 */
#include "breakdown.h"
#include "event_sums.h"

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define STATE_FORMAT 1

/* All names of a key, by their bits. */
#define ALL_NAMES ((1 << BREAKDOWN_NAMES) - 1)

typedef struct KeySums
{
	uint32 hash;
	uint32 key_length;
	uint32 key;	 /* where it is, from the beginning of the state */
	uint32 sums; /* likewise; zero of a place that is free */
} KeySums;

typedef struct BreakdownState
{
	int32 vl_len_;
	uint16 format;
	uint16 reserved;
	uint32 used; /* bytes */
	uint32 count;
	uint32 places; /* a power of two */
	uint32 last;   /* the place of the row before */
	KeySums keys[FLEXIBLE_ARRAY_MEMBER];
} BreakdownState;

StaticAssertDecl(offsetof(BreakdownState, keys) % 8 == 0, "what is behind the keys is aligned");

/* What break_down keeps from row to row, in fn_extra. */
typedef struct BreakdownCache
{
	EventCards cards;
	Size room;
	uint8 *key; /* of the row, built anew for each */
} BreakdownCache;

#define PG_GETARG_STATE_P(n) ((BreakdownState *) PG_DETOAST_DATUM(PG_GETARG_DATUM(n)))

static BreakdownState *state_make(uint32 places, Size room);
static BreakdownState *state_copy(const BreakdownState *state);
static BreakdownState *state_grow(const BreakdownState *old, uint32 places, Size room);
static uint32 find_place(const BreakdownState *state, const BreakdownKey *key, uint32 hash);
static BreakdownKey narrow_key(const BreakdownKey *key, int names, uint8 *room);
static BreakdownState *state_add(BreakdownState *state, const void *breakdown, int names);
static int compare_keys(const void *a, const void *b);
static struct varlena *state_write(const BreakdownState *state);

PG_FUNCTION_INFO_V1(meter_breakdown_state_in);
PG_FUNCTION_INFO_V1(meter_breakdown_state_out);
PG_FUNCTION_INFO_V1(meter_breakdown_state_recv);
PG_FUNCTION_INFO_V1(meter_breakdown_state_send);
PG_FUNCTION_INFO_V1(meter_break_down_add);
PG_FUNCTION_INFO_V1(meter_break_down_final);
PG_FUNCTION_INFO_V1(meter_breakdown_sum_add);
PG_FUNCTION_INFO_V1(meter_breakdown_sum_combine);
PG_FUNCTION_INFO_V1(meter_breakdown_sum_final);

static inline EventSums *
sums_at(const BreakdownState *state, uint32 place)
{
	return (EventSums *) ((char *) state + state->keys[place].sums);
}

static inline const uint8 *
key_at(const BreakdownState *state, uint32 place)
{
	return (const uint8 *) state + state->keys[place].key;
}

static inline void
assert_state(const BreakdownState *state)
{
	Assert(state->format == STATE_FORMAT);
	Assert(state->used <= VARSIZE(state) && state->used % 8 == 0);
	Assert(state->count <= state->places / 4 * 3 || state->count < 2);
	Assert((state->places & (state->places - 1)) == 0);
}

/* Returns the bytes of a state's header and table. */
static inline Size
head_size(uint32 places)
{
	return offsetof(BreakdownState, keys) + places * sizeof(KeySums);
}

/* Returns a state without keys, with room for so many bytes of them and of sums. */
static BreakdownState *
state_make(uint32 places, Size room)
{
	Size head = head_size(places);
	Size size;
	BreakdownState *state;

	if (head + room > MaxAllocSize / 2)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a breakdown has too many combinations of item, action, variant, "
							   "outcome and request_class")));
	size = pg_nextpower2_size_t(head + room);
	state = palloc(size);
	memset(state, 0, head);
	SET_VARSIZE(state, size);
	state->format = STATE_FORMAT;
	state->used = (uint32) head;
	state->places = places;
	return state;
}

static BreakdownState *
state_copy(const BreakdownState *state)
{
	BreakdownState *copy = palloc(VARSIZE(state));

	memcpy(copy, state, VARSIZE(state));
	return copy;
}

/* Takes bytes at the end of a state, which has them. */
static inline uint32
state_take(BreakdownState *state, Size bytes)
{
	uint32 at = state->used;

	state->used += (uint32) TYPEALIGN(8, bytes);
	Assert(state->used <= VARSIZE(state));
	return at;
}

/* Puts a key into a free place. */
static void
state_put(BreakdownState *state, uint32 place, const BreakdownKey *key, uint32 hash,
		  const EventSums *sums)
{
	KeySums *entry = &state->keys[place];

	entry->hash = hash;
	entry->key_length = (uint32) key->length;
	entry->key = state_take(state, key->length);
	memcpy((char *) state + entry->key, key->bytes, key->length);
	entry->sums = state_take(state, VARSIZE(sums));
	memcpy((char *) state + entry->sums, sums, VARSIZE(sums));
	state->count++;
	state->last = place;
}

/*
 * Returns a copy with so many places and room for so many bytes more. It is not larger
 * where the old one has room for both: were it twice as large each time that the table
 * is, a first breakdown of n keys would take n times its bytes.
 */
static BreakdownState *
state_grow(const BreakdownState *old, uint32 places, Size room)
{
	BreakdownState *state = state_make(places, old->used - head_size(old->places) + room);
	uint32 last = 0;

	for (uint32 place = 0; place < old->places; place++)
	{
		BreakdownKey key;

		if (old->keys[place].sums == 0)
			continue;
		key.bytes = key_at(old, place);
		key.length = (int) old->keys[place].key_length;
		state_put(state, find_place(state, &key, old->keys[place].hash), &key,
				  old->keys[place].hash, sums_at(old, place));
		if (place == old->last)
			last = state->last;
	}
	state->last = last;
	assert_state(state);
	return state;
}

static inline bool
is_key(const BreakdownState *state, uint32 place, const BreakdownKey *key)
{
	return state->keys[place].key_length == (uint32) key->length &&
		   memcmp(key_at(state, place), key->bytes, key->length) == 0;
}

/* Returns the place of a key, or the free one where it belongs. */
static uint32
find_place(const BreakdownState *state, const BreakdownKey *key, uint32 hash)
{
	uint32 place = hash & (state->places - 1);

	while (state->keys[place].sums != 0 &&
		   (state->keys[place].hash != hash || !is_key(state, place, key)))
		place = (place + 1) & (state->places - 1);
	return place;
}

/*
 * Makes a key the last one, where the state has it or there is a free place for it: returns
 * true where the state has it. The place of one that is new is free.
 */
static inline bool
state_seek(BreakdownState *state, const BreakdownKey *key, uint32 *hash)
{
	if (likely(state->keys[state->last].sums != 0 && is_key(state, state->last, key)))
		return true;
	*hash = hash_bytes(key->bytes, key->length);
	state->last = find_place(state, key, *hash);
	return state->keys[state->last].sums != 0;
}

/* Adds a key that the state does not have, with its first sums; returns the state that has it. */
static BreakdownState *
state_insert(BreakdownState *state, const BreakdownKey *key, uint32 hash, const EventSums *sums)
{
	Size bytes = TYPEALIGN(8, key->length) + TYPEALIGN(8, VARSIZE(sums));

	if ((state->count + 1) * 4 > state->places * 3 || state->used + bytes > VARSIZE(state))
		state = state_grow(
			state, (state->count + 1) * 4 > state->places * 3 ? 2 * state->places : state->places,
			bytes);
	state_put(state, find_place(state, key, hash), key, hash, sums);
	assert_state(state);
	return state;
}

/* Gives the last key the sums that it has now, which are new ones where they had to grow. */
static inline BreakdownState *
state_keep(BreakdownState *state, const EventSums *sums)
{
	KeySums *entry = &state->keys[state->last];

	if (likely(sums == sums_at(state, state->last)))
		return state;
	if (state->used + TYPEALIGN(8, VARSIZE(sums)) > VARSIZE(state))
	{
		state = state_grow(state, state->places, TYPEALIGN(8, VARSIZE(sums)));
		entry = &state->keys[state->last];
	}
	entry->sums = state_take(state, VARSIZE(sums));
	memcpy((char *) state + entry->sums, sums, VARSIZE(sums));
	return state;
}

/* Returns the state as it may be changed: itself in an aggregate, else a copy. */
static inline BreakdownState *
changeable(FunctionCallInfo fcinfo, BreakdownState *state)
{
	return likely(AggCheckCallContext(fcinfo, NULL) != 0) ? state : state_copy(state);
}

/*
 * Adds an event (state, cost card, credit card, item, credited action, at, usage,
 * variant, sign, action, outcome, request_class) to the state.
 */
Datum
meter_break_down_add(PG_FUNCTION_ARGS)
{
	static const uint8 argument[BREAKDOWN_NAMES] = {3, 9, 7, 10, 11};
	BreakdownCache *cache = fcinfo->flinfo->fn_extra;
	BreakdownState *state;
	struct varlena *text[BREAKDOWN_NAMES];
	Size room = 1;
	BreakdownKey key;
	uint32 hash = 0;
	uint8 *p;

	if (unlikely(cache == NULL))
		fcinfo->flinfo->fn_extra = cache =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(BreakdownCache));
	for (int name = 0; name < BREAKDOWN_NAMES; name++)
	{
		text[name] = NULL;
		if (PG_ARGISNULL(argument[name]))
			continue;
		text[name] = detoast_packed(PG_GETARG_DATUM(argument[name]));
		room += BREAKDOWN_NAME_HEAD + VARSIZE_ANY_EXHDR(text[name]);
	}
	if (unlikely(room > cache->room))
	{
		if (cache->key != NULL)
			pfree(cache->key);
		cache->room = room + 128;
		cache->key = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, cache->room);
	}
	p = cache->key;
	*p++ = 0;
	for (int name = 0; name < BREAKDOWN_NAMES; name++)
		if (text[name] != NULL)
		{
			cache->key[0] |= 1 << name;
			p = breakdown_write_name(p, VARDATA_ANY(text[name]), VARSIZE_ANY_EXHDR(text[name]));
		}
	key.bytes = cache->key;
	key.length = (int) (p - cache->key);

	if (PG_ARGISNULL(0))
	{
		EventSums *sums = event_sums_count(fcinfo, &cache->cards, NULL);

		state = state_make(2, TYPEALIGN(8, key.length) + TYPEALIGN(8, VARSIZE(sums)));
		PG_RETURN_POINTER(state_insert(state, &key, hash_bytes(key.bytes, key.length), sums));
	}
	state = changeable(fcinfo, PG_GETARG_STATE_P(0));
	if (likely(state_seek(state, &key, &hash)))
		PG_RETURN_POINTER(state_keep(
			state, event_sums_count(fcinfo, &cache->cards, sums_at(state, state->last))));
	PG_RETURN_POINTER(
		state_insert(state, &key, hash, event_sums_count(fcinfo, &cache->cards, NULL)));
}

/* Returns a key without the names that are not among some, in room that has its bytes. */
static BreakdownKey
narrow_key(const BreakdownKey *key, int names, uint8 *room)
{
	BreakdownKey narrow = {room, 1};
	const uint8 *p = key->bytes + 1;

	room[0] = key->bytes[0] & names;
	for (int name = 0; name < BREAKDOWN_NAMES; name++)
	{
		const uint8 *from = p;
		const char *text;
		int length;

		if ((key->bytes[0] & (1 << name)) == 0)
			continue;
		p = breakdown_read_name(p, &text, &length);
		if ((names & (1 << name)) == 0)
			continue;
		memcpy(room + narrow.length, from, p - from);
		narrow.length += (int) (p - from);
	}
	return narrow;
}

/*
 * Adds a breakdown to a state, or to a new one where that is NULL, by some of the names
 * only; returns the state that holds the sum.
 */
static BreakdownState *
state_add(BreakdownState *state, const void *breakdown, int names)
{
	BreakdownReader reader;
	BreakdownEntry entry;
	uint8 *room = names == ALL_NAMES ? NULL : palloc(VARSIZE_ANY(breakdown));

	if (state == NULL)
		state = state_make(2, names == ALL_NAMES ? VARSIZE_ANY(breakdown) : 0);
	breakdown_open(&reader, breakdown);
	while (breakdown_next(&reader, &entry))
	{
		UsageReader usage = breakdown_usage_reader(&entry);
		uint32 hash = 0;
		bool known;
		EventSums *sums;

		if (names != ALL_NAMES)
			entry.key = narrow_key(&entry.key, names, room);
		known = state_seek(state, &entry.key, &hash);
		sums = known ? sums_at(state, state->last) : event_sums_for_units(usage);
		event_sums_add_number(&sums->events, entry.events);
		event_sums_add_number(&sums->unpriced_cost, entry.unpriced_cost);
		event_sums_add_number(&sums->unpriced_credits, entry.unpriced_credits);
		event_sums_add_amount(&sums->cost, entry.cost);
		event_sums_add_amount(&sums->credits, entry.credits);
		sums = event_sums_add_units(sums, usage);
		state = known ? state_keep(state, sums) : state_insert(state, &entry.key, hash, sums);
	}
	return state;
}

/*
 * Adds a breakdown (state, breakdown [, item, action, variant, outcome, request_class])
 * to the state: by the names for which the latter are true, or by all.
 */
Datum
meter_breakdown_sum_add(PG_FUNCTION_ARGS)
{
	int names = PG_NARGS() == 2 ? ALL_NAMES : 0;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	for (int i = 2; i < PG_NARGS(); i++)
		if (!PG_ARGISNULL(i) && PG_GETARG_BOOL(i))
			names |= 1 << (i - 2);
	PG_RETURN_POINTER(state_add(PG_ARGISNULL(0) ? NULL : changeable(fcinfo, PG_GETARG_STATE_P(0)),
								PG_GETARG_BREAKDOWN_PP(1), names));
}

/* Returns the sum of two states. */
Datum
meter_breakdown_sum_combine(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (PG_ARGISNULL(0))
		PG_RETURN_DATUM(PG_GETARG_DATUM(1));
	PG_RETURN_POINTER(state_add(changeable(fcinfo, PG_GETARG_STATE_P(0)),
								state_write(PG_GETARG_STATE_P(1)), ALL_NAMES));
}

typedef struct SortedKey
{
	BreakdownKey key;
	uint32 place;
} SortedKey;

static int
compare_keys(const void *a, const void *b)
{
	return breakdown_compare(&((const SortedKey *) a)->key, &((const SortedKey *) b)->key);
}

/* Returns the breakdown that a state has summed up. */
static struct varlena *
state_write(const BreakdownState *state)
{
	SortedKey *sorted = palloc(Max(state->count, 1) * sizeof(SortedKey));
	uint32 count = 0;
	StringInfoData out;

	assert_state(state);
	for (uint32 place = 0; place < state->places; place++)
	{
		if (state->keys[place].sums == 0)
			continue;
		sorted[count].key.bytes = key_at(state, place);
		sorted[count].key.length = (int) state->keys[place].key_length;
		sorted[count++].place = place;
	}
	Assert(count == state->count);
	if (count > 1)
		qsort(sorted, count, sizeof(SortedKey), compare_keys);
	breakdown_begin(&out);
	for (uint32 i = 0; i < count; i++)
	{
		const EventSums *sums = sums_at(state, sorted[i].place);
		struct varlena *usage = usage_state_sum(&sums->usage);
		BreakdownEntry entry;

		entry.key = sorted[i].key;
		entry.events = sums->events;
		entry.unpriced_cost = sums->unpriced_cost;
		entry.unpriced_credits = sums->unpriced_credits;
		entry.cost = dec_load(&sums->cost);
		entry.credits = dec_load(&sums->credits);
		entry.usage = (const uint8 *) VARDATA(usage);
		entry.usage_length = VARSIZE(usage) - VARHDRSZ;
		breakdown_write(&out, &entry);
		pfree(usage);
	}
	pfree(sorted);
	return breakdown_end(&out);
}

/* Returns the breakdown that a state has summed up. */
Datum
meter_breakdown_sum_final(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state_write(PG_GETARG_STATE_P(0)));
}

/* Returns a state as a row of the roll-up has it: the breakdown and what it adds up to. */
Datum
meter_break_down_final(PG_FUNCTION_ARGS)
{
	const BreakdownState *state;
	EventSums whole = {0};
	Datum values[6];
	bool nulls[6] = {0};

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = PG_GETARG_STATE_P(0);
	for (uint32 place = 0; place < state->places; place++)
	{
		const EventSums *sums;

		if (state->keys[place].sums == 0)
			continue;
		sums = sums_at(state, place);
		event_sums_add_number(&whole.events, sums->events);
		event_sums_add_number(&whole.unpriced_cost, sums->unpriced_cost);
		event_sums_add_number(&whole.unpriced_credits, sums->unpriced_credits);
		event_sums_add_amount(&whole.cost, dec_load(&sums->cost));
		event_sums_add_amount(&whole.credits, dec_load(&sums->credits));
	}
	values[0] = dec_to_numeric(dec_load(&whole.cost));
	values[1] = dec_to_numeric(dec_load(&whole.credits));
	values[2] = Int64GetDatum(whole.events);
	values[3] = Int64GetDatum(whole.unpriced_cost);
	values[4] = Int64GetDatum(whole.unpriced_credits);
	values[5] = PointerGetDatum(state_write(state));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(event_sums_columns(fcinfo), values, nulls)));
}

/* Reads a state's text. */
Datum
meter_breakdown_state_in(PG_FUNCTION_ARGS)
{
	struct varlena *breakdown = breakdown_parse(PG_GETARG_CSTRING(0), fcinfo->context);

	if (breakdown == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state_add(NULL, breakdown, ALL_NAMES));
}

/* Returns a state's text. */
Datum
meter_breakdown_state_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(breakdown_print(state_write(PG_GETARG_STATE_P(0))));
}

/* Reads a state's wire form. */
Datum
meter_breakdown_state_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(
		state_add(NULL, breakdown_read_wire((StringInfo) PG_GETARG_POINTER(0)), ALL_NAMES));
}

/* Returns a state's wire form. */
Datum
meter_breakdown_state_send(PG_FUNCTION_ARGS)
{
	StringInfoData out;

	pq_begintypsend(&out);
	breakdown_write_wire(&out, state_write(PG_GETARG_STATE_P(0)));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}
