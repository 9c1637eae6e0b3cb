/*
 * wallet_book.c: the wallets of many customers as one value, so that burning for all of
 * them needs no join.
 *
 * The bytes are a header, a record for each customer in the order of their names, and
 * an open-addressed table of where the records are, of which more than half is empty.
 * While the aggregate that makes a book runs, its state is a book without the table,
 * with records in the order of arrival and room behind them; it doubles when it is full.
 */
#include "wallet.h"

#include "customer.h"
#include "instant.h"

#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#define BOOK_VERSION 1
#define BOOK_FIRST_SIZE 8192

typedef struct WalletBook
{
	int32 vl_len_; /* varlena header: the block's size, used or not */
	uint8 version;
	uint8 reserved[3];
	int32 count;
	uint32 used;   /* bytes, with this header, without the table */
	uint32 nslots; /* of the table, a power of two; 0: there is none yet */
	uint32 padding;
} WalletBook;

/* A customer: the name is behind, then, aligned, the wallet. */
typedef struct BookRecord
{
	uint64 word;
	uint32 size;
	int32 name_length;
} BookRecord;

StaticAssertDecl(sizeof(WalletBook) == 24 && sizeof(BookRecord) == 16, "records are aligned");

static WalletBook *book_create(Size size);
static WalletBook *book_append(WalletBook *book, const char *name, int length, const Wallet *w);
static WalletBook *book_finish(const WalletBook *book, struct Node *escontext);
static const BookRecord **book_records(const WalletBook *book);
static int compare_records(const void *a, const void *b);

static inline const char *
record_name(const BookRecord *record)
{
	return (const char *) (record + 1);
}

static inline const Wallet *
record_wallet(const BookRecord *record)
{
	return (const Wallet *) (record_name(record) + MAXALIGN(record->name_length));
}

static inline uint32 *
book_slots(const WalletBook *book)
{
	return (uint32 *) ((char *) book + book->used);
}

static inline WalletBook *
book_of(Datum value)
{
	return (WalletBook *) PG_DETOAST_DATUM(value);
}

/* Returns the wallet of a customer, NULL for one that is not in the book. */
const Wallet *
wallet_book_find(const WalletBook *book, const char *customer, int length)
{
	uint64 word = customer_word(customer, length);

	if (book->nslots == 0)
		return NULL;
	for (uint32 slot = (uint32) word & (book->nslots - 1);; slot = (slot + 1) & (book->nslots - 1))
	{
		uint32 offset = book_slots(book)[slot];
		const BookRecord *record = (const BookRecord *) ((const char *) book + offset);

		if (offset == 0)
			return NULL;
		if (record->word == word && record->name_length == length &&
			memcmp(record_name(record), customer, length) == 0)
			return record_wallet(record);
	}
}

static WalletBook *
book_create(Size size)
{
	WalletBook *book;

	if (size > MaxAllocSize)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a book of wallets is larger than a value can be"),
						errhint("Join the customers to their wallets instead.")));
	book = palloc0(size);
	SET_VARSIZE(book, size);
	book->version = BOOK_VERSION;
	book->used = sizeof(WalletBook);
	return book;
}

/* Returns a state with a customer more: itself, or a larger copy. */
static WalletBook *
book_append(WalletBook *book, const char *name, int length, const Wallet *w)
{
	Size size = sizeof(BookRecord) + MAXALIGN(length) + MAXALIGN(VARSIZE(w));
	BookRecord *record;

	if (book->nslots != 0 || size > VARSIZE(book) - book->used)
	{
		WalletBook *larger = book_create(Max((Size) BOOK_FIRST_SIZE, 2 * (Size) book->used) + size);

		larger->count = book->count;
		larger->used = book->used;
		memcpy(larger + 1, book + 1, book->used - sizeof(WalletBook));
		book = larger;
	}
	record = (BookRecord *) ((char *) book + book->used);
	record->word = customer_word(name, length);
	record->size = (uint32) size;
	record->name_length = length;
	memcpy((char *) record_name(record), name, length);
	memcpy((char *) record_wallet(record), w, VARSIZE(w));
	book->count++;
	book->used += size;
	return book;
}

/* Returns pointers to a book's records, in their order. */
static const BookRecord **
book_records(const WalletBook *book)
{
	const BookRecord **records = palloc(Max(book->count, 1) * sizeof(BookRecord *));
	const char *p = (const char *) (book + 1);

	for (int i = 0; i < book->count; i++)
	{
		records[i] = (const BookRecord *) p;
		p += records[i]->size;
	}
	return records;
}

static int
compare_records(const void *a, const void *b)
{
	const BookRecord *x = *(const BookRecord *const *) a;
	const BookRecord *y = *(const BookRecord *const *) b;
	int order = memcmp(record_name(x), record_name(y), Min(x->name_length, y->name_length));

	return order != 0 ? order : x->name_length - y->name_length;
}

/* Returns pointers to a book's records by the customers' names: a state's are not sorted. */
static const BookRecord **
book_sorted(const WalletBook *book)
{
	const BookRecord **records = book_records(book);

	qsort(records, book->count, sizeof(BookRecord *), compare_records);
	return records;
}

/*
 * Returns the book of a state: sorted, with a table; returns NULL after a soft error
 * where a customer is in it twice.
 */
static WalletBook *
book_finish(const WalletBook *book, struct Node *escontext)
{
	const BookRecord **records = book_sorted(book);
	uint32 nslots = 4;
	WalletBook *finished;
	char *p;

	for (int i = 1; i < book->count; i++)
		if (compare_records(&records[i - 1], &records[i]) == 0)
			ereturn(escontext, NULL,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a book has customer \"%.*s\" twice",
							pg_mbcliplen(record_name(records[i]), records[i]->name_length, 80),
							record_name(records[i])),
					 errdetail("A customer has one wallet in a book."),
					 errhint("Aggregate the lots of each customer into one wallet first.")));
	while (nslots < 2 * (uint32) book->count)
		nslots *= 2;
	finished = book_create(book->used + (Size) nslots * sizeof(uint32));
	finished->count = book->count;
	finished->used = book->used;
	finished->nslots = nslots;
	p = (char *) (finished + 1);
	for (int i = 0; i < book->count; i++)
	{
		uint32 slot = (uint32) records[i]->word & (nslots - 1);

		memcpy(p, records[i], records[i]->size);
		while (book_slots(finished)[slot] != 0)
			slot = (slot + 1) & (nslots - 1);
		book_slots(finished)[slot] = (uint32) (p - (char *) finished);
		p += records[i]->size;
	}
	pfree(records);
	return finished;
}

/* Adds a row's customer to the state; a row that lacks one or a wallet is left out. */
static Datum
accumulate(FunctionCallInfo fcinfo, const char *name, int length)
{
	WalletBook *book;

	if (PG_ARGISNULL(0))
		book = book_create(BOOK_FIRST_SIZE);
	else
		/* called outside an aggregate, the state is a value and stays as it is */
		book = AggCheckCallContext(fcinfo, NULL)
				   ? book_of(PG_GETARG_DATUM(0))
				   : (WalletBook *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
	PG_RETURN_POINTER(book_append(book, name, length, PG_GETARG_WALLET_P(2)));
}

PG_FUNCTION_INFO_V1(meter_wallet_book_accum);
Datum
meter_wallet_book_accum(PG_FUNCTION_ARGS)
{
	text *name;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	name = PG_GETARG_TEXT_PP(1);
	return accumulate(fcinfo, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
}

PG_FUNCTION_INFO_V1(meter_wallet_book_accum_id);
Datum
meter_wallet_book_accum_id(PG_FUNCTION_ARGS)
{
	char digits[MAXINT8LEN + 1];

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	return accumulate(fcinfo, digits, pg_lltoa(PG_GETARG_INT64(1), digits));
}

/* Returns the state that has the customers of both. */
PG_FUNCTION_INFO_V1(meter_wallet_book_combine);
Datum
meter_wallet_book_combine(PG_FUNCTION_ARGS)
{
	WalletBook *book;
	const WalletBook *other;
	const BookRecord **records;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_POINTER(book_of(PG_GETARG_DATUM(PG_ARGISNULL(0) ? 1 : 0)));
	book = AggCheckCallContext(fcinfo, NULL)
			   ? book_of(PG_GETARG_DATUM(0))
			   : (WalletBook *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
	other = book_of(PG_GETARG_DATUM(1));
	records = book_records(other);
	for (int i = 0; i < other->count; i++)
		book = book_append(book, record_name(records[i]), records[i]->name_length,
						   record_wallet(records[i]));
	PG_RETURN_POINTER(book);
}

/* Returns the book of a state; of no rows, one without customers. */
PG_FUNCTION_INFO_V1(meter_wallet_book_final);
Datum
meter_wallet_book_final(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(book_finish(book_create(sizeof(WalletBook)), NULL));
	PG_RETURN_POINTER(book_finish(book_of(PG_GETARG_DATUM(0)), NULL));
}

/* Reads a book's text: a JSON object with a wallet for each customer. */
PG_FUNCTION_INFO_V1(meter_wallet_book_in);
Datum
meter_wallet_book_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);
	struct Node *escontext = fcinfo->context;
	WalletBook *book = book_create(BOOK_FIRST_SIZE);
	Jsonb *json;
	Datum value;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue key;

	if (json_is_deeper(text, WALLET_JSON_DEPTH_MAX))
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("a book of wallets is nested more than %d deep", WALLET_JSON_DEPTH_MAX)));
	if (!input_jsonb(text, escontext, &value))
		PG_RETURN_NULL();
	json = DatumGetJsonbP(value);
	if (!JB_ROOT_IS_OBJECT(json))
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("a book of wallets is a JSON object with a key a customer"),
				 errhint("The aggregate meter.wallet_book makes one.")));
	iterator = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		JsonbValue element;
		Wallet *w;

		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &element, true);
		if (element.type != jbvBinary)
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("the wallet of customer \"%.*s\" is not a JSON object",
							pg_mbcliplen(key.val.string.val, key.val.string.len, 80),
							key.val.string.val)));
		if (!wallet_read_json(element.val.binary.data, &w, escontext))
			PG_RETURN_NULL();
		book = book_append(book, key.val.string.val, key.val.string.len, w);
	}
	book = book_finish(book, escontext);
	if (book == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(book);
}

/* Returns a book's text, customers in the order of their names. */
PG_FUNCTION_INFO_V1(meter_wallet_book_out);
Datum
meter_wallet_book_out(PG_FUNCTION_ARGS)
{
	const WalletBook *book = book_of(PG_GETARG_DATUM(0));
	const BookRecord **records = book_sorted(book);
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	for (int i = 0; i < book->count; i++)
	{
		char *text = wallet_text(record_wallet(records[i]));

		if (i > 0)
			appendStringInfoString(&out, ", ");
		json_text_print(&out, record_name(records[i]), records[i]->name_length);
		appendStringInfo(&out, ": %s", text);
		pfree(text);
	}
	appendStringInfoChar(&out, '}');
	PG_RETURN_CSTRING(out.data);
}

PG_FUNCTION_INFO_V1(meter_wallet_book_send);
Datum
meter_wallet_book_send(PG_FUNCTION_ARGS)
{
	const WalletBook *book = book_of(PG_GETARG_DATUM(0));
	const BookRecord **records = book_sorted(book);
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendbyte(&buffer, BOOK_VERSION);
	pq_sendint32(&buffer, book->count);
	for (int i = 0; i < book->count; i++)
	{
		send_counted_text(&buffer, record_name(records[i]), records[i]->name_length);
		wallet_write(&buffer, record_wallet(records[i]));
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

PG_FUNCTION_INFO_V1(meter_wallet_book_recv);
Datum
meter_wallet_book_recv(PG_FUNCTION_ARGS)
{
	StringInfo buffer = (StringInfo) PG_GETARG_POINTER(0);
	WalletBook *book = book_create(BOOK_FIRST_SIZE);
	int count;

	wire_need(buffer, 5);
	if (pq_getmsgbyte(buffer) != BOOK_VERSION)
		wire_refuse("meter.wallet_book", "The version of the format is not known.");
	count = (int32) pq_getmsgint(buffer, 4);
	if (count < 0)
		wire_refuse("meter.wallet_book", "The number of customers is negative.");
	for (int i = 0; i < count; i++)
	{
		int bytes;
		int length;
		const char *name;

		wire_need(buffer, 4);
		bytes = (int32) pq_getmsgint(buffer, 4);
		wire_need(buffer, bytes);
		name = pq_getmsgtext(buffer, bytes, &length);
		if (memchr(name, '\0', length) != NULL)
			wire_refuse("meter.wallet_book", "A name has a zero byte.");
		book = book_append(book, name, length, wallet_read(buffer));
	}
	PG_RETURN_POINTER(book_finish(book, NULL));
}
