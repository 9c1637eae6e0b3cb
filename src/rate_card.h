/*
 * rate_card.h: what a unit of something costs, as a value that is read in place.
 *
 * A card is one flat block: a header, an open-addressed table of sections, and the
 * sections. A section is an item in a variant; it holds
 *
 *		its names		the item, the variant, the names of custom units
 *		its rates		sorted by unit, and inside a unit by the order of decision:
 *						precedence, context and then window before none
 *		its boundaries	the instants at which any of its rates begins or ends
 *		its grid		a cell per epoch (the time between two boundaries) and unit:
 *						the rates in force there, in the order of decision
 *		its candidates	the lists that the cells point to
 *
 * So an event costs one probe for its item, one search for its epoch, and then one
 * cell per bucket. A cell whose first candidate holds for every event carries the
 * multiplier itself: most events never look at a rate.
 *
 * Offsets count bytes from the card's start. The block holds no pointer and is
 * rebuilt by every way in, so its bytes are never taken from outside.
 */
#ifndef METER_RATE_CARD_H
#define METER_RATE_CARD_H

#include "decimal.h"
#include "unit.h"
#include "usage.h"

#include "utils/rangetypes.h"
#include "utils/timestamp.h"

#define RATE_CARD_FORMAT 1

/* The longest name of an item or a variant, in bytes. */
#define RATE_NAME_MAX 1000

/* A rate's daily_from when it has no daily window. */
#define RATE_NO_WINDOW INT64CONST(-1)

/* A rate as it comes in: names are not zero-terminated. */
typedef struct RateSpec
{
	const char *item;
	const char *variant;
	const char *unit;
	int item_length;
	int variant_length;
	int unit_length;
	Dec price;
	Dec per;
	Dec context_from;
	TimestampTz valid_from;	 /* DT_NOBEGIN for ever */
	TimestampTz valid_until; /* exclusive; DT_NOEND for ever */
	int64 daily_from;		 /* microseconds of the UTC day, or RATE_NO_WINDOW */
	int64 daily_until;		 /* exclusive; below daily_from: over midnight */
	int32 precedence;
} RateSpec;

/* What a rate's flags say. */
#define RATE_FOLDED 0x01	  /* multiplier is price / per, exactly */
#define RATE_CONDITIONAL 0x02 /* has a context or a daily window to meet */

/* A rate at rest; what rating reads comes first. */
typedef struct Rate
{
	int64 multiplier; /* of a whole unit, where folded: price / per in 10^-12 */
	uint32 flags;
	int32 precedence;
	int64 daily_from;
	int64 daily_until;
	DecHalves context_from;
	DecHalves price;
	DecHalves per;
	TimestampTz valid_from;
	TimestampTz valid_until;
} Rate;

/* The rates of one unit in one epoch. */
typedef struct RateCell
{
	int64 multiplier; /* of the first candidate, where always */
	uint32 candidate; /* the first candidate's place in the list */
	uint16 count;	  /* how many there are */
	uint16 always;	  /* the first one holds for every event, and is folded */
} RateCell;

/* A unit of a section and the run of its rates. */
typedef struct RateUnit
{
	uint32 name;	   /* offset of the name, zero-terminated */
	uint8 name_length; /* in bytes */
	uint8 code;		   /* of a well-known unit, or 0 */
	uint16 reserved;
	uint32 first_rate;
	uint32 rate_count;
} RateUnit;

typedef struct RateSection
{
	uint32 hash;
	uint32 item; /* offset of the name, zero-terminated; so is variant */
	uint32 variant;
	uint16 item_length;
	uint16 variant_length;
	uint32 unit_count;
	uint32 epoch_count;
	uint32 rate_count;
	uint32 units;		/* offset of RateUnit[unit_count]: codes, customs by name, '*' */
	uint32 rates;		/* offset of Rate[rate_count] */
	uint32 boundaries;	/* offset of TimestampTz[epoch_count - 1] */
	uint32 grid;		/* offset of RateCell[epoch_count * unit_count] */
	uint32 candidates;	/* offset of uint32[]: places in rates */
	uint32 any_slot;	/* slot of '*', plus one; 0 for none */
	uint32 custom_slot; /* the first slot of a custom unit; they end at '*' */
	uint32 standard;	/* the variant is 'standard' */
	uint32 reserved;
	uint8 slot_of[UNIT_COUNT <= 64 ? 64 : 128]; /* by code: slot plus one; 0 for none */
} RateSection;

typedef struct RateCard
{
	int32 vl_len_; /* varlena header (do not touch directly!) */
	uint16 format;
	uint16 reserved;
	uint32 hash; /* of all rates: cards with other hashes are other cards */
	uint32 section_count;
	uint32 rate_count;
	uint32 table_mask;		/* of the table's size, a power of two */
	uint32 table;			/* offset of RateTableEntry[table_mask + 1] */
	uint32 sections;		/* offset of the first section; they are in canonical order */
	uint32 section_offsets; /* offset of uint32[section_count], in canonical order */
	uint32 spare[7];		/* zero */
} RateCard;

typedef struct RateTableEntry
{
	uint32 hash;
	uint32 section; /* offset; 0 for none */
} RateTableEntry;

#define RATE_AT(card, offset) ((const char *) (card) + (offset))

static inline const RateUnit *
section_units(const RateCard *card, const RateSection *section)
{
	return (const RateUnit *) RATE_AT(card, section->units);
}

static inline const Rate *
section_rates(const RateCard *card, const RateSection *section)
{
	return (const Rate *) RATE_AT(card, section->rates);
}

/* The eight bytes at a place. */
static inline uint64
name_word(const char *place)
{
	uint64 word;

	memcpy(&word, place, sizeof(word));
	return word;
}

/*
 * Where the four words of a name of 8 to 32 bytes begin, which together are all of it.
 * They overlap: names come in all lengths, and a loop over one is a branch that the
 * processor guesses wrong every other time.
 */
#define NAME_IN_WORDS(length) ((length) >= 8 && (length) <= 32)
#define NAME_WORD_2(length) Min(8, (length) -8)
#define NAME_WORD_3(length) Min(16, (length) -8)
#define NAME_WORD_4(length) ((length) -8)

/*
 * Returns the hash of a name. It is part of no format outside the card, and cheap:
 * a bad spread costs time, not truth.
 */
static pg_attribute_always_inline uint32
rate_name_hash(const char *name, int length, uint64 seed)
{
	uint64 hash = seed + (uint64) length * UINT64CONST(0x9E3779B97F4A7C15);

	if (likely(NAME_IN_WORDS(length)))
	{
		hash += name_word(name) * UINT64CONST(0xFF51AFD7ED558CCD);
		hash += name_word(name + NAME_WORD_2(length)) * UINT64CONST(0xC4CEB9FE1A85EC53);
		hash += name_word(name + NAME_WORD_3(length)) * UINT64CONST(0xD6E8FEB86659FD93);
		hash += name_word(name + NAME_WORD_4(length)) * UINT64CONST(0xA0761D6478BD642F);
	}
	else
		for (int i = 0; i < length; i++)
			hash = (hash ^ (unsigned char) name[i]) * UINT64CONST(0xFF51AFD7ED558CCD);
	hash ^= hash >> 32;
	hash *= UINT64CONST(0xE7037ED1A0B428DB);
	return (uint32) (hash >> 32);
}

#define RATE_VARIANT_STANDARD "standard"
#define RATE_VARIANT_STANDARD_LENGTH ((int) sizeof(RATE_VARIANT_STANDARD) - 1)

/* Says whether a variant is 'standard', as nearly all are. */
static inline bool
rate_variant_is_standard(const char *variant, int length)
{
	return length == RATE_VARIANT_STANDARD_LENGTH &&
		   memcmp(variant, RATE_VARIANT_STANDARD, RATE_VARIANT_STANDARD_LENGTH) == 0;
}

/* Says whether two names of one length are the same. */
static inline bool
rate_names_equal(const char *a, const char *b, int length)
{
	uint64 difference;

	if (unlikely(!NAME_IN_WORDS(length)))
		return memcmp(a, b, length) == 0;
	difference = name_word(a) ^ name_word(b);
	difference |= name_word(a + NAME_WORD_2(length)) ^ name_word(b + NAME_WORD_2(length));
	difference |= name_word(a + NAME_WORD_3(length)) ^ name_word(b + NAME_WORD_3(length));
	difference |= name_word(a + NAME_WORD_4(length)) ^ name_word(b + NAME_WORD_4(length));
	return difference == 0;
}

struct Node;
extern RateCard *rate_card_build(const RateSpec *specs, int count, struct Node *escontext);
extern void rate_card_read(const RateCard *card, const RateSection *section, int unit,
						   int rate_in_unit, RateSpec *spec);
extern const RateSection *rate_card_section(const RateCard *card, int number);
extern void rate_spec_valid(RateSpec *spec, const RangeBound *lower, const RangeBound *upper,
							bool empty);
extern bool rate_spec_check(const RateSpec *spec, struct Node *escontext);

/*
 * The last card that had to be unpacked, and the bytes it was unpacked from: a TOAST
 * pointer, or a compressed value.
 */
typedef struct CardCache
{
	MemoryContext context; /* holds the card and the key's copy */
	struct varlena *key;
	Size key_size;
	const RateCard *card;
} CardCache;

extern const RateCard *rate_card_unpack(struct varlena *value, CardCache **cache,
										MemoryContext context);

/*
 * Returns the card of a Datum, aligned and in memory. One that arrives as a value, as
 * from a scalar subquery, is used where it lies. The cache is the caller's and lives in
 * the context.
 */
static inline const RateCard *
rate_card_fetch(Datum datum, CardCache **cache, MemoryContext context)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(datum);

	if (likely(!VARATT_IS_EXTENDED(value)))
		return (const RateCard *) value;
	return rate_card_unpack(value, cache, context);
}

/* The same through fn_extra, for functions that use it for nothing else. */
#define PG_GETARG_RATE_CARD_P(n)                                                  \
	rate_card_fetch(PG_GETARG_DATUM(n), (CardCache **) &fcinfo->flinfo->fn_extra, \
					fcinfo->flinfo->fn_mcxt)

/*
 * Returns the hash by which a section is found. The standard variant counts as an
 * empty one, so that it costs nothing.
 */
static inline uint32
rate_section_hash(const char *item, int item_length, bool standard, const char *variant,
				  int variant_length)
{
	return rate_name_hash(item, item_length,
						  standard ? 0 : rate_name_hash(variant, variant_length, 1));
}

/*
 * Returns the section of an item in a variant, or NULL where the card has none.
 */
static pg_attribute_always_inline const RateSection *
rate_card_find(const RateCard *card, const char *item, int item_length, bool standard,
			   const char *variant, int variant_length)
{
	const RateTableEntry *table = (const RateTableEntry *) RATE_AT(card, card->table);
	uint32 hash = rate_section_hash(item, item_length, standard, variant, variant_length);

	for (uint32 i = hash & card->table_mask;; i = (i + 1) & card->table_mask)
	{
		const RateSection *section;

		if (table[i].section == 0)
			return NULL;
		if (table[i].hash != hash)
			continue;
		section = (const RateSection *) RATE_AT(card, table[i].section);
		if (section->item_length == item_length && section->standard == standard &&
			rate_names_equal(RATE_AT(card, section->item), item, item_length) &&
			(standard ||
			 (section->variant_length == variant_length &&
			  rate_names_equal(RATE_AT(card, section->variant), variant, variant_length))))
			return section;
	}
}

/* Returns the number of the epoch that an instant is in. */
static inline uint32
section_epoch(const RateCard *card, const RateSection *section, TimestampTz at)
{
	const TimestampTz *boundaries = (const TimestampTz *) RATE_AT(card, section->boundaries);
	uint32 count = section->epoch_count - 1;
	uint32 epoch = 0;

	if (count <= 16)
	{
		/* no branch to mispredict */
		for (uint32 i = 0; i < count; i++)
			epoch += at >= boundaries[i];
		return epoch;
	}
	while (count > 0)
	{
		uint32 half = count / 2;

		if (at >= boundaries[epoch + half])
		{
			epoch += half + 1;
			count -= half + 1;
		}
		else
			count = half;
	}
	return epoch;
}

#endif /* METER_RATE_CARD_H */
