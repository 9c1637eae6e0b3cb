/*
 * rate_card.c: building a rate card from its rates, and finding it in an argument.
 *
 * A card is built once a query and read millions of times, so everything that can
 * be decided without an event is decided here: which rates are in force in which
 * epoch, in which order they are asked, and what a unit costs where price / per
 * ends within 12 digits. Building sorts the rates, so the same rates make the same
 * bytes in whatever order they came; two that tie are refused here, and rating
 * never has to choose.
 */
#include "rate_card.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* The largest grid of one section: beyond it the card is a mistake. */
#define GRID_BYTES_MAX (64 * 1024 * 1024)

/* The most candidates of one section: their list is no larger than the grid. */
#define CANDIDATES_MAX ((uint32) (GRID_BYTES_MAX / sizeof(uint32)))

/* A spec with what sorting looks at worked out. */
typedef struct SortedRate
{
	RateSpec spec;
	int unit_code; /* or 0 */
	bool unit_any; /* '*' */
} SortedRate;

/* A part of the day, not over midnight, in which a rate holds while it is valid. */
typedef struct RateWindow
{
	TimestampTz valid_from;
	TimestampTz valid_until;
	int64 from; /* microseconds of the UTC day */
	int64 until;
	int rate;
} RateWindow;

/* A rate that is in force in a cell of the grid. */
typedef struct CellRate
{
	uint32 cell;
	uint32 rate;
} CellRate;

static int compare_rates(const void *a, const void *b);
static int compare_names(const char *a, int a_length, const char *b, int b_length);
static int compare_units(const SortedRate *a, const SortedRate *b);
static bool check_ties(const SortedRate *rates, int count, struct Node *escontext);
static int compare_windows(const void *a, const void *b);
static bool check_overlap(const SortedRate *rates, int count, struct Node *escontext);
static void report_tie(const RateSpec *a, const RateSpec *b, struct Node *escontext);
static uint32 block_append(StringInfo block, const void *data, Size size);
static uint32 block_reserve(StringInfo block, Size size);
static uint32 build_section(StringInfo block, const SortedRate *rates, int count);
static void build_units(StringInfo block, uint32 section_at, const SortedRate *rates, int count);
static void inherit_slots(RateSection *section);
static int collect_boundaries(const SortedRate *rates, int count, TimestampTz *boundaries);
static void build_grid(StringInfo block, uint32 section_at);
static uint32 next_open(uint32 *open, uint32 epoch);
pg_noreturn static void refuse_section(StringInfo block, const RateSection *section);
static uint64 section_hash(NameWords item, bool standard, const char *variant, int variant_length);
static void build_table(StringInfo block, const uint32 *offsets, uint32 count);
static int compare_instants(const void *a, const void *b);
static uint32 rates_hash(const SortedRate *rates, int count);

#define SECTION_AT(block, offset) ((RateSection *) ((block)->data + (offset)))
#define CARD_OF(block) ((RateCard *) (block)->data)

/*
 * Refuses a rate whose own fields are wrong; every way into a card passes here.
 * Returns false after a soft error.
 */
bool
rate_spec_check(const RateSpec *spec, struct Node *escontext)
{
	char number[DEC_BUFSIZE];

	if (spec->item_length == 0 || spec->variant_length == 0)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a rate's %s is empty", spec->item_length == 0 ? "item" : "variant"),
				 errhint("Name what the rate is for, such as openai/gpt-4o.")));
	if (spec->item_length > RATE_NAME_MAX || spec->variant_length > RATE_NAME_MAX)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a rate's %s is longer than %d bytes",
						spec->item_length > RATE_NAME_MAX ? "item" : "variant", RATE_NAME_MAX)));
	if (!(spec->unit_length == 1 && spec->unit[0] == '*') &&
		!unit_name_is_legal(spec->unit, spec->unit_length))
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%.*s\" is not the name of a unit",
						pg_mbcliplen(spec->unit, spec->unit_length, 80), spec->unit),
				 errdetail("Item \"%.*s\".", spec->item_length, spec->item),
				 errhint("A unit is 1 to 63 lower-case letters, digits and underscores "
						 "and begins with a letter; * stands for every unit.")));
	if (spec->price < 0)
	{
		dec_print(spec->price, number);
		ereturn(escontext, false,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("price %s is negative", number),
				 errdetail("Item \"%.*s\", unit \"%.*s\".", spec->item_length, spec->item,
						   spec->unit_length, spec->unit)));
	}
	if (spec->per <= 0)
	{
		dec_print(spec->per, number);
		ereturn(escontext, false,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("a price per %s units is not a rate", number),
				 errdetail("Item \"%.*s\", unit \"%.*s\".", spec->item_length, spec->item,
						   spec->unit_length, spec->unit),
				 errhint("\"per\" is how many units the price buys, such as 1000000.")));
	}
	if (spec->context_from < 0)
	{
		dec_print(spec->context_from, number);
		ereturn(escontext, false,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("context_from %s is negative", number),
				 errdetail("Item \"%.*s\", unit \"%.*s\".", spec->item_length, spec->item,
						   spec->unit_length, spec->unit)));
	}
	if (spec->valid_from >= spec->valid_until)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("a rate of item \"%.*s\", unit \"%.*s\" is never valid", spec->item_length,
						spec->item, spec->unit_length, spec->unit),
				 errdetail("Its range of validity is empty.")));
	if (spec->daily_from != RATE_NO_WINDOW &&
		(spec->daily_from < 0 || spec->daily_from > USECS_PER_DAY || spec->daily_until < 0 ||
		 spec->daily_until > USECS_PER_DAY ||
		 spec->daily_from % USECS_PER_DAY == spec->daily_until % USECS_PER_DAY))
		ereturn(escontext, false,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("the daily window of a rate of item \"%.*s\", unit \"%.*s\" is empty",
						spec->item_length, spec->item, spec->unit_length, spec->unit),
				 errhint("Leave daily_from and daily_until out for the whole day.")));
	return true;
}

/*
 * Returns the card of these rates, in the current context. The specs are checked
 * already; two that tie are refused: a soft error, and NULL. The names are copied.
 */
RateCard *
rate_card_build(const RateSpec *specs, int count, struct Node *escontext)
{
	SortedRate *rates = palloc_extended(Max(count, 1) * sizeof(SortedRate), MCXT_ALLOC_HUGE);
	uint32 *offsets = palloc_extended(Max(count, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	uint32 sections = 0;
	StringInfoData block;
	RateCard header = {0};

	for (int i = 0; i < count; i++)
	{
		rates[i].spec = specs[i];
		/* times of day are points on a circle: 24:00 is 00:00 as a start */
		if (specs[i].daily_from == USECS_PER_DAY)
			rates[i].spec.daily_from = 0;
		if (specs[i].daily_from != RATE_NO_WINDOW && specs[i].daily_until == 0)
			rates[i].spec.daily_until = USECS_PER_DAY;
		rates[i].unit_any = specs[i].unit_length == 1 && specs[i].unit[0] == '*';
		rates[i].unit_code =
			rates[i].unit_any ? 0 : unit_by_name(specs[i].unit, specs[i].unit_length);
	}
	qsort(rates, count, sizeof(SortedRate), compare_rates);
	if (!check_ties(rates, count, escontext))
		return NULL;

	initStringInfo(&block);
	header.format = RATE_CARD_FORMAT;
	header.rate_count = count;
	header.hash = rates_hash(rates, count);
	block_append(&block, &header, sizeof(header));
	CARD_OF(&block)->sections = block.len;
	for (int from = 0, until; from < count; from = until)
	{
		CHECK_FOR_INTERRUPTS();
		for (until = from + 1; until < count; until++)
			if (compare_names(rates[from].spec.item, rates[from].spec.item_length,
							  rates[until].spec.item, rates[until].spec.item_length) != 0 ||
				compare_names(rates[from].spec.variant, rates[from].spec.variant_length,
							  rates[until].spec.variant, rates[until].spec.variant_length) != 0)
				break;
		offsets[sections++] = build_section(&block, rates + from, until - from);
	}
	build_table(&block, offsets, sections);

	SET_VARSIZE(block.data, block.len);
	pfree(offsets);
	pfree(rates);
	return CARD_OF(&block);
}

static int
compare_names(const char *a, int a_length, const char *b, int b_length)
{
	int order = memcmp(a, b, Min(a_length, b_length));

	return order != 0 ? order : a_length - b_length;
}

/* Well-known units come in the order of their codes, then others by name, then '*'. */
static int
compare_units(const SortedRate *a, const SortedRate *b)
{
	int a_rank = a->unit_any ? PG_INT32_MAX : a->unit_code ? a->unit_code : PG_INT32_MAX - 1;
	int b_rank = b->unit_any ? PG_INT32_MAX : b->unit_code ? b->unit_code : PG_INT32_MAX - 1;

	if (a_rank != b_rank)
		return a_rank < b_rank ? -1 : 1;
	return compare_names(a->spec.unit, a->spec.unit_length, b->spec.unit, b->spec.unit_length);
}

/*
 * The canonical order, which inside a unit is the order of decision: of the rates
 * that hold for an event, the first one wins.
 */
static int
compare_rates(const void *a, const void *b)
{
	const SortedRate *left = a;
	const SortedRate *right = b;
	const RateSpec *l = &left->spec;
	const RateSpec *r = &right->spec;
	int order;

#define BY(x, y)                       \
	do                                 \
	{                                  \
		if ((x) != (y))                \
			return (x) < (y) ? -1 : 1; \
	} while (0)

	order = compare_names(l->item, l->item_length, r->item, r->item_length);
	if (order != 0)
		return order;
	order = compare_names(l->variant, l->variant_length, r->variant, r->variant_length);
	if (order != 0)
		return order;
	order = compare_units(left, right);
	if (order != 0)
		return order;
	BY(r->precedence, l->precedence);
	BY(r->context_from, l->context_from);
	BY(l->daily_from == RATE_NO_WINDOW, r->daily_from == RATE_NO_WINDOW);
	BY(l->daily_from, r->daily_from);
	BY(l->daily_until, r->daily_until);
	BY(l->valid_from, r->valid_from);
	BY(l->valid_until, r->valid_until);
	BY(l->price, r->price);
	BY(l->per, r->per);
#undef BY
	return 0;
}

/* Refuses two rates between which nothing decides: false after a soft error. */
static bool
check_ties(const SortedRate *rates, int count, struct Node *escontext)
{
	for (int from = 0, until; from < count; from = until)
	{
		const RateSpec *a = &rates[from].spec;

		for (until = from + 1; until < count; until++)
		{
			const RateSpec *b = &rates[until].spec;

			if (a->precedence != b->precedence || a->context_from != b->context_from ||
				(a->daily_from == RATE_NO_WINDOW) != (b->daily_from == RATE_NO_WINDOW) ||
				compare_names(a->item, a->item_length, b->item, b->item_length) != 0 ||
				compare_names(a->variant, a->variant_length, b->variant, b->variant_length) != 0 ||
				compare_units(&rates[from], &rates[until]) != 0)
				break;
		}
		if (until - from > 1 && !check_overlap(rates + from, until - from, escontext))
			return false;
	}
	return true;
}

static int
compare_windows(const void *a, const void *b)
{
	const RateWindow *left = a;
	const RateWindow *right = b;

	if (left->valid_from != right->valid_from)
		return left->valid_from < right->valid_from ? -1 : 1;
	return left->from < right->from ? -1 : left->from > right->from;
}

/*
 * Refuses two rates of a run that share an instant of a day on which both are valid:
 * false after a soft error. Windows are taken in the order in which they become valid;
 * those still in force share no instant, so they are kept in the order of the day, and
 * one that has ended goes when another takes its place.
 */
static bool
check_overlap(const SortedRate *rates, int count, struct Node *escontext)
{
	RateWindow *windows = palloc_extended(2 * count * sizeof(RateWindow), MCXT_ALLOC_HUGE);
	RateWindow *active = palloc_extended(2 * count * sizeof(RateWindow), MCXT_ALLOC_HUGE);
	int window_count = 0;
	int active_count = 0;

	for (int i = 0; i < count; i++)
	{
		const RateSpec *spec = &rates[i].spec;
		bool whole_day = spec->daily_from == RATE_NO_WINDOW;
		bool wraps = !whole_day && spec->daily_from > spec->daily_until;
		RateWindow *window = &windows[window_count++];

		window->rate = i;
		window->valid_from = spec->valid_from;
		window->valid_until = spec->valid_until;
		window->from = whole_day ? 0 : spec->daily_from;
		window->until = whole_day || wraps ? USECS_PER_DAY : spec->daily_until;
		if (wraps)
		{
			windows[window_count] = *window;
			windows[window_count].from = 0;
			windows[window_count++].until = spec->daily_until;
		}
	}
	qsort(windows, window_count, sizeof(RateWindow), compare_windows);

	for (int i = 0; i < window_count; i++)
	{
		const RateWindow *window = &windows[i];
		int low = 0;
		int high = active_count;

		CHECK_FOR_INTERRUPTS();
		while (low < high)
		{
			int middle = low + (high - low) / 2;

			if (active[middle].until > window->from)
				high = middle;
			else
				low = middle + 1;
		}
		for (; high < active_count && active[high].from < window->until; high++)
			if (active[high].valid_until > window->valid_from)
			{
				int other = active[high].rate;

				report_tie(&rates[Min(other, window->rate)].spec,
						   &rates[Max(other, window->rate)].spec, escontext);
				return false;
			}
		memmove(&active[low + 1], &active[high], (active_count - high) * sizeof(RateWindow));
		active[low] = *window;
		active_count += 1 - (high - low);
	}
	pfree(active);
	pfree(windows);
	return true;
}

static void
report_tie(const RateSpec *a, const RateSpec *b, struct Node *escontext)
{
	char price[2][DEC_BUFSIZE];
	char per[2][DEC_BUFSIZE];

	dec_print(a->price, price[0]);
	dec_print(a->per, per[0]);
	dec_print(b->price, price[1]);
	dec_print(b->per, per[1]);
	errsave(
		escontext,
		(errcode(ERRCODE_DATA_EXCEPTION),
		 errmsg("two rates of item \"%.*s\", variant \"%.*s\", unit \"%.*s\" tie", a->item_length,
				a->item, a->variant_length, a->variant, a->unit_length, a->unit),
		 errdetail("%s per %s and %s per %s are valid at the same time with precedence %d.",
				   price[0], per[0], price[1], per[1], a->precedence),
		 errhint("End one before the other begins, or give the one that shall win a higher "
				 "precedence.")));
}

static uint32
block_append(StringInfo block, const void *data, Size size)
{
	uint32 offset = block_reserve(block, size);

	if (size > 0)
		memcpy(block->data + offset, data, size);
	return offset;
}

/* Adds zero bytes, rounded up so that whatever comes next is aligned. */
static uint32
block_reserve(StringInfo block, Size size)
{
	uint32 offset = block->len;
	Size padded = MAXALIGN(size);

	enlargeStringInfo(block, padded);
	memset(block->data + offset, 0, padded);
	block->len += padded;
	return offset;
}

/* Appends the section of these rates, which share an item and a variant. */
static uint32
build_section(StringInfo block, const SortedRate *rates, int count)
{
	const RateSpec *first = &rates[0].spec;
	uint32 section_at = block_reserve(block, sizeof(RateSection));
	char *name = palloc0(Max(first->item_length, first->variant_length) + 1);
	TimestampTz *boundaries =
		palloc_extended((2 * (Size) count + 2) * sizeof(TimestampTz), MCXT_ALLOC_HUGE);
	int boundary_count;
	uint32 offset;

	SECTION_AT(block, section_at)->standard =
		rate_variant_is_standard(first->variant, first->variant_length);
	SECTION_AT(block, section_at)->words = name_words(first->item, first->item_length);
	SECTION_AT(block, section_at)->item_length = first->item_length;
	SECTION_AT(block, section_at)->variant_length = first->variant_length;
	SECTION_AT(block, section_at)->rate_count = count;

	memcpy(name, first->item, first->item_length);
	name[first->item_length] = '\0';
	offset = block_append(block, name, first->item_length + 1);
	SECTION_AT(block, section_at)->item = offset;
	memcpy(name, first->variant, first->variant_length);
	name[first->variant_length] = '\0';
	offset = block_append(block, name, first->variant_length + 1);
	SECTION_AT(block, section_at)->variant = offset;

	offset = block_reserve(block, count * sizeof(Rate));
	SECTION_AT(block, section_at)->rates = offset;
	for (int i = 0; i < count; i++)
	{
		const RateSpec *spec = &rates[i].spec;
		Rate *rate = (Rate *) (block->data + offset) + i;
		Dec multiplier;

		rate->precedence = spec->precedence;
		rate->daily_from = spec->daily_from;
		rate->daily_until = spec->daily_until;
		dec_store(&rate->context_from, spec->context_from);
		dec_store(&rate->price, spec->price);
		dec_store(&rate->per, spec->per);
		rate->valid_from = spec->valid_from;
		rate->valid_until = spec->valid_until;
		if (spec->context_from > 0 || spec->daily_from != RATE_NO_WINDOW)
			rate->flags |= RATE_CONDITIONAL;
		if (dec_divide_exactly(spec->price, spec->per, &multiplier) && dec_fits_int64(multiplier))
		{
			rate->flags |= RATE_FOLDED;
			rate->multiplier = (int64) multiplier;
		}
	}

	build_units(block, section_at, rates, count);

	boundary_count = collect_boundaries(rates, count, boundaries);
	offset = block_append(block, boundaries, boundary_count * sizeof(TimestampTz));
	SECTION_AT(block, section_at)->boundaries = offset;
	SECTION_AT(block, section_at)->epoch_count = boundary_count - 1;

	build_grid(block, section_at);

	pfree(boundaries);
	pfree(name);
	return section_at;
}

static void
build_units(StringInfo block, uint32 section_at, const SortedRate *rates, int count)
{
	uint32 unit_count = 0;
	uint32 units_at;
	uint32 slot = 0;

	for (int i = 0; i < count; i++)
		if (i == 0 || compare_units(&rates[i - 1], &rates[i]) != 0)
			unit_count++;
	units_at = block_reserve(block, unit_count * sizeof(RateUnit));
	SECTION_AT(block, section_at)->units = units_at;
	SECTION_AT(block, section_at)->unit_count = unit_count;
	SECTION_AT(block, section_at)->stride = (unit_count + 1) * sizeof(RateCell);

	for (int from = 0, until; from < count; from = until, slot++)
	{
		const SortedRate *first = &rates[from];
		char name[UNIT_NAME_MAX + 1] = {0};
		uint32 name_at;
		RateUnit *unit;

		for (until = from + 1; until < count; until++)
			if (compare_units(first, &rates[until]) != 0)
				break;
		memcpy(name, first->spec.unit, first->spec.unit_length);
		name_at = block_append(block, name, first->spec.unit_length + 1);
		unit = (RateUnit *) (block->data + units_at) + slot;
		unit->name = name_at;
		unit->name_length = first->spec.unit_length;
		unit->code = first->unit_code;
		unit->first_rate = from;
		unit->rate_count = until - from;
		if (first->unit_code != 0)
			SECTION_AT(block, section_at)->custom_slot = slot + 1;
		if (first->unit_any)
			SECTION_AT(block, section_at)->any_slot = slot + 1;
		else if (first->unit_code != 0)
			SECTION_AT(block, section_at)->slot_of[first->unit_code] = slot + 1;
	}
	inherit_slots(SECTION_AT(block, section_at));
}

/* Gives units without a rate of their own the cell of the nearest ancestor that has one, or of '*'. */
static void
inherit_slots(RateSection *section)
{
	uint8 own[sizeof(section->slot_of)];

	memcpy(own, section->slot_of, sizeof(own));
	for (int code = 1; code < UNIT_COUNT; code++)
	{
		uint8 *slot = &section->slot_of[code];

		for (const uint8 *unit = unit_ancestors(code); *slot == 0 && *unit != 0; unit++)
			*slot = own[*unit];
		/* a cell too far for a byte is found the long way */
		if (*slot == 0 && section->any_slot <= PG_UINT8_MAX)
			*slot = (uint8) section->any_slot;
	}
}

static int
compare_instants(const void *a, const void *b)
{
	TimestampTz left = *(const TimestampTz *) a;
	TimestampTz right = *(const TimestampTz *) b;

	return left < right ? -1 : left > right;
}

/*
 * Sets the distinct instants at which a rate begins or ends, and those at which finite
 * time does; returns how many.
 */
static int
collect_boundaries(const SortedRate *rates, int count, TimestampTz *boundaries)
{
	int n = 0;
	int distinct = 0;

	boundaries[n++] = DT_NOBEGIN + 1;
	boundaries[n++] = DT_NOEND;
	for (int i = 0; i < count; i++)
	{
		if (!TIMESTAMP_IS_NOBEGIN(rates[i].spec.valid_from))
			boundaries[n++] = rates[i].spec.valid_from;
		if (!TIMESTAMP_IS_NOEND(rates[i].spec.valid_until))
			boundaries[n++] = rates[i].spec.valid_until;
	}
	qsort(boundaries, n, sizeof(TimestampTz), compare_instants);
	for (int i = 0; i < n; i++)
		if (i == 0 || boundaries[i] != boundaries[i - 1])
			boundaries[distinct++] = boundaries[i];
	return distinct;
}

/*
 * Appends the grid of a section and the candidates behind it. A unit's rates are taken
 * in the order of decision, each over the epochs of its validity, and an epoch that has
 * a rate that holds for every event is passed over from there on: so the work is that
 * of writing the grid, and not rates times epochs.
 */
static void
build_grid(StringInfo block, uint32 section_at)
{
	RateSection *section = SECTION_AT(block, section_at);
	uint32 epoch_count = section->epoch_count;
	uint32 unit_count = section->unit_count;
	uint32 stride = unit_count + 1;
	uint32 cell_count = epoch_count * stride;
	Size grid_size = (Size) epoch_count * stride * sizeof(RateCell);
	uint32 grid_at;
	uint32 candidates_at;
	uint32 candidate_count = 0;
	uint32 *open; /* of each epoch, the next one that is not passed over, or one on the way */
	uint32 *candidates;
	CellRate *in_force;
	uint32 in_force_room = cell_count + 64;
	RateCell *cells;

	if (grid_size > GRID_BYTES_MAX)
		refuse_section(block, section);
	grid_at = block_reserve(block, grid_size);
	section = SECTION_AT(block, section_at);
	section->grid = grid_at;
	cells = (RateCell *) (block->data + grid_at);
	for (uint32 cell = 0; cell < cell_count; cell++)
		cells[cell].multiplier = RATE_NO_MULTIPLIER;
	open = palloc((epoch_count + 1) * sizeof(uint32));
	in_force = palloc(in_force_room * sizeof(CellRate));

	for (uint32 slot = 0; slot < unit_count; slot++)
	{
		const RateUnit *unit = (const RateUnit *) (block->data + section->units) + slot;

		for (uint32 epoch = 0; epoch <= epoch_count; epoch++)
			open[epoch] = epoch;
		for (uint32 place = unit->first_rate; place < unit->first_rate + unit->rate_count; place++)
		{
			const Rate *rate = (const Rate *) (block->data + section->rates) + place;
			uint32 until = epoch_count;
			uint32 epoch = 0;

			CHECK_FOR_INTERRUPTS();
			if (!TIMESTAMP_IS_NOBEGIN(rate->valid_from))
				epoch = section_epoch(CARD_OF(block), section, rate->valid_from);
			if (!TIMESTAMP_IS_NOEND(rate->valid_until))
				until = section_epoch(CARD_OF(block), section, rate->valid_until);
			while ((epoch = next_open(open, epoch)) < until)
			{
				RateCell *cell = &cells[(Size) epoch * stride + slot + 1];

				if (candidate_count == CANDIDATES_MAX)
					refuse_section(block, section);
				if (cell->count == 0 &&
					(rate->flags & (RATE_FOLDED | RATE_CONDITIONAL)) == RATE_FOLDED)
					cell->multiplier = rate->multiplier;
				cell->count++;
				if (candidate_count == in_force_room)
				{
					in_force_room *= 2;
					in_force = repalloc(in_force, in_force_room * sizeof(CellRate));
				}
				in_force[candidate_count].cell = epoch * stride + slot + 1;
				in_force[candidate_count++].rate = place;
				/* behind a rate that holds for every event no other is asked */
				if (!(rate->flags & RATE_CONDITIONAL))
					open[epoch] = epoch + 1;
				epoch++;
			}
		}
	}

	/* the lists lie in the order of the cells */
	candidates = palloc(Max(candidate_count, 1) * sizeof(uint32));
	for (uint32 cell = 0, next = 0; cell < cell_count; cell++)
	{
		cells[cell].candidate = next;
		next += cells[cell].count;
	}
	for (uint32 i = 0; i < candidate_count; i++)
		candidates[cells[in_force[i].cell].candidate++] = in_force[i].rate;
	for (uint32 cell = 0; cell < cell_count; cell++)
		cells[cell].candidate -= cells[cell].count;
	candidates_at = block_append(block, candidates, candidate_count * sizeof(uint32));
	SECTION_AT(block, section_at)->candidates = candidates_at;
	pfree(candidates);
	pfree(in_force);
	pfree(open);
}

/* Returns the first epoch from one on that is open, and shortens the way to it. */
static uint32
next_open(uint32 *open, uint32 epoch)
{
	while (open[epoch] != epoch)
	{
		open[epoch] = open[open[epoch]];
		epoch = open[epoch];
	}
	return epoch;
}

/* Returns the number of the epoch that an instant, which is finite, is in. */
uint32
section_epoch(const RateCard *card, const RateSection *section, TimestampTz at)
{
	const TimestampTz *boundaries = (const TimestampTz *) RATE_AT(card, section->boundaries);
	uint32 epoch = 0;
	uint32 end = section->epoch_count;

	while (end - epoch > 1)
	{
		uint32 middle = epoch + (end - epoch) / 2;

		if (at >= boundaries[middle])
			epoch = middle;
		else
			end = middle;
	}
	return epoch;
}

static void
refuse_section(StringInfo block, const RateSection *section)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("item \"%s\" has too many rates for one card", block->data + section->item),
			 errdetail("It has %u rates of %u units, which change at %u instants.",
					   section->rate_count, section->unit_count, section->epoch_count - 1),
			 errhint("Build the card from the rates of the period that you rate.")));
}

/*
 * Returns the hash by which a section is found. The standard variant adds nothing, so
 * that it costs nothing.
 */
static uint64
section_hash(NameWords item, bool standard, const char *variant, int variant_length)
{
	uint64 hash = name_words_hash(item);

	if (!standard)
		hash += name_words_hash(name_words(variant, variant_length));
	return hash;
}

/* Returns the section of an item in a variant, or NULL where the card has none. */
const RateSection *
rate_card_search(const RateCard *card, const char *item, int item_length, const char *variant,
				 int variant_length)
{
	const uint32 *table = (const uint32 *) RATE_AT(card, card->table);
	uint64 hash =
		section_hash(name_words(item, item_length),
					 rate_variant_is_standard(variant, variant_length), variant, variant_length);

	for (uint32 i = (uint32) (hash >> card->table_shift); table[i] != 0;
		 i = (i + 1) & (card->table_size - 1))
	{
		const RateSection *section = (const RateSection *) RATE_AT(card, table[i]);

		if (compare_names(RATE_AT(card, section->item), section->item_length, item, item_length) ==
				0 &&
			compare_names(RATE_AT(card, section->variant), section->variant_length, variant,
						  variant_length) == 0)
			return section;
	}
	return NULL;
}

/* Appends the table by which sections are found, and the list in canonical order. */
static void
build_table(StringInfo block, const uint32 *offsets, uint32 count)
{
	uint32 bits = 2;
	uint32 size;
	uint32 table_at;
	uint32 list_at;
	uint32 *table;

	/* an eighth full: most lookups find their section at once */
	while (((Size) 1 << bits) < 8 * (Size) count)
		bits++;
	size = 1U << bits;
	table_at = block_reserve(block, (Size) size * sizeof(uint32));
	table = (uint32 *) (block->data + table_at);
	for (uint32 i = 0; i < count; i++)
	{
		RateSection *section = SECTION_AT(block, offsets[i]);
		uint32 place =
			(uint32) (section_hash(section->words, section->standard,
								   block->data + section->variant, section->variant_length) >>
					  (64 - bits));

		while (table[place] != 0)
			place = (place + 1) & (size - 1);
		table[place] = offsets[i];
		section->hint = (uint8) i;
	}
	list_at = block_append(block, offsets, count * sizeof(uint32));
	CARD_OF(block)->table = table_at;
	CARD_OF(block)->table_size = size;
	CARD_OF(block)->table_shift = 64 - bits;
	CARD_OF(block)->section_offsets = list_at;
	CARD_OF(block)->section_count = count;
}

/* Returns a hash over all that the rates say, which does not depend on the layout. */
static uint32
rates_hash(const SortedRate *rates, int count)
{
	uint32 hash = (uint32) count;

	for (int i = 0; i < count; i++)
	{
		const RateSpec *spec = &rates[i].spec;
		int64 numbers[11];

		numbers[0] = (int64) (spec->price >> 64);
		numbers[1] = (int64) spec->price;
		numbers[2] = (int64) (spec->per >> 64);
		numbers[3] = (int64) spec->per;
		numbers[4] = (int64) (spec->context_from >> 64);
		numbers[5] = (int64) spec->context_from;
		numbers[6] = spec->valid_from;
		numbers[7] = spec->valid_until;
		numbers[8] = spec->daily_from;
		numbers[9] = spec->daily_from == RATE_NO_WINDOW ? 0 : spec->daily_until;
		numbers[10] = spec->precedence;
		hash = hash_combine(hash, hash_bytes((const unsigned char *) numbers, sizeof(numbers)));
		hash =
			hash_combine(hash, hash_bytes((const unsigned char *) spec->item, spec->item_length));
		hash = hash_combine(
			hash, hash_bytes((const unsigned char *) spec->variant, spec->variant_length));
		hash =
			hash_combine(hash, hash_bytes((const unsigned char *) spec->unit, spec->unit_length));
	}
	return hash;
}

/* Returns the section of this number in canonical order. */
const RateSection *
rate_card_section(const RateCard *card, int number)
{
	const uint32 *offsets = (const uint32 *) RATE_AT(card, card->section_offsets);

	return (const RateSection *) RATE_AT(card, offsets[number]);
}

/* Sets the spec from which a section's rate was built; its names are the card's. */
void
rate_card_read(const RateCard *card, const RateSection *section, int unit, int rate_in_unit,
			   RateSpec *spec)
{
	const RateUnit *named = section_units(card, section) + unit;
	const Rate *rate = section_rates(card, section) + named->first_rate + rate_in_unit;

	spec->item = RATE_AT(card, section->item);
	spec->item_length = section->item_length;
	spec->variant = RATE_AT(card, section->variant);
	spec->variant_length = section->variant_length;
	spec->unit = RATE_AT(card, named->name);
	spec->unit_length = named->name_length;
	spec->price = dec_load(&rate->price);
	spec->per = dec_load(&rate->per);
	spec->context_from = dec_load(&rate->context_from);
	spec->valid_from = rate->valid_from;
	spec->valid_until = rate->valid_until;
	spec->daily_from = rate->daily_from;
	spec->daily_until = rate->daily_until;
	spec->precedence = rate->precedence;
}
