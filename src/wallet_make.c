/*
 * wallet_make.c: the aggregate that makes a wallet of rows.
 *
 * Its state is the list of lots in the order they came, in one block that a doubled one
 * replaces when it is full.
 */
#include "wallet.h"

#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/timestamp.h"

#define LOT_LIST_VERSION 1
#define LOT_LIST_FIRST_SIZE 1024

/* The aggregate's state: records behind the header. */
typedef struct LotList
{
	int32 vl_len_; /* varlena header: the block's size, used or not */
	uint8 version;
	uint8 reserved[3];
	int32 count;
	int32 used; /* bytes, with this header */
} LotList;

/* A lot in the list: its id, then its pool's name, are behind. */
typedef struct LotRecord
{
	WalletLot lot; /* id is the record's size, pool the length of its name or -1 */
} LotRecord;

static LotList *list_create(int size);
static LotList *list_append(LotList *list, const LotDraft *lot);
static void list_collect(const LotList *list, WalletDraft *draft);

static inline LotList *
list_of(Datum value)
{
	return (LotList *) PG_DETOAST_DATUM(value);
}

static LotList *
list_create(int size)
{
	LotList *list = palloc0(size);

	SET_VARSIZE(list, size);
	list->version = LOT_LIST_VERSION;
	list->used = sizeof(LotList);
	return list;
}

/* Returns the list with a lot more: itself, or a larger copy. */
static LotList *
list_append(LotList *list, const LotDraft *lot)
{
	int pool_length = lot->pool == NULL ? 0 : lot->pool_length;
	int size = (int) MAXALIGN(sizeof(LotRecord) + lot->id_length + pool_length);
	LotRecord *record;
	char *names;

	if (list->count >= WALLET_MAX_LOTS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a wallet has more than %d lots", WALLET_MAX_LOTS),
						errhint("Leave out lots that have long been spent or have expired, or keep "
								"credit types in wallets of their own.")));
	if (size > (int) VARSIZE(list) - list->used)
	{
		LotList *larger = list_create(2 * (int) VARSIZE(list) + size);

		larger->count = list->count;
		larger->used = list->used;
		memcpy(larger + 1, list + 1, list->used - sizeof(LotList));
		list = larger;
	}
	record = (LotRecord *) ((char *) list + list->used);
	record->lot.effective_at = lot->effective_at;
	record->lot.expires_at = lot->expires_at;
	record->lot.rollover_until = lot->rollover_until;
	record->lot.created_at = lot->created_at;
	dec_store(&record->lot.amount, lot->amount);
	dec_store(&record->lot.rollover_max, lot->rollover_max);
	dec_store(&record->lot.paid, lot->paid);
	record->lot.priority = lot->priority;
	record->lot.pool = lot->pool == NULL ? -1 : lot->pool_length;
	record->lot.id = size;
	record->lot.id_length = lot->id_length;
	names = (char *) (record + 1);
	memcpy(names, lot->id, lot->id_length);
	if (lot->pool != NULL)
		memcpy(names + lot->id_length, lot->pool, lot->pool_length);
	list->count++;
	list->used += size;
	return list;
}

/* Adds a list's lots to a draft, which keeps pointing to their names. */
static void
list_collect(const LotList *list, WalletDraft *draft)
{
	const char *p = (const char *) (list + 1);

	for (int i = 0; i < list->count; i++)
	{
		const WalletLot *from = &((const LotRecord *) p)->lot;
		const char *names = p + sizeof(LotRecord);
		LotDraft lot;

		lot.id = names;
		lot.id_length = from->id_length;
		lot.pool = from->pool < 0 ? NULL : names + from->id_length;
		lot.pool_length = Max(from->pool, 0);
		lot.priority = from->priority;
		lot.effective_at = from->effective_at;
		lot.expires_at = from->expires_at;
		lot.created_at = from->created_at;
		lot.rollover_until = from->rollover_until;
		lot.has_rollover = wallet_lot_rolls_over(from);
		lot.amount = dec_load(&from->amount);
		lot.rollover_max = dec_load(&from->rollover_max);
		lot.paid = dec_load(&from->paid);
		wallet_draft_lot(draft, &lot);
		p += from->id;
	}
}

/* Adds a row's lot to the state; refuses one without an id or an amount. */
PG_FUNCTION_INFO_V1(meter_wallet_accum);
Datum
meter_wallet_accum(PG_FUNCTION_ARGS)
{
	LotList *list;
	LotDraft lot;
	text *name;

	lot_draft_init(&lot);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a lot has no %s", PG_ARGISNULL(1) ? "id" : "amount"),
				 errhint("Leave rows without one out with FILTER (WHERE ... IS NOT NULL).")));
	name = PG_GETARG_TEXT_PP(1);
	lot.id = VARDATA_ANY(name);
	lot.id_length = VARSIZE_ANY_EXHDR(name);
	lot.amount = dec_from_numeric(PG_GETARG_DATUM(2), "amount");
	if (!PG_ARGISNULL(3))
	{
		name = PG_GETARG_TEXT_PP(3);
		lot.pool = VARDATA_ANY(name);
		lot.pool_length = VARSIZE_ANY_EXHDR(name);
	}
	if (!PG_ARGISNULL(4))
		lot.priority = PG_GETARG_INT32(4);
	if (!PG_ARGISNULL(5))
		lot.effective_at = PG_GETARG_TIMESTAMPTZ(5);
	if (!PG_ARGISNULL(6))
		lot.expires_at = PG_GETARG_TIMESTAMPTZ(6);
	lot.created_at = PG_ARGISNULL(7) ? lot.effective_at : PG_GETARG_TIMESTAMPTZ(7);
	if (PG_ARGISNULL(8) != PG_ARGISNULL(9))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("lot \"%.*s\" has a rollover_%s but no rollover_%s",
						WALLET_SHOWN(lot.id, lot.id_length), PG_ARGISNULL(8) ? "until" : "max",
						PG_ARGISNULL(8) ? "max" : "until")));
	if (!PG_ARGISNULL(8))
	{
		lot.has_rollover = true;
		lot.rollover_max = dec_from_numeric(PG_GETARG_DATUM(8), "rollover_max");
		lot.rollover_until = PG_GETARG_TIMESTAMPTZ(9);
	}
	if (PG_NARGS() > 10 && !PG_ARGISNULL(10))
		lot.paid = dec_from_numeric(PG_GETARG_DATUM(10), "paid");
	(void) lot_draft_check(&lot, NULL);

	if (PG_ARGISNULL(0))
		list = list_create(LOT_LIST_FIRST_SIZE);
	else
		/* called outside an aggregate, the state is a value and stays as it is */
		list = AggCheckCallContext(fcinfo, NULL)
				   ? list_of(PG_GETARG_DATUM(0))
				   : (LotList *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
	PG_RETURN_POINTER(list_append(list, &lot));
}

/* Returns the state that has the lots of both. */
PG_FUNCTION_INFO_V1(meter_wallet_combine);
Datum
meter_wallet_combine(PG_FUNCTION_ARGS)
{
	LotList *list;
	WalletDraft other = {0};

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_POINTER(list_of(PG_GETARG_DATUM(PG_ARGISNULL(0) ? 1 : 0)));
	list = AggCheckCallContext(fcinfo, NULL)
			   ? list_of(PG_GETARG_DATUM(0))
			   : (LotList *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
	list_collect(list_of(PG_GETARG_DATUM(1)), &other);
	for (int i = 0; i < other.nlots; i++)
		list = list_append(list, &other.lots[i]);
	PG_RETURN_POINTER(list);
}

/* Returns the wallet of the state's lots; of no rows, one without lots. */
PG_FUNCTION_INFO_V1(meter_wallet_final);
Datum
meter_wallet_final(PG_FUNCTION_ARGS)
{
	WalletDraft draft = {0};

	if (!PG_ARGISNULL(0))
		list_collect(list_of(PG_GETARG_DATUM(0)), &draft);
	PG_RETURN_POINTER(wallet_build(&draft, NULL));
}

static void
list_write(StringInfo buffer, const LotList *list)
{
	WalletDraft draft = {0};

	list_collect(list, &draft);
	pq_sendbyte(buffer, LOT_LIST_VERSION);
	pq_sendint32(buffer, draft.nlots);
	for (int i = 0; i < draft.nlots; i++)
		lot_write(buffer, &draft.lots[i]);
}

static LotList *
list_read(StringInfo buffer)
{
	LotList *list = list_create(LOT_LIST_FIRST_SIZE);
	int count;

	wire_need(buffer, 5);
	if (pq_getmsgbyte(buffer) != LOT_LIST_VERSION)
		wire_refuse("meter.wallet_lots", "The version of the format is not known.");
	count = (int32) pq_getmsgint(buffer, 4);
	if (count < 1)
		wire_refuse("meter.wallet_lots", "There is no lot.");
	for (int i = 0; i < count; i++)
	{
		LotDraft lot;

		lot_read(buffer, &lot);
		list = list_append(list, &lot);
	}
	return list;
}

PG_FUNCTION_INFO_V1(meter_wallet_lots_send);
Datum
meter_wallet_lots_send(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	list_write(&buffer, list_of(PG_GETARG_DATUM(0)));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

PG_FUNCTION_INFO_V1(meter_wallet_lots_recv);
Datum
meter_wallet_lots_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(list_read((StringInfo) PG_GETARG_POINTER(0)));
}

/* The text form is the binary form in hexadecimal digits. */
PG_FUNCTION_INFO_V1(meter_wallet_lots_out);
Datum
meter_wallet_lots_out(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	initStringInfo(&buffer);
	list_write(&buffer, list_of(PG_GETARG_DATUM(0)));
	PG_RETURN_CSTRING(wire_to_hex(&buffer));
}

PG_FUNCTION_INFO_V1(meter_wallet_lots_in);
Datum
meter_wallet_lots_in(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;
	LotList *list;

	wire_from_hex(PG_GETARG_CSTRING(0), &buffer);
	list = list_read(&buffer);
	if (buffer.cursor != buffer.len)
		wire_refuse("meter.wallet_lots", "There are bytes behind its end.");
	PG_RETURN_POINTER(list);
}
