/*
 * txid.c: what the roll-up is exactly-once by.
 *
 * An event carries the number of the transaction that wrote it. A number is 63
 * bits: the epoch, which is 15 bits of the system identifier's hash, above 48 bits
 * of the full transaction id. Inside an epoch numbers grow with the cluster's
 * transactions; the rows of another cluster, restored here or upgraded to this one,
 * are of another epoch and never look as if they had been rolled up here.
 */
#include "compat.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "common/hashfn.h"
#include "utils/builtins.h"

#define TXID_BITS 48

/* Returns the epoch of this cluster. */
static int64
txid_epoch(void)
{
	uint64 identifier = GetSystemIdentifier();
	uint64 hash = hash_bytes_extended((const unsigned char *) &identifier, sizeof(identifier), 0);

	return (int64) (hash >> 49);
}

/* The epoch of the transactions of this cluster. */
PG_FUNCTION_INFO_V1(meter_txid_epoch);
Datum
meter_txid_epoch(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32((int32) txid_epoch());
}

/* The number of the transaction, which gets a transaction id where it has none yet. */
PG_FUNCTION_INFO_V1(meter_txid);
Datum
meter_txid(PG_FUNCTION_ARGS)
{
	uint64 id;

	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("a standby has no transaction ids to give"),
						errhint("Write events to the primary.")));
	id = U64FromFullTransactionId(GetTopFullTransactionId());
	if (id >> TXID_BITS != 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("transaction id " UINT64_FORMAT " has more than %d bits", id, TXID_BITS)));
	PG_RETURN_INT64(txid_epoch() << TXID_BITS | (int64) id);
}

/* Refuses a procedure that commits where the caller has begun a transaction, which it could not end. */
PG_FUNCTION_INFO_V1(meter_refuse_transaction_block);
Datum
meter_refuse_transaction_block(PG_FUNCTION_ARGS)
{
	if (IsTransactionBlock())
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("%s cannot run inside a transaction block",
							   text_to_cstring(PG_GETARG_TEXT_PP(0))),
						errhint("It commits by itself. CALL it outside of BEGIN and COMMIT, as a "
								"statement of its own.")));
	PG_RETURN_VOID();
}
