/*
 * tariff_json.c: tariffs from and to jsonb.
 *
 * The own form mirrors the text, one field a word, and round-trips exactly:
 *
 *   {"model": "flat", "price": 5, "per": 100, "packages": "started", "fee": 10,
 *    "free": 100, "discount": 50, "maximum": 500, "minimum": 20, "fee_at_zero": false}
 *   {"model": "graduated", "tiers": [{"up_to": 500, "percent": 3}, {"price": 0.06}]}
 *
 * Two foreign forms come in: Stripe's price object, and a Lago charge, with its wrapper
 * (charge_model, properties) or the properties alone. Fields that only name or schedule
 * a price are passed over there; a field that says something about the amount which a
 * tariff cannot say exactly is an error that names it. Nothing is guessed.
 *
 * Numbers may be JSON numbers or, as both services write decimals, strings.
 */
#include "tariff.h"

#include "currency.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

static void read_own(JsonbContainer *object, TariffDraft *draft);
static void read_own_price(JsonbContainer *object, const char *path, TariffTierDraft *tier);
static void read_stripe(JsonbContainer *object, TariffDraft *draft);
static void read_stripe_unit(JsonbContainer *object, TariffDraft *draft, int digits);
static void read_stripe_tiers(JsonbContainer *object, TariffDraft *draft, int digits);
static bool get_stripe_amount(JsonbContainer *object, const char *path, const char *field,
							  Dec *minor);
static void set_stripe_price(TariffTierDraft *tier, Dec minor, int digits);
static Dec from_minor(Dec minor, int digits, const char *field);
static int stripe_digits(JsonbContainer *object);
static void read_lago_charge(JsonbContainer *object, TariffDraft *draft);
static void read_lago(JsonbContainer *object, const char *path, const char *model,
					  TariffDraft *draft);
static const char *lago_model(JsonbContainer *properties);
static void read_lago_ranges(JsonbContainer *object, const char *path, const char *field,
							 bool percent, TariffDraft *draft);
static bool has(JsonbContainer *object, const char *key);
static bool get(JsonbContainer *object, const char *key, JsonbValue *value);
static bool get_dec(JsonbContainer *object, const char *path, const char *key, Dec *value);
static Dec need_dec(JsonbContainer *object, const char *path, const char *key);
static char *get_text(JsonbContainer *object, const char *path, const char *key);
static bool get_bool(JsonbContainer *object, const char *path, const char *key, bool otherwise);
static JsonbContainer *get_object(JsonbContainer *object, const char *path, const char *key);
static JsonbContainer *get_array(JsonbContainer *object, const char *path, const char *key);
static JsonbContainer *element(JsonbContainer *array, const char *field, int i, char **path);
static void only(JsonbContainer *object, const char *path, const char *const *known, bool strictly);
static void refuse_if_said(JsonbContainer *object, const char *path, const char *key);
static bool says_nothing(const JsonbValue *value);
pg_noreturn static void refuse(const char *path, const char *key, const char *reason, ...)
	pg_attribute_printf(3, 4);
static void append_field(StringInfo out, const char *key, Dec value);
static void append_price(StringInfo out, const TariffTier *tier);

static const char *const own_flat_fields[] = {"model",	 "price",	"per",		   "packages",
											  "percent", "fee",		"free",		   "discount",
											  "maximum", "minimum", "fee_at_zero", NULL};
static const char *const own_tiers_fields[] = {"model",	  "tiers",	 "free",		"discount",
											   "maximum", "minimum", "fee_at_zero", NULL};
static const char *const own_tier_fields[] = {"up_to",	 "price", "per", "packages",
											  "percent", "fee",	  NULL};
static const char *const stripe_tier_fields[] = {
	"up_to", "unit_amount", "unit_amount_decimal", "flat_amount", "flat_amount_decimal", NULL};
static const char *const stripe_transform_fields[] = {"divide_by", "round", NULL};

PG_FUNCTION_INFO_V1(meter_tariff_from_jsonb);
Datum
meter_tariff_from_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb *jsonb = PG_GETARG_JSONB_P(0);
	JsonbContainer *root = &jsonb->root;
	TariffDraft draft;

	tariff_draft_init(&draft, TARIFF_FLAT);
	if (!JB_ROOT_IS_OBJECT(jsonb))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid tariff in jsonb: it is not an object")));
	if (has(root, "model"))
		read_own(root, &draft);
	else if (has(root, "billing_scheme"))
		read_stripe(root, &draft);
	else if (has(root, "charge_model"))
		read_lago_charge(root, &draft);
	else if (lago_model(root) != NULL)
		read_lago(root, "", lago_model(root), &draft);
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid tariff in jsonb: its form is not known"),
				 errdetail("None of the fields \"model\" (meter's own form), \"billing_scheme\" "
						   "(a Stripe price), \"charge_model\", \"amount\", \"rate\" or "
						   "\"..._ranges\" (a Lago charge) is there.")));
	PG_RETURN_TARIFF_P(tariff_build(&draft, NULL));
}

/* meter's own form */

static void
read_own(JsonbContainer *object, TariffDraft *draft)
{
	const char *model = get_text(object, "", "model");

	if (model != NULL && strcmp(model, "flat") == 0)
	{
		only(object, "", own_flat_fields, true);
		read_own_price(object, "", tariff_draft_add(draft, NULL));
	}
	else if (model != NULL && (strcmp(model, "graduated") == 0 || strcmp(model, "volume") == 0))
	{
		JsonbContainer *tiers = get_array(object, "", "tiers");

		only(object, "", own_tiers_fields, true);
		draft->model = strcmp(model, "volume") == 0 ? TARIFF_VOLUME : TARIFF_GRADUATED;
		if (tiers == NULL)
			refuse("", "tiers", "is missing");
		for (int i = 0; i < (int) JsonContainerSize(tiers); i++)
		{
			char *path;
			JsonbContainer *tier = element(tiers, "tiers", i, &path);
			TariffTierDraft *added = tariff_draft_add(draft, NULL);

			only(tier, path, own_tier_fields, true);
			read_own_price(tier, path, added);
			(void) get_dec(tier, path, "up_to", &added->up_to);
		}
	}
	else
		refuse("", "model", "is none of \"flat\", \"graduated\" and \"volume\"");

	(void) get_dec(object, "", "free", &draft->free);
	(void) get_dec(object, "", "discount", &draft->discount);
	draft->has_maximum = get_dec(object, "", "maximum", &draft->maximum);
	(void) get_dec(object, "", "minimum", &draft->minimum);
	draft->no_fee_at_zero = !get_bool(object, "", "fee_at_zero", true);
}

static void
read_own_price(JsonbContainer *object, const char *path, TariffTierDraft *tier)
{
	const char *packages = get_text(object, path, "packages");

	if (get_dec(object, path, "percent", &tier->price))
	{
		tier->mode = TARIFF_PERCENT;
		if (has(object, "price"))
			refuse(path, "percent", "excludes \"price\"");
		if (has(object, "per") || packages != NULL)
			refuse(path, "percent", "excludes \"per\" and \"packages\"");
	}
	else
	{
		bool per = get_dec(object, path, "per", &tier->per);

		tier->price = need_dec(object, path, "price");
		if (packages != NULL && strcmp(packages, "started") == 0)
			tier->mode = TARIFF_STARTED;
		else if (packages != NULL && strcmp(packages, "full") == 0)
			tier->mode = TARIFF_FULL;
		else if (packages != NULL)
			refuse(path, "packages", "is neither \"started\" nor \"full\"");
		if (packages != NULL && !per)
			refuse(path, "packages", "needs the size of a package in \"per\"");
	}
	(void) get_dec(object, path, "fee", &tier->fee);
}

/* Stripe's price object: amounts are in the minor unit of its currency. */

static void
read_stripe(JsonbContainer *object, TariffDraft *draft)
{
	const char *scheme = get_text(object, "", "billing_scheme");
	int digits = stripe_digits(object);

	refuse_if_said(object, "", "custom_unit_amount");
	if (scheme != NULL && strcmp(scheme, "per_unit") == 0)
		read_stripe_unit(object, draft, digits);
	else if (scheme != NULL && strcmp(scheme, "tiered") == 0)
		read_stripe_tiers(object, draft, digits);
	else
		refuse("", "billing_scheme", "is neither \"per_unit\" nor \"tiered\"");
}

static void
read_stripe_unit(JsonbContainer *object, TariffDraft *draft, int digits)
{
	JsonbContainer *transform = get_object(object, "", "transform_quantity");
	TariffTierDraft *tier = tariff_draft_add(draft, NULL);
	Dec minor;

	refuse_if_said(object, "", "tiers");
	refuse_if_said(object, "", "tiers_mode");
	if (!get_stripe_amount(object, "", "unit_amount", &minor))
		refuse("", "unit_amount_decimal", "is missing, and so is \"unit_amount\"");
	if (transform == NULL)
		set_stripe_price(tier, minor, digits);
	else
	{
		const char *path = "transform_quantity.";
		const char *round = get_text(transform, path, "round");

		only(transform, path, stripe_transform_fields, true);
		if (round != NULL && strcmp(round, "up") == 0)
			tier->mode = TARIFF_STARTED;
		else if (round != NULL && strcmp(round, "down") == 0)
			tier->mode = TARIFF_FULL;
		else
			refuse(path, "round", "is neither \"up\" nor \"down\"");
		tier->per = need_dec(transform, path, "divide_by");
		if (tier->per <= 0)
			refuse(path, "divide_by", "is not above zero");
		tier->price = from_minor(minor, digits, "unit_amount_decimal");
	}
}

static void
read_stripe_tiers(JsonbContainer *object, TariffDraft *draft, int digits)
{
	const char *mode = get_text(object, "", "tiers_mode");
	JsonbContainer *tiers = get_array(object, "", "tiers");

	refuse_if_said(object, "", "unit_amount");
	refuse_if_said(object, "", "unit_amount_decimal");
	refuse_if_said(object, "", "transform_quantity");
	if (mode != NULL && strcmp(mode, "graduated") == 0)
		draft->model = TARIFF_GRADUATED;
	else if (mode != NULL && strcmp(mode, "volume") == 0)
		draft->model = TARIFF_VOLUME;
	else
		refuse("", "tiers_mode", "is neither \"graduated\" nor \"volume\"");
	if (tiers == NULL)
		refuse("", "tiers", "is missing; Stripe leaves it out unless it is asked to expand it");
	for (int i = 0; i < (int) JsonContainerSize(tiers); i++)
	{
		char *path;
		JsonbContainer *tier = element(tiers, "tiers", i, &path);
		TariffTierDraft *added = tariff_draft_add(draft, NULL);
		JsonbValue up_to;
		Dec minor;
		bool unit;
		bool flat;

		only(tier, path, stripe_tier_fields, true);
		if (!(get(tier, "up_to", &up_to) && up_to.type == jbvString && up_to.val.string.len == 3 &&
			  memcmp(up_to.val.string.val, "inf", 3) == 0))
			(void) get_dec(tier, path, "up_to", &added->up_to);
		unit = get_stripe_amount(tier, path, "unit_amount", &minor);
		if (unit)
			set_stripe_price(added, minor, digits);
		flat = get_stripe_amount(tier, path, "flat_amount", &minor);
		if (flat)
			added->fee = from_minor(minor, digits, psprintf("%sflat_amount_decimal", path));
		if (!unit && !flat)
			refuse(path, "unit_amount_decimal", "is missing, and so is every other amount");
	}
}

/* An amount is given as a whole number, as a decimal, or as both, saying the same. */
static bool
get_stripe_amount(JsonbContainer *object, const char *path, const char *field, Dec *minor)
{
	char *decimal_field = psprintf("%s_decimal", field);
	Dec whole;
	bool has_whole = get_dec(object, path, field, &whole);
	bool has_decimal = get_dec(object, path, decimal_field, minor);

	if (has_whole && has_decimal && whole != *minor)
		refuse(path, decimal_field, "is not the same amount as \"%s\"", field);
	if (has_whole)
		*minor = whole;
	return has_whole || has_decimal;
}

/* What does not end within 12 digits in the major unit is a price per 10^digits units. */
static void
set_stripe_price(TariffTierDraft *tier, Dec minor, int digits)
{
	Dec minor_units = DEC_ONE;

	for (int i = 0; i < digits; i++)
		minor_units *= 10;
	if (!dec_divide_exactly(minor, minor_units, &tier->price))
	{
		tier->price = minor;
		tier->per = minor_units;
	}
}

static Dec
from_minor(Dec minor, int digits, const char *field)
{
	Dec minor_units = DEC_ONE;
	Dec major;

	for (int i = 0; i < digits; i++)
		minor_units *= 10;
	if (!dec_divide_exactly(minor, minor_units, &major))
		refuse("", field, "has more than 12 fractional digits in units of its currency");
	return major;
}

/*
 * The digits of Stripe's amounts: ISO 4217's, but for the króna and the Ugandan
 * shilling, which Stripe went on counting in hundredths, and the ariary, which it
 * counts in whole ones.
 */
static int
stripe_digits(JsonbContainer *object)
{
	const char *code = get_text(object, "", "currency");
	int digits;

	if (code == NULL)
		refuse("", "currency", "is missing: amounts are in its minor unit");
	digits = currency_digits(code);
	if (digits < 0)
		refuse("", "currency", "is not a currency of ISO 4217");
	if (pg_strcasecmp(code, "isk") == 0 || pg_strcasecmp(code, "ugx") == 0)
		return 2;
	if (pg_strcasecmp(code, "mga") == 0)
		return 0;
	return digits;
}

/* Lago's charges: amounts are decimals in the currency's major unit. */

static void
read_lago_charge(JsonbContainer *object, TariffDraft *draft)
{
	const char *model = get_text(object, "", "charge_model");
	JsonbContainer *properties = get_object(object, "", "properties");

	if (model == NULL)
		refuse("", "charge_model", "is missing");
	if (properties == NULL)
		refuse("", "properties", "is missing");
	refuse_if_said(object, "", "prorated");
	refuse_if_said(object, "", "min_amount_cents");
	refuse_if_said(object, "", "filters");
	refuse_if_said(object, "", "applied_pricing_unit");
	read_lago(properties, "properties.", model, draft);
}

/* The model that only such properties can be of, or NULL. */
static const char *
lago_model(JsonbContainer *properties)
{
	if (has(properties, "graduated_ranges"))
		return "graduated";
	if (has(properties, "graduated_percentage_ranges"))
		return "graduated_percentage";
	if (has(properties, "volume_ranges"))
		return "volume";
	if (has(properties, "package_size"))
		return "package";
	if (has(properties, "rate"))
		return "percentage";
	if (has(properties, "amount"))
		return "standard";
	return NULL;
}

static void
read_lago(JsonbContainer *object, const char *path, const char *model, TariffDraft *draft)
{
	static const char *const standard[] = {"amount", NULL};
	static const char *const graduated[] = {"graduated_ranges", NULL};
	static const char *const graduated_percentage[] = {"graduated_percentage_ranges", NULL};
	static const char *const volume[] = {"volume_ranges", NULL};
	static const char *const package[] = {"amount", "free_units", "package_size", NULL};
	static const char *const percentage[] = {"rate", "free_units_per_total_aggregation", NULL};
	TariffTierDraft *tier;

	if (strcmp(model, "standard") == 0)
	{
		only(object, path, standard, false);
		tier = tariff_draft_add(draft, NULL);
		tier->price = need_dec(object, path, "amount");
	}
	else if (strcmp(model, "package") == 0)
	{
		only(object, path, package, false);
		tier = tariff_draft_add(draft, NULL);
		tier->mode = TARIFF_STARTED;
		tier->price = need_dec(object, path, "amount");
		tier->per = need_dec(object, path, "package_size");
		(void) get_dec(object, path, "free_units", &draft->free);
	}
	else if (strcmp(model, "percentage") == 0)
	{
		only(object, path, percentage, false);
		tier = tariff_draft_add(draft, NULL);
		tier->mode = TARIFF_PERCENT;
		tier->price = need_dec(object, path, "rate");
		(void) get_dec(object, path, "free_units_per_total_aggregation", &draft->free);
	}
	else if (strcmp(model, "graduated") == 0)
	{
		only(object, path, graduated, false);
		draft->model = TARIFF_GRADUATED;
		read_lago_ranges(object, path, "graduated_ranges", false, draft);
	}
	else if (strcmp(model, "graduated_percentage") == 0)
	{
		only(object, path, graduated_percentage, false);
		draft->model = TARIFF_GRADUATED;
		read_lago_ranges(object, path, "graduated_percentage_ranges", true, draft);
	}
	else if (strcmp(model, "volume") == 0)
	{
		only(object, path, volume, false);
		draft->model = TARIFF_VOLUME;
		read_lago_ranges(object, path, "volume_ranges", false, draft);
	}
	else
		refuse("", "charge_model", "is \"%s\", which a tariff cannot say", model);
}

/*
 * Ranges begin at 0, and each where the one before ends; between whole numbers also one
 * above, which is the same bound: (from, up_to] has no gaps for fractions to fall in.
 */
static void
read_lago_ranges(JsonbContainer *object, const char *path, const char *field, bool percent,
				 TariffDraft *draft)
{
	static const char *const unit_fields[] = {"from_value", "to_value", "per_unit_amount",
											  "flat_amount", NULL};
	static const char *const percent_fields[] = {"from_value", "to_value", "rate", "flat_amount",
												 NULL};
	JsonbContainer *ranges = get_array(object, path, field);
	char *ranges_path = psprintf("%s%s", path, field);
	Dec end = 0;

	if (ranges == NULL)
		refuse(path, field, "is missing");
	for (int i = 0; i < (int) JsonContainerSize(ranges); i++)
	{
		char *range_path;
		JsonbContainer *range = element(ranges, ranges_path, i, &range_path);
		TariffTierDraft *tier = tariff_draft_add(draft, NULL);
		Dec from = need_dec(range, range_path, "from_value");

		only(range, range_path, percent ? percent_fields : unit_fields, false);
		if (from != end &&
			!(i > 0 && end >= 0 && end % DEC_ONE == 0 && from > end && from - end == DEC_ONE))
		{
			char ends_at[DEC_BUFSIZE];

			dec_print(end, ends_at);
			if (i == 0)
				refuse(range_path, "from_value", "is not 0");
			if (end == DEC_MAX)
				refuse(range_path, "from_value", "follows a range without an end");
			refuse(range_path, "from_value",
				   "is not where the range before ends, at %s, nor at the next whole number",
				   ends_at);
		}
		(void) get_dec(range, range_path, "to_value", &tier->up_to);
		tier->mode = percent ? TARIFF_PERCENT : TARIFF_LINEAR;
		tier->price = need_dec(range, range_path, percent ? "rate" : "per_unit_amount");
		(void) get_dec(range, range_path, "flat_amount", &tier->fee);
		end = tier->up_to;
	}
}

/* Reading fields. A field that is null is a field that is not there. */

static bool
has(JsonbContainer *object, const char *key)
{
	JsonbValue value;

	return get(object, key, &value);
}

static bool
get(JsonbContainer *object, const char *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object, key, (int) strlen(key), value) != NULL &&
		   value->type != jbvNull;
}

static bool
get_dec(JsonbContainer *object, const char *path, const char *key, Dec *value)
{
	JsonbValue found;

	if (!get(object, key, &found))
		return false;
	if (found.type == jbvNumeric)
		*value =
			dec_from_numeric(NumericGetDatum(found.val.numeric), psprintf("\"%s%s\"", path, key));
	else if (found.type == jbvString)
	{
		char *text = pnstrdup(found.val.string.val, found.val.string.len);
		const char *end;

		if (!dec_parse(text, &end, value, psprintf("\"%s%s\"", path, key), NULL) || *end != '\0')
			refuse(path, key, "is not a number");
	}
	else
		refuse(path, key, "is not a number");
	return true;
}

static Dec
need_dec(JsonbContainer *object, const char *path, const char *key)
{
	Dec value = 0;

	if (!get_dec(object, path, key, &value))
		refuse(path, key, "is missing");
	return value;
}

static char *
get_text(JsonbContainer *object, const char *path, const char *key)
{
	JsonbValue value;

	if (!get(object, key, &value))
		return NULL;
	if (value.type != jbvString)
		refuse(path, key, "is not a string");
	return pnstrdup(value.val.string.val, value.val.string.len);
}

static bool
get_bool(JsonbContainer *object, const char *path, const char *key, bool otherwise)
{
	JsonbValue value;

	if (!get(object, key, &value))
		return otherwise;
	if (value.type != jbvBool)
		refuse(path, key, "is neither true nor false");
	return value.val.boolean;
}

static JsonbContainer *
get_object(JsonbContainer *object, const char *path, const char *key)
{
	JsonbValue value;

	if (!get(object, key, &value))
		return NULL;
	if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		refuse(path, key, "is not an object");
	return value.val.binary.data;
}

static JsonbContainer *
get_array(JsonbContainer *object, const char *path, const char *key)
{
	JsonbValue value;

	if (!get(object, key, &value))
		return NULL;
	if (value.type != jbvBinary || !JsonContainerIsArray(value.val.binary.data))
		refuse(path, key, "is not an array");
	return value.val.binary.data;
}

/* Returns an array's element, an object, and the path that its fields begin with. */
static JsonbContainer *
element(JsonbContainer *array, const char *field, int i, char **path)
{
	JsonbValue *value = getIthJsonbValueFromContainer(array, i);
	char *place = psprintf("%s[%d]", field, i);

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		refuse("", place, "is not an object");
	*path = psprintf("%s.", place);
	return value->val.binary.data;
}

/*
 * Refuses an object with any other field; where it is foreign, not strictly, with one
 * that says something.
 */
static void
only(JsonbContainer *object, const char *path, const char *const *known, bool strictly)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue value;
	const char *key = "";

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && (strictly || !says_nothing(&value)))
		{
			int i = 0;

			while (known[i] != NULL && strcmp(known[i], key) != 0)
				i++;
			if (known[i] == NULL)
				refuse(path, key,
					   strictly ? "is not a field known here"
								: "says something that a tariff cannot say");
		}
	}
}

static void
refuse_if_said(JsonbContainer *object, const char *path, const char *key)
{
	JsonbValue value;

	if (get(object, key, &value) && !says_nothing(&value))
		refuse(path, key, "says something that a tariff cannot say");
}

/* null, false, zero, and an empty string, array or object */
static bool
says_nothing(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return true;
		case jbvBool:
			return !value->val.boolean;
		case jbvNumeric:
			return DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(value->val.numeric),
													NumericGetDatum(int64_to_numeric(0))));
		case jbvString:
		{
			const char *end;
			Dec number;
			char *text = pnstrdup(value->val.string.val, value->val.string.len);

			/* Lago writes its zeros as strings */
			if (text[0] == '\0')
				return true;
			if (text[0] != '0' || strspn(text, "0.") != strlen(text))
				return false;
			return dec_parse(text, &end, &number, "number", NULL) && *end == '\0' && number == 0;
		}
		case jbvBinary:
			return JsonContainerSize(value->val.binary.data) == 0;
		default:
			return false;
	}
}

static void
refuse(const char *path, const char *key, const char *reason, ...)
{
	StringInfoData why;
	va_list arguments;

	initStringInfo(&why);
	for (;;)
	{
		int needed;

		va_start(arguments, reason);
		needed = appendStringInfoVA(&why, reason, arguments);
		va_end(arguments);
		if (needed == 0)
			break;
		enlargeStringInfo(&why, needed);
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid tariff in jsonb: \"%s%s\" %s", path, key, why.data)));
}

/* Output: the text of the own form, in the order in which it is documented. */
PG_FUNCTION_INFO_V1(meter_tariff_to_jsonb);
Datum
meter_tariff_to_jsonb(PG_FUNCTION_ARGS)
{
	const Tariff *t = PG_GETARG_TARIFF_P(0);
	StringInfoData out;

	initStringInfo(&out);
	if (t->model == TARIFF_FLAT)
	{
		appendStringInfoString(&out, "{\"model\": \"flat\", ");
		append_price(&out, &t->tiers[0]);
	}
	else
	{
		appendStringInfo(&out, "{\"model\": \"%s\", \"tiers\": [",
						 t->model == TARIFF_GRADUATED ? "graduated" : "volume");
		for (int i = 0; i < t->ntiers; i++)
		{
			appendStringInfoString(&out, i == 0 ? "{" : ", {");
			append_price(&out, &t->tiers[i]);
			if (i < t->ntiers - 1)
				append_field(&out, ", \"up_to\"", dec_load(&t->tiers[i].up_to));
			appendStringInfoChar(&out, '}');
		}
		appendStringInfoChar(&out, ']');
	}
	if (dec_load(&t->free) != 0)
		append_field(&out, ", \"free\"", dec_load(&t->free));
	if (dec_load(&t->discount) != 0)
		append_field(&out, ", \"discount\"", dec_load(&t->discount));
	if (t->flags & TARIFF_HAS_MAXIMUM)
		append_field(&out, ", \"maximum\"", dec_load(&t->maximum));
	if (dec_load(&t->minimum) != 0)
		append_field(&out, ", \"minimum\"", dec_load(&t->minimum));
	if (t->flags & TARIFF_NO_FEE_AT_ZERO)
		appendStringInfoString(&out, ", \"fee_at_zero\": false");
	appendStringInfoChar(&out, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(out.data));
}

static void
append_price(StringInfo out, const TariffTier *tier)
{
	append_field(out, tier->mode == TARIFF_PERCENT ? "\"percent\"" : "\"price\"",
				 dec_load(&tier->price));
	if (tier->mode == TARIFF_STARTED || tier->mode == TARIFF_FULL ||
		(tier->mode == TARIFF_LINEAR && dec_load(&tier->per) != DEC_ONE))
		append_field(out, ", \"per\"", dec_load(&tier->per));
	if (tier->mode == TARIFF_STARTED)
		appendStringInfoString(out, ", \"packages\": \"started\"");
	else if (tier->mode == TARIFF_FULL)
		appendStringInfoString(out, ", \"packages\": \"full\"");
	if (dec_load(&tier->fee) != 0)
		append_field(out, ", \"fee\"", dec_load(&tier->fee));
}

static void
append_field(StringInfo out, const char *key, Dec value)
{
	char digits[DEC_BUFSIZE];

	dec_print(value, digits);
	appendStringInfo(out, "%s: %s", key, digits);
}
