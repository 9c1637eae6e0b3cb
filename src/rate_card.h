/*
 * rate_card.h: what a unit of something costs, as a value that is read in place.
 *
 * A card is one flat block: a header, an open-addressed table of sections, and the
 * sections. A section is an item in a variant; it holds
 *
 *		its names		the item, the variant, the names of custom units
 *		its rates		sorted by unit, and inside a unit by the order of decision:
 *						precedence, context and then window before none
 *		its boundaries	the beginning of time, the instants at which any of its rates
 *						begins or ends, the end of time
 *		its grid		a cell per epoch (the time between two boundaries) and unit:
 *						the rates in force there, in the order of decision; before
 *						an epoch's cells stands one of no unit
 *		its candidates	the lists that the cells point to
 *
 * So an event costs one probe for its item, a look at the epoch that the item's last
 * event was in, and then one cell per bucket. A cell whose first candidate holds for
 * every event carries the multiplier itself: most events never look at a rate.
 *
 * Offsets count bytes from the card's start. The block holds no pointer and is
 * rebuilt by every way in, so its bytes are never taken from outside.
 */
#ifndef METER_RATE_CARD_H
#define METER_RATE_CARD_H

#include "decimal.h"
#include "unit.h"
#include "unpack.h"
#include "usage.h"

#include "utils/rangetypes.h"
#include "utils/timestamp.h"

#define RATE_CARD_FORMAT 1

/* The longest name of an item or a variant, in bytes. */
#define RATE_NAME_MAX 1000

/* A rate's daily_from when it has no daily window. */
#define RATE_NO_WINDOW INT64CONST(-1)

/*
 * A name of up to 32 bytes as four words, which overlap: names come in all lengths, and
 * a loop over one is a branch that the processor guesses wrong every other time. Of a
 * longer name they are the beginning and the end.
 */
typedef struct NameWords
{
	uint64 w[4];
} NameWords;

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

/* A cell's multiplier where it takes a look at the candidates. */
#define RATE_NO_MULTIPLIER INT64CONST(-1)

/* The rates of one unit in one epoch. */
typedef struct RateCell
{
	int64 multiplier; /* of the first candidate, where it holds for every event and is folded */
	uint32 candidate; /* the first candidate's place in the list */
	uint32 count;	  /* how many there are */
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

/* What every event looks at comes first. */
typedef struct RateSection
{
	NameWords words; /* of the item's name */
	uint16 item_length;
	uint16 variant_length;
	uint8 standard; /* the variant is 'standard' */
	uint8 hint;		/* its place in RateHints */
	uint16 reserved;
	uint32 epoch_count;
	uint32 stride;	   /* bytes of an epoch's cells, one more than there are units */
	uint32 boundaries; /* offset of TimestampTz[epoch_count + 1] */
	uint32 grid;	   /* offset of the cells, by epoch */
	uint32 item;	   /* offset of the name, zero-terminated; so is variant */
	uint32 variant;
	/* by code: the cell in an epoch of the unit, of its nearest ancestor in the section, or of '*' */
	uint8 slot_of[UNIT_COUNT <= 64 ? 64 : 128];
	uint32 unit_count;
	uint32 rate_count;
	uint32 units;		/* offset of RateUnit[unit_count]: codes, customs by name, '*' */
	uint32 rates;		/* offset of Rate[rate_count] */
	uint32 candidates;	/* offset of uint32[]: places in rates */
	uint32 any_slot;	/* the cell of '*' in an epoch; 0 for none */
	uint32 custom_slot; /* the first custom unit's place in units; they end at '*' */
	uint32 reserved2;
} RateSection;

typedef struct RateCard
{
	int32 vl_len_; /* varlena header (do not touch directly!) */
	uint16 format;
	uint16 reserved;
	uint32 hash; /* of all rates: cards with other hashes are other cards */
	uint32 section_count;
	uint32 rate_count;
	uint32 table;			/* offset of uint32[table_size]: sections by hash, 0 for none */
	uint32 table_size;		/* a power of two */
	uint32 table_shift;		/* what leaves so many bits of a hash */
	uint32 no_item;			/* zero: where a section has the length of its item */
	uint32 sections;		/* offset of the first section; they are in canonical order */
	uint32 section_offsets; /* offset of uint32[section_count], in canonical order */
	uint32 spare[5];		/* zero */
} RateCard;

StaticAssertDecl(offsetof(RateCard, no_item) == offsetof(RateSection, item_length),
				 "a card's header is taken for no item's section");

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

static pg_attribute_always_inline NameWords
name_words(const char *name, Size length)
{
	NameWords words = {{0, 0, 0, 0}};

	if (likely(length >= 8))
	{
		words.w[0] = name_word(name);
		words.w[1] = name_word(name + Min(8, length - 8));
		words.w[2] = name_word(name + Min(16, length - 8));
		words.w[3] = name_word(name + length - 8);
	}
	else
		for (Size i = 0; i < length; i++)
			words.w[0] |= (uint64) (unsigned char) name[i] << (8 * i);
	return words;
}

/*
 * Returns the hash of a name, of which the upper bits are the good ones. It is part of
 * no format outside the card, and cheap: a bad spread costs time, not truth.
 */
static pg_attribute_always_inline uint64
name_words_hash(NameWords words)
{
	return words.w[0] * UINT64CONST(0xFF51AFD7ED558CCD) +
		   words.w[1] * UINT64CONST(0xC4CEB9FE1A85EC53) +
		   words.w[2] * UINT64CONST(0xD6E8FEB86659FD93) +
		   words.w[3] * UINT64CONST(0xA0761D6478BD642F);
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

struct Node;
extern RateCard *rate_card_build(const RateSpec *specs, int count, struct Node *escontext);
extern void rate_card_read(const RateCard *card, const RateSection *section, int unit,
						   int rate_in_unit, RateSpec *spec);
extern const RateSection *rate_card_section(const RateCard *card, int number);
extern void rate_spec_valid(RateSpec *spec, const RangeBound *lower, const RangeBound *upper,
							bool empty);
extern bool rate_spec_check(const RateSpec *spec, struct Node *escontext);

/* Returns the card of a Datum, as value_fetch does. */
static inline const RateCard *
rate_card_fetch(Datum datum, UnpackCache **cache, MemoryContext context)
{
	return (const RateCard *) value_fetch(datum, cache, context);
}

/* Says whether a section is an item's, of which these are the words, in the standard variant. */
static pg_attribute_always_inline bool
section_is_standard(const RateSection *section, NameWords words, uint32 item_length)
{
	return ((section->words.w[0] ^ words.w[0]) | (section->words.w[1] ^ words.w[1]) |
			(section->words.w[2] ^ words.w[2]) | (section->words.w[3] ^ words.w[3])) == 0 &&
		   section->item_length == item_length && section->standard;
}

extern const RateSection *rate_card_search(const RateCard *card, const char *item, int item_length,
										   const char *variant, int variant_length);

/*
 * Returns the section of an item in a variant, or NULL where the card has none. Nearly
 * always the standard one of an item stands where its hash says.
 */
static pg_attribute_always_inline const RateSection *
rate_card_find(const RateCard *card, const char *item, uint32 item_length, bool standard,
			   const char *variant, int variant_length)
{
	if (likely(standard))
	{
		NameWords words = name_words(item, item_length);
		const uint32 *table = (const uint32 *) RATE_AT(card, card->table);
		const RateSection *section =
			(const RateSection *) RATE_AT(card, table[name_words_hash(words) >> card->table_shift]);

		/* where there is none this is the card's header: its first word is not zero, its length is */
		if (likely(section_is_standard(section, words, item_length)) &&
			likely(item_length <= sizeof(words)))
			return section;
	}
	return rate_card_search(card, item, item_length, variant, variant_length);
}

/*
 * In which epoch an item's last event was, by its section's hint: a guess, which a look
 * at the epoch's boundaries makes good.
 */
typedef struct RateHints
{
	uint16 epoch[256];
} RateHints;

/* Says whether an instant, which may be infinite, is in an epoch of a section. */
static pg_attribute_always_inline bool
section_in_epoch(const RateCard *card, const RateSection *section, TimestampTz at, uint32 epoch)
{
	const TimestampTz *boundaries = (const TimestampTz *) RATE_AT(card, section->boundaries);

	return epoch < section->epoch_count && at >= boundaries[epoch] && at < boundaries[epoch + 1];
}

extern uint32 section_epoch(const RateCard *card, const RateSection *section, TimestampTz at);

/* Returns the cells of an epoch. */
static inline const RateCell *
section_cells(const RateCard *card, const RateSection *section, uint32 epoch)
{
	return (const RateCell *) RATE_AT(card, section->grid + epoch * section->stride);
}

#endif /* METER_RATE_CARD_H */
