/*
 * wallet.h: grants of credits that burn down, as a value that is read in place.
 */
#ifndef METER_WALLET_H
#define METER_WALLET_H

#include "decimal.h"

#include "datatype/timestamp.h"
#include "fmgr.h"

#define WALLET_VERSION 1
#define WALLET_MAX_LOTS 10000
#define WALLET_MAX_NAME 1024

/* How many sums a wallet may have: one for each span and pool; and how many cuts it may be given. */
#define WALLET_MAX_SUMS 1000000
#define WALLET_MAX_CUTS 2000000

/* Flags of a wallet. */
#define WALLET_ABSORBING 0x01 /* a later lot covers earlier overage */
#define WALLET_HAS_BASE 0x02  /* in a state: the sums of the wallet it began with are behind */

/*
 * A grant. Instants that are not there are at the ends of time: effective_at
 * DT_NOBEGIN, expires_at DT_NOEND, rollover_until DT_NOBEGIN where nothing is rolled
 * over. A lot that expires no later than it is effective is void: it is granted and
 * expires at once.
 */
typedef struct WalletLot
{
	TimestampTz effective_at;
	TimestampTz expires_at;
	TimestampTz rollover_until;
	TimestampTz created_at;
	DecHalves amount;
	DecHalves rollover_max;
	DecHalves paid;
	int32 priority;
	int32 pool; /* 0: any consumption may take it */
	int32 id;	/* where its name begins */
	int32 id_length;
} WalletLot;

/* Where the name of a pool is. */
typedef struct WalletPool
{
	int32 name;
	int32 length;
} WalletPool;

/*
 * A detoasted wallet, 8-byte aligned:
 *
 *   TimestampTz bounds[nbounds]    ascending; they cut time into nbounds + 1 spans,
 *                                  half open, and nothing changes inside one
 *   DecHalves sums[spans][pools]   what was consumed there, naming no pool, then each
 *   WalletLot lots[nlots]          in the order in which they are taken
 *   WalletPool pools[npools]       those that lots name, by their bytes
 *   DecHalves base[spans][pools]   only with WALLET_HAS_BASE: what was burned before, and,
 *                                  behind the sums, through which instant
 *   char names[]
 *
 * Bounds are all instants at which a lot changes, and further cuts. A sum of which
 * nothing has been heard is not zero but WALLET_UNHEARD, as a span without events may
 * be cut and one with events may not. Equal wallets have equal bytes.
 *
 * A row of an aggregate touches the header, the bounds and one sum, which all lie in the
 * first 200 bytes for three lots that begin and expire, without pools.
 */
typedef struct Wallet
{
	int32 vl_len_; /* varlena header (do not touch directly!) */
	uint8 version;
	uint8 flags;
	uint16 nlots;
	uint16 npools;
	uint16 reserved;
	int32 nbounds;
	TimestampTz through; /* the last instant burned; DT_NOBEGIN: none */
	uint64 customer;	 /* in a state whose wallet is out of a book; else zero */
} Wallet;

StaticAssertDecl(sizeof(Wallet) == 32 && sizeof(WalletLot) == 96, "what is behind is aligned");

/* No Dec is this. */
#define WALLET_UNHEARD ((Dec) ((uint128) 1 << 127))

static inline bool
wallet_heard(const DecHalves *sum)
{
	return likely(sum->high != PG_INT64_MIN) || sum->low != 0;
}

/* The sum as a number. */
static inline Dec
wallet_sum(const DecHalves *sum)
{
	return wallet_heard(sum) ? dec_load(sum) : 0;
}

/* Adds to a sum; refuses one that does not fit. */
static inline void
wallet_sum_add(DecHalves *sum, Dec amount)
{
	dec_store(sum, dec_add(wallet_sum(sum), amount));
}

static inline int
wallet_nsums(const Wallet *w)
{
	return (w->nbounds + 1) * (w->npools + 1);
}

static inline TimestampTz *
wallet_bounds(const Wallet *w)
{
	return (TimestampTz *) (w + 1);
}

static inline DecHalves *
wallet_sums(const Wallet *w)
{
	return (DecHalves *) (wallet_bounds(w) + w->nbounds);
}

static inline WalletLot *
wallet_lots(const Wallet *w)
{
	return (WalletLot *) (wallet_sums(w) + wallet_nsums(w));
}

static inline WalletPool *
wallet_pools(const Wallet *w)
{
	return (WalletPool *) (wallet_lots(w) + w->nlots);
}

static inline DecHalves *
wallet_base(const Wallet *w)
{
	return (DecHalves *) (wallet_pools(w) + w->npools);
}

static inline char *
wallet_names(const Wallet *w)
{
	return (char *) (wallet_base(w) + (w->flags & WALLET_HAS_BASE ? wallet_nsums(w) + 1 : 0));
}

/* The instants at which a span begins and ends. */
static inline TimestampTz
wallet_span_starts(const Wallet *w, int span)
{
	return span == 0 ? DT_NOBEGIN : wallet_bounds(w)[span - 1];
}

static inline TimestampTz
wallet_span_ends(const Wallet *w, int span)
{
	return span == w->nbounds ? DT_NOEND : wallet_bounds(w)[span];
}

extern int wallet_span_search(const TimestampTz *bounds, int nbounds, TimestampTz at);

/* Returns the span that an instant lies in: how many bounds are not after it. */
static inline int
wallet_span(const Wallet *w, TimestampTz at)
{
	const TimestampTz *bounds = wallet_bounds(w);
	int span = 0;

	if (unlikely(w->nbounds > 16))
		return wallet_span_search(bounds, w->nbounds, at);
	/* a few comparisons without a branch that a processor would have to guess */
	for (int i = 0; i < w->nbounds; i++)
		span += bounds[i] <= at;
	return span;
}

static inline bool
wallet_lot_is_void(const WalletLot *lot)
{
	return lot->expires_at <= lot->effective_at;
}

static inline bool
wallet_lot_rolls_over(const WalletLot *lot)
{
	return lot->rollover_until != DT_NOBEGIN;
}

/* A lot on its way in; its names belong to the caller. */
typedef struct LotDraft
{
	const char *id;
	const char *pool; /* NULL: none */
	int id_length;
	int pool_length;
	int priority;
	TimestampTz effective_at;
	TimestampTz expires_at;
	TimestampTz created_at;
	TimestampTz rollover_until;
	bool has_rollover;
	Dec amount;
	Dec rollover_max;
	Dec paid;
} LotDraft;

/* Shows a name in a message: never more than a line of it. */
#define WALLET_SHOWN(name, length) pg_mbcliplen(name, length, 80), name

/* A wallet on its way in. */
typedef struct WalletDraft
{
	bool absorbing;
	int nlots;
	int ncuts;
	int lots_capacity;
	int cuts_capacity;
	LotDraft *lots;
	TimestampTz *cuts;
} WalletDraft;

extern void lot_draft_init(LotDraft *lot);
extern bool lot_draft_check(LotDraft *lot, struct Node *escontext);
extern void wallet_draft_lot(WalletDraft *draft, const LotDraft *lot);
extern void wallet_draft_cut(WalletDraft *draft, TimestampTz at);
extern void wallet_draft_from(WalletDraft *draft, const Wallet *w);
extern void lot_draft_from(LotDraft *lot, const Wallet *w, int i);
extern Wallet *wallet_build(const WalletDraft *draft, struct Node *escontext);
extern bool *wallet_lots_bounds(const Wallet *w);
extern int wallet_pool_find(const Wallet *w, const char *name, int length);
extern bool wallet_same(const Wallet *a, const Wallet *b);
extern bool wallet_same_lots(const Wallet *a, const Wallet *b);

/* How deep the text of a wallet or a book may be nested: more than it ever is. */
#define WALLET_JSON_DEPTH_MAX 16

struct JsonbContainer;
extern bool wallet_read_json(struct JsonbContainer *root, Wallet **w, struct Node *escontext);
extern char *wallet_text(const Wallet *w);
extern void lot_write(StringInfo buffer, const LotDraft *lot);
extern void lot_read(StringInfo buffer, LotDraft *lot);
extern void wallet_write(StringInfo buffer, const Wallet *w);
extern Wallet *wallet_read(StringInfo buffer);
extern bool wallet_check_through(const Wallet *w, struct Node *escontext);

#define DatumGetWalletP(X) ((const Wallet *) PG_DETOAST_DATUM(X))
#define PG_GETARG_WALLET_P(n) DatumGetWalletP(PG_GETARG_DATUM(n))

/* What became of a lot up to now. */
typedef struct LotState
{
	Dec remaining;
	Dec spent;
	Dec expired;
	Dec rolled_over;
	Dec taken; /* in the span that is walked */
	bool granted;
	bool rolled; /* the expiry in force is rollover_until */
} LotState;

/* Where a lot changes. */
typedef enum LotChangeKind
{
	LOT_STARTS,
	LOT_EXPIRES,
	LOT_ROLLOVER_ENDS
} LotChangeKind;

typedef struct LotChange
{
	TimestampTz at;
	int lot;
	LotChangeKind kind;
} LotChange;

/* The lots that can be taken now, of one pool or of none, in order. */
typedef struct ActiveLots
{
	int *lots;
	int count;
} ActiveLots;

/* What a span did with what one pool's consumption took. */
typedef struct SpanResult
{
	Dec consumed;
	Dec covered;
	Dec overage;
	Dec unapplied;
} SpanResult;

/*
 * A walk over a wallet's spans, in order. Between wallet_walk_enter and
 * wallet_walk_leave the lots are as they are at the span's start.
 */
typedef struct WalletWalk
{
	const Wallet *wallet;
	int span; /* the one entered last; -1 before the first */
	LotState *lots;
	ActiveLots *active; /* of no pool, then of each */
	LotChange *changes;
	int nchanges;
	int next_change;
	Dec *carried;		 /* overage of each pool so far, where a later lot absorbs it */
	SpanResult *results; /* of each pool, for the span left last */
	int *taken;			 /* the lots taken from in the span left last */
	int ntaken;
	SpanResult total; /* over all spans left */
	void (*change)(struct WalletWalk *walk, int lot, LotChangeKind kind, Dec lost, Dec kept);
	void *private;
} WalletWalk;

extern void wallet_walk_init(WalletWalk *walk, const Wallet *w);
extern void wallet_walk_enter(WalletWalk *walk);
extern void wallet_walk_leave(WalletWalk *walk, const DecHalves *sums);
extern void wallet_walk_until(WalletWalk *walk, TimestampTz at);

struct WalletBook;
extern const Wallet *wallet_book_find(const struct WalletBook *book, const char *customer,
									  int length);

extern void wallet_check_at(const Wallet *w, TimestampTz at);
extern void wallet_check_burn_at(TimestampTz at);

#endif /* METER_WALLET_H */
