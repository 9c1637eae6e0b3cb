/*
 * tariff_io.c: the text and the wire form of a tariff, its equality and its hash.
 *
 * The grammar; keywords in either case, white space free, a closing semicolon
 * tolerated, numbers as in JSON:
 *
 *   tariff   = ( "at" price
 *              | ( "graduated" | "volume" ) ":" { "up to" number "at" price ";" }
 *                                               "above at" price )
 *              { ";" option }
 *   price    = ( number [ "per" [ "started" | "full" ] number ] | number "%" )
 *              [ "plus" number ]
 *   option   = "free" number | "discount" number "%" | "maximum" number
 *            | "minimum" number | "no fee at zero"
 *
 * The output is canonical: options in that order, and what changes nothing left out
 * (`per 1`, `plus 0`, `free 0`, `discount 0%`, `minimum 0`). A single tier is written
 * as the flat form. So equal values are equal texts and equal bytes.
 */
#include "tariff.h"

#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"

/* Longest piece of a text that an error quotes, in bytes. */
#define QUOTED_MAX 200

typedef struct Parser
{
	const char *text;
	const char *token; /* what comes next: a word, a number or one character */
	int length;		   /* its bytes; zero at the end */
	struct Node *escontext;
} Parser;

static bool parse_tariff(Parser *p, TariffDraft *draft);
static bool parse_tiers(Parser *p, TariffDraft *draft);
static bool parse_tier(Parser *p, TariffDraft *draft, bool *open);
static bool parse_price(Parser *p, TariffTierDraft *tier);
static bool parse_options(Parser *p, TariffDraft *draft);
static bool parse_number(Parser *p, Dec *value, const char *what);
static void advance(Parser *p);
static bool is_word(const Parser *p, const char *word);
static bool accept_word(Parser *p, const char *word);
static bool accept_char(Parser *p, char c);
static bool expect_word(Parser *p, const char *word, const char *expected);
static bool unexpected(Parser *p, const char *expected, const char *hint);
static int position(const Parser *p);
static void append_dec(StringInfo out, const char *before, Dec value);
static void append_price(StringInfo out, const TariffTier *tier);
static uint8 recv_code(StringInfo buffer, int limit);
static bool same_tariffs(FunctionCallInfo fcinfo);
static int compare(FunctionCallInfo fcinfo);

PG_FUNCTION_INFO_V1(meter_tariff_in);
Datum
meter_tariff_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(tariff_from_text(PG_GETARG_CSTRING(0), fcinfo->context));
}

/* Returns the tariff that a text says, or NULL with a soft error. */
Tariff *
tariff_from_text(const char *text, struct Node *escontext)
{
	Parser parser = {text, text, 0, escontext};
	TariffDraft draft;

	tariff_draft_init(&draft, TARIFF_FLAT);
	advance(&parser);
	if (!parse_tariff(&parser, &draft))
		return NULL;
	return tariff_build(&draft, escontext);
}

static bool
parse_tariff(Parser *p, TariffDraft *draft)
{
	if (accept_word(p, "at"))
	{
		TariffTierDraft *tier = tariff_draft_add(draft, p->escontext);

		if (tier == NULL || !parse_price(p, tier))
			return false;
	}
	else
	{
		if (accept_word(p, "graduated"))
			draft->model = TARIFF_GRADUATED;
		else if (accept_word(p, "volume"))
			draft->model = TARIFF_VOLUME;
		else
			return unexpected(p, "\"at\", \"graduated:\" or \"volume:\"",
							  "A tariff begins like \"at 0.08\", or like \"graduated: up to 500 "
							  "at 0; above at 0.08\".");
		if (!accept_char(p, ':'))
			return unexpected(p, "\":\"", NULL);
		if (!parse_tiers(p, draft))
			return false;
	}
	return parse_options(p, draft);
}

static bool
parse_tiers(Parser *p, TariffDraft *draft)
{
	bool open;

	for (;;)
	{
		if (!parse_tier(p, draft, &open))
			return false;
		if (open)
			return true;
		if (p->length == 0)
			return unexpected(p, "\"; above at\" and a price",
							  "The last tier must be open: \"above at ...\".");
		if (!accept_char(p, ';'))
			return unexpected(p, "\";\"", NULL);
	}
}

static bool
parse_tier(Parser *p, TariffDraft *draft, bool *open)
{
	Dec up_to = DEC_MAX;
	TariffTierDraft *tier;

	*open = accept_word(p, "above");
	if (!*open)
	{
		if (!accept_word(p, "up"))
			return unexpected(p, "\"up to\" or \"above\"",
							  draft->ntiers > 0 ? "The last tier must be open: \"above at ...\"."
												: NULL);
		if (!expect_word(p, "to", "\"to\"") || !parse_number(p, &up_to, "upper bound"))
			return false;
	}
	if (!expect_word(p, "at", "\"at\" and a price"))
		return false;
	tier = tariff_draft_add(draft, p->escontext);
	if (tier == NULL)
		return false;
	tier->up_to = up_to;
	return parse_price(p, tier);
}

static bool
parse_price(Parser *p, TariffTierDraft *tier)
{
	if (!parse_number(p, &tier->price, "price"))
		return false;
	if (accept_char(p, '%'))
		tier->mode = TARIFF_PERCENT;
	else if (accept_word(p, "per"))
	{
		if (accept_word(p, "started"))
			tier->mode = TARIFF_STARTED;
		else if (accept_word(p, "full"))
			tier->mode = TARIFF_FULL;
		if (!parse_number(p, &tier->per, "number of units"))
			return false;
	}
	if (accept_word(p, "plus") && !parse_number(p, &tier->fee, "fee"))
		return false;
	return true;
}

static bool
parse_options(Parser *p, TariffDraft *draft)
{
	static const char *const names[] = {"free", "discount", "maximum", "minimum", "no"};
	bool given[lengthof(names)] = {false};

	while (p->length != 0)
	{
		Dec *value = NULL;
		int option = -1;

		if (!accept_char(p, ';'))
			return unexpected(p, "\";\" or the end", NULL);
		if (p->length == 0)
			return true;

		for (int i = 0; i < (int) lengthof(names); i++)
			if (is_word(p, names[i]))
				option = i;
		if (option < 0)
			return unexpected(p,
							  "\"free\", \"discount\", \"maximum\", \"minimum\" or \"no fee at "
							  "zero\"",
							  is_word(p, "up") || is_word(p, "above")
								  ? "The open tier \"above at ...\" is the last one."
								  : NULL);
		if (given[option])
			ereturn(
				p->escontext, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("tariff says \"%s\" twice", option == 4 ? "no fee at zero" : names[option]),
				 errdetail("The second one is at character %d.", position(p))));
		given[option] = true;
		advance(p);
		switch (option)
		{
			case 0:
				value = &draft->free;
				break;
			case 1:
				value = &draft->discount;
				break;
			case 2:
				value = &draft->maximum;
				draft->has_maximum = true;
				break;
			case 3:
				value = &draft->minimum;
				break;
			case 4:
				if (!expect_word(p, "fee", "\"fee at zero\"") ||
					!expect_word(p, "at", "\"at zero\"") || !expect_word(p, "zero", "\"zero\""))
					return false;
				draft->no_fee_at_zero = true;
				continue;
		}
		if (!parse_number(p, value, names[option]))
			return false;
		if (option == 1 && !accept_char(p, '%'))
			return unexpected(p, "\"%\"", "A discount is a percentage: \"discount 50%\".");
	}
	return true;
}

static bool
parse_number(Parser *p, Dec *value, const char *what)
{
	const char *end;

	if (!dec_parse(p->token, &end, value, what, p->escontext))
	{
		if (end != p->token)
			return false; /* reported already */
		return unexpected(p, "a number", NULL);
	}
	p->token = end;
	p->length = 0;
	advance(p);
	return true;
}

/* Goes on to the next token. */
static void
advance(Parser *p)
{
	const char *s = p->token + p->length;

	while (*s == ' ' || (*s >= '\t' && *s <= '\r'))
		s++;
	p->token = s;
	p->length = 0;
	if (*s == '\0')
		return;
	while ((s[p->length] >= 'a' && s[p->length] <= 'z') ||
		   (s[p->length] >= 'A' && s[p->length] <= 'Z'))
		p->length++;
	if (p->length == 0)
		while (s[p->length] >= '0' && s[p->length] <= '9')
			p->length++;
	if (p->length == 0)
		p->length = pg_mblen(s);
}

static bool
is_word(const Parser *p, const char *word)
{
	return p->length == (int) strlen(word) && pg_strncasecmp(p->token, word, p->length) == 0;
}

static bool
accept_word(Parser *p, const char *word)
{
	if (!is_word(p, word))
		return false;
	advance(p);
	return true;
}

static bool
accept_char(Parser *p, char c)
{
	if (p->length != 1 || *p->token != c)
		return false;
	advance(p);
	return true;
}

static bool
expect_word(Parser *p, const char *word, const char *expected)
{
	return accept_word(p, word) || unexpected(p, expected, NULL);
}

/* Reports what was expected in place of the next token; returns false. */
static bool
unexpected(Parser *p, const char *expected, const char *hint)
{
	int text_length = (int) strlen(p->text);
	int quoted = pg_mbcliplen(p->text, text_length, QUOTED_MAX);
	int found = pg_mbcliplen(p->token, p->length, QUOTED_MAX);
	bool after_number = false;

	for (const char *before = p->token; before > p->text; before--)
	{
		if (before[-1] != ' ')
		{
			after_number = before[-1] >= '0' && before[-1] <= '9';
			break;
		}
	}

	if (hint == NULL && *p->token == '.')
		hint = "Numbers begin and end with a digit: \"0.08\".";
	else if (hint == NULL && after_number && *p->token != '\0' &&
			 strchr(",_'0123456789", *p->token))
		hint = "Numbers have no thousands separators.";
	else if (hint == NULL && (*p->token == '$' || IS_HIGHBIT_SET(*p->token)))
		hint = "A tariff names no currency: its prices are plain numbers.";

	ereturn(p->escontext, false,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type meter.tariff: \"%.*s%s\"", quoted, p->text,
					quoted < text_length ? "..." : ""),
			 p->length == 0 ? errdetail("Expected %s at character %d, where the text ends.",
										expected, position(p))
							: errdetail("Expected %s at character %d, but found \"%.*s\".",
										expected, position(p), found, p->token),
			 hint ? errhint("%s", hint) : 0));
}

/* The next token's place in the text, in characters, from 1. */
static int
position(const Parser *p)
{
	return pg_mbstrlen_with_len(p->text, (int) (p->token - p->text)) + 1;
}

PG_FUNCTION_INFO_V1(meter_tariff_out);
Datum
meter_tariff_out(PG_FUNCTION_ARGS)
{
	StringInfoData out;

	initStringInfo(&out);
	tariff_to_text(PG_GETARG_TARIFF_P(0), &out);
	PG_RETURN_CSTRING(out.data);
}

/* Appends the canonical text of a tariff. */
void
tariff_to_text(const Tariff *t, StringInfo out)
{
	if (t->model == TARIFF_FLAT)
		append_price(out, &t->tiers[0]);
	else
	{
		appendStringInfoString(out, t->model == TARIFF_GRADUATED ? "graduated:" : "volume:");
		for (int i = 0; i < t->ntiers; i++)
		{
			if (i < t->ntiers - 1)
				append_dec(out, " up to ", dec_load(&t->tiers[i].up_to));
			else
				appendStringInfoString(out, " above");
			appendStringInfoChar(out, ' ');
			append_price(out, &t->tiers[i]);
			if (i < t->ntiers - 1)
				appendStringInfoChar(out, ';');
		}
	}
	if (dec_load(&t->free) != 0)
		append_dec(out, "; free ", dec_load(&t->free));
	if (dec_load(&t->discount) != 0)
	{
		append_dec(out, "; discount ", dec_load(&t->discount));
		appendStringInfoChar(out, '%');
	}
	if (t->flags & TARIFF_HAS_MAXIMUM)
		append_dec(out, "; maximum ", dec_load(&t->maximum));
	if (dec_load(&t->minimum) != 0)
		append_dec(out, "; minimum ", dec_load(&t->minimum));
	if (t->flags & TARIFF_NO_FEE_AT_ZERO)
		appendStringInfoString(out, "; no fee at zero");
}

static void
append_price(StringInfo out, const TariffTier *tier)
{
	append_dec(out, "at ", dec_load(&tier->price));
	switch (tier->mode)
	{
		case TARIFF_LINEAR:
			if (dec_load(&tier->per) != DEC_ONE)
				append_dec(out, " per ", dec_load(&tier->per));
			break;
		case TARIFF_PERCENT:
			appendStringInfoChar(out, '%');
			break;
		case TARIFF_STARTED:
			append_dec(out, " per started ", dec_load(&tier->per));
			break;
		case TARIFF_FULL:
			append_dec(out, " per full ", dec_load(&tier->per));
			break;
	}
	if (dec_load(&tier->fee) != 0)
		append_dec(out, " plus ", dec_load(&tier->fee));
}

static void
append_dec(StringInfo out, const char *before, Dec value)
{
	char digits[DEC_BUFSIZE];

	dec_print(value, digits);
	appendStringInfoString(out, before);
	appendStringInfoString(out, digits);
}

PG_FUNCTION_INFO_V1(meter_tariff_send);
Datum
meter_tariff_send(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	tariff_write(&buffer, PG_GETARG_TARIFF_P(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

PG_FUNCTION_INFO_V1(meter_tariff_recv);
Datum
meter_tariff_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_TARIFF_P(tariff_read((StringInfo) PG_GETARG_POINTER(0)));
}

/*
 * Appends a tariff's wire form: version, model, flags (no fee at zero, has a maximum),
 * number of tiers in 16 bits, free, discount, maximum, minimum; then for each tier its
 * mode, upper bound, price, per and fee. Nothing that can be derived is sent.
 */
void
tariff_write(StringInfo buffer, const Tariff *t)
{
	pq_sendbyte(buffer, TARIFF_VERSION);
	pq_sendbyte(buffer, t->model);
	pq_sendbyte(buffer, t->flags & (TARIFF_NO_FEE_AT_ZERO | TARIFF_HAS_MAXIMUM));
	pq_sendint16(buffer, t->ntiers);
	dec_send(buffer, dec_load(&t->free));
	dec_send(buffer, dec_load(&t->discount));
	dec_send(buffer, dec_load(&t->maximum));
	dec_send(buffer, dec_load(&t->minimum));
	for (int i = 0; i < t->ntiers; i++)
	{
		const TariffTier *tier = &t->tiers[i];

		pq_sendbyte(buffer, tier->mode);
		dec_send(buffer, dec_load(&tier->up_to));
		dec_send(buffer, dec_load(&tier->price));
		dec_send(buffer, dec_load(&tier->per));
		dec_send(buffer, dec_load(&tier->fee));
	}
}

/* Reads what tariff_write wrote; refuses what no text could say. */
Tariff *
tariff_read(StringInfo buffer)
{
	TariffDraft draft;
	uint8 flags;
	int ntiers;

	if (recv_code(buffer, PG_UINT8_MAX) != TARIFF_VERSION)
		wire_refuse("meter.tariff", "The version of the format is not known.");
	tariff_draft_init(&draft, recv_code(buffer, TARIFF_VOLUME));
	flags = recv_code(buffer, TARIFF_NO_FEE_AT_ZERO | TARIFF_HAS_MAXIMUM);
	ntiers = recv_code(buffer, PG_UINT8_MAX) << 8;
	ntiers |= recv_code(buffer, PG_UINT8_MAX);
	draft.no_fee_at_zero = (flags & TARIFF_NO_FEE_AT_ZERO) != 0;
	draft.has_maximum = (flags & TARIFF_HAS_MAXIMUM) != 0;
	draft.free = dec_recv(buffer);
	draft.discount = dec_recv(buffer);
	draft.maximum = dec_recv(buffer);
	draft.minimum = dec_recv(buffer);
	if (!draft.has_maximum && draft.maximum != 0)
		wire_refuse("meter.tariff", "There is a maximum where there is none.");
	for (int i = 0; i < ntiers; i++)
	{
		TariffTierDraft *tier = tariff_draft_add(&draft, NULL);

		tier->mode = recv_code(buffer, TARIFF_FULL);
		tier->up_to = dec_recv(buffer);
		tier->price = dec_recv(buffer);
		tier->per = dec_recv(buffer);
		tier->fee = dec_recv(buffer);
		if (tier->mode == TARIFF_PERCENT && tier->per != 100 * DEC_ONE)
			wire_refuse("meter.tariff", "A percentage is not per 100.");
	}
	return tariff_build(&draft, NULL);
}

static uint8
recv_code(StringInfo buffer, int limit)
{
	int code;

	wire_need(buffer, 1);
	code = (uint8) pq_getmsgbyte(buffer);
	if (code > limit)
		wire_refuse("meter.tariff", "A code is not known.");
	return (uint8) code;
}

PG_FUNCTION_INFO_V1(meter_tariff_eq);
Datum
meter_tariff_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(same_tariffs(fcinfo));
}

PG_FUNCTION_INFO_V1(meter_tariff_ne);
Datum
meter_tariff_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!same_tariffs(fcinfo));
}

/* These are called in long loops of sorts and hashes: they leave no copy behind. */
static bool
same_tariffs(FunctionCallInfo fcinfo)
{
	const Tariff *a = PG_GETARG_TARIFF_P(0);
	const Tariff *b = PG_GETARG_TARIFF_P(1);
	bool same = tariff_same(a, b);

	PG_FREE_IF_COPY((void *) a, 0);
	PG_FREE_IF_COPY((void *) b, 1);
	return same;
}

/* The order of stored bytes: without a meaning, but total, and the same as equality. */
static int
compare(FunctionCallInfo fcinfo)
{
	const Tariff *a = PG_GETARG_TARIFF_P(0);
	const Tariff *b = PG_GETARG_TARIFF_P(1);
	Size size_a = VARSIZE(a) - TARIFF_HASHED_FROM;
	Size size_b = VARSIZE(b) - TARIFF_HASHED_FROM;
	int order = memcmp((const char *) a + TARIFF_HASHED_FROM, (const char *) b + TARIFF_HASHED_FROM,
					   Min(size_a, size_b));

	PG_FREE_IF_COPY((void *) a, 0);
	PG_FREE_IF_COPY((void *) b, 1);
	if (order != 0)
		return order < 0 ? -1 : 1;
	return size_a == size_b ? 0 : (size_a < size_b ? -1 : 1);
}

PG_FUNCTION_INFO_V1(meter_tariff_cmp);
Datum
meter_tariff_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

PG_FUNCTION_INFO_V1(meter_tariff_lt);
Datum
meter_tariff_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(meter_tariff_le);
Datum
meter_tariff_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(meter_tariff_gt);
Datum
meter_tariff_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(meter_tariff_ge);
Datum
meter_tariff_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(meter_tariff_hash);
Datum
meter_tariff_hash(PG_FUNCTION_ARGS)
{
	const Tariff *t = PG_GETARG_TARIFF_P(0);
	uint32 hash = t->hash;

	PG_FREE_IF_COPY((void *) t, 0);
	PG_RETURN_UINT32(hash);
}

/* The hash of 64 bits; its lower half is the hash of 32 where the seed is zero. */
PG_FUNCTION_INFO_V1(meter_tariff_hash_extended);
Datum
meter_tariff_hash_extended(PG_FUNCTION_ARGS)
{
	const Tariff *t = PG_GETARG_TARIFF_P(0);
	uint64 hash =
		hash_bytes_extended((const unsigned char *) t + TARIFF_HASHED_FROM,
							(int) (VARSIZE(t) - TARIFF_HASHED_FROM), (uint64) PG_GETARG_INT64(1));

	PG_FREE_IF_COPY((void *) t, 0);
	PG_RETURN_UINT64(hash);
}
