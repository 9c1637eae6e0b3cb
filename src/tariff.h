/*
 * tariff.h: what a quantity is charged, as a value that is read in place.
 */
#ifndef METER_TARIFF_H
#define METER_TARIFF_H

#include "decimal.h"

#include "fmgr.h"

#define TARIFF_VERSION 1
#define TARIFF_MAX_TIERS 1000

/* How a tariff's tiers share a quantity; the codes are stored. */
typedef enum TariffModel
{
	TARIFF_FLAT,	  /* one open tier */
	TARIFF_GRADUATED, /* each tier prices the part that lies in it */
	TARIFF_VOLUME	  /* the tier that the quantity lies in prices all of it */
} TariffModel;

/* How a tier prices its quantity; the codes are stored. */
typedef enum TariffMode
{
	TARIFF_LINEAR,	/* quantity * price / per */
	TARIFF_PERCENT, /* quantity * price / 100 */
	TARIFF_STARTED, /* a price for each package of `per`, a started one too */
	TARIFF_FULL		/* a price for each package of `per` that is full */
} TariffMode;

/* Flags of a tariff and of a tier. */
#define TARIFF_NO_FEE_AT_ZERO 0x01
#define TARIFF_HAS_MAXIMUM 0x02
#define TARIFF_COUNTS 0x04 /* every count in it is valid */
#define TIER_FOLDED 0x01   /* the multiplier is valid */

/*
 * The open end of the last tier is DEC_MAX in up_to. `multiplier` is price / per
 * where that ends within 12 digits, else zero and the tier is not folded.
 *
 * The counts say the same in whole units, for tariffs whose every bound and package
 * is whole, whose multipliers are folded and whose prices fit 64 bits: a whole
 * quantity is then charged by 64-bit arithmetic, and nothing needs rounding.
 * They are zero elsewhere.
 */
typedef struct TariffTier
{
	int64 count_to;	   /* up_to; PG_INT64_MAX at the open end */
	int64 count_price; /* what a unit, or a package, costs */
	int64 count_per;   /* size of a package; zero where the price is linear */
	uint8 mode;
	uint8 flags;
	uint8 reserved[6];
	DecHalves up_to;
	DecHalves price;
	DecHalves per;
	DecHalves fee;
	DecHalves multiplier;
} TariffTier;

/*
 * A detoasted tariff, 8-byte aligned. Equal tariffs have equal bytes: what is
 * reserved or does not apply is zero, and `hash` is that of the bytes behind it.
 */
typedef struct Tariff
{
	int32 vl_len_; /* varlena header (do not touch directly!) */
	uint32 hash;
	uint8 version;
	uint8 model;
	uint8 flags;
	uint8 reserved;
	int32 ntiers;
	DecHalves free;
	DecHalves discount; /* in percent */
	DecHalves maximum;
	DecHalves minimum;
	int64 count_free;
	TariffTier tiers[FLEXIBLE_ARRAY_MEMBER];
} Tariff;

#define TARIFF_SIZE(ntiers) (offsetof(Tariff, tiers) + (Size) (ntiers) * sizeof(TariffTier))

/* The hash is that of the bytes from here on. */
#define TARIFF_HASHED_FROM offsetof(Tariff, version)

/* A tier and a tariff on their way in, before they are checked. */
typedef struct TariffTierDraft
{
	Dec up_to; /* DEC_MAX: open */
	Dec price;
	Dec per;
	Dec fee;
	TariffMode mode;
} TariffTierDraft;

typedef struct TariffDraft
{
	TariffModel model;
	bool no_fee_at_zero;
	bool has_maximum;
	Dec free;
	Dec discount;
	Dec maximum;
	Dec minimum;
	int ntiers;
	int capacity;
	TariffTierDraft *tiers;
} TariffDraft;

extern void tariff_draft_init(TariffDraft *draft, TariffModel model);
extern TariffTierDraft *tariff_draft_add(TariffDraft *draft, struct Node *escontext);
extern Tariff *tariff_build(const TariffDraft *draft, struct Node *escontext);

extern Tariff *tariff_from_text(const char *text, struct Node *escontext);
extern void tariff_to_text(const Tariff *t, StringInfo out);
extern void tariff_write(StringInfo buffer, const Tariff *t);
extern Tariff *tariff_read(StringInfo buffer);

/* One tier's part of a charge. */
typedef struct TariffLine
{
	int tier;
	Dec from;
	Dec quantity;
	Dec fee;
	Dec amount;
} TariffLine;

/* The steps of a charge behind its tiers: each is zero where it changes nothing. */
typedef struct TariffSteps
{
	Dec discount;
	Dec maximum;
	Dec minimum;
} TariffSteps;

extern Dec tariff_charge(const Tariff *t, Dec quantity);
extern Dec tariff_charge_count(const Tariff *t, int64 count);
extern int64 tariff_slope(const Tariff *t, int64 count, int64 *until);
extern Dec tariff_overage(const Tariff *t, Dec quantity);
extern int tariff_lines(const Tariff *t, Dec quantity, TariffLine *lines, TariffSteps *steps);

/* Whether two tariffs are the same value. */
static inline bool
tariff_same(const Tariff *a, const Tariff *b)
{
	if (a == b)
		return true;
	return VARSIZE(a) == VARSIZE(b) && a->hash == b->hash && memcmp(a, b, VARSIZE(a)) == 0;
}

/*
 * The last tariff that had to be unpacked, and the bytes it was unpacked from: a
 * toast pointer, or a compressed value.
 */
typedef struct TariffCache
{
	struct varlena *packed;
	Tariff *tariff;
} TariffCache;

extern const Tariff *tariff_unpack(Datum value, TariffCache **cache, MemoryContext context);

/*
 * Returns the tariff of a Datum: as it lies in memory, or unpacked, once for as long
 * as it stays the same. The cache is the caller's and lives in the context.
 */
static inline const Tariff *
tariff_fetch(Datum value, TariffCache **cache, MemoryContext context)
{
	if (likely(!VARATT_IS_EXTENDED(DatumGetPointer(value))))
		return (const Tariff *) DatumGetPointer(value);
	return tariff_unpack(value, cache, context);
}

#define DatumGetTariffP(X) ((const Tariff *) PG_DETOAST_DATUM(X))
#define PG_GETARG_TARIFF_P(n) DatumGetTariffP(PG_GETARG_DATUM(n))
#define PG_RETURN_TARIFF_P(X) PG_RETURN_POINTER(X)

/* The same through fn_extra, for functions called once a row that use it for nothing else. */
#define PG_GETARG_TARIFF_CACHED(n)                                               \
	tariff_fetch(PG_GETARG_DATUM(n), (TariffCache **) &fcinfo->flinfo->fn_extra, \
				 fcinfo->flinfo->fn_mcxt)

#endif /* METER_TARIFF_H */
