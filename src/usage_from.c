/*
 * usage_from.c: what a provider's payload reports, as disjoint buckets.
 *
 * Providers count the same tokens in different ways: OpenAI and Google count cached
 * tokens inside the input, Anthropic beside it; Google counts thoughts outside the
 * output. Each kind of payload is first brought into one form, in which a whole
 * includes its parts, a count per well-known unit. Then one rule makes the buckets
 * disjoint, over the units' lattice: a bucket is its count without the buckets of
 * everything that is a kind of it.
 *
 * Where a payload counts cached tokens and audio tokens, but not the cached audio
 * tokens, nobody can say how many are both. None are taken to be; where that cannot be,
 * the payload is refused. Text is no bucket: it is what a plain unit counts, payloads
 * list it next to dimensions that it overlaps with, and no price tells them apart. It
 * is checked and left out.
 */
#include "usage.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

/* A count, and the field that it comes from. */
typedef struct Count
{
	bool given;
	Dec quantity;
	const char *object; /* NULL: the usage object itself */
	const char *field;
} Count;

typedef struct Counts
{
	Count of[UNIT_COUNT];
} Counts;

/* A field of a payload, and the unit it counts; lists end with a NULL field. */
typedef struct Field
{
	const char *field;
	int unit;
} Field;

/* The modalities of a whole: they are apart from one another. */
typedef struct Modalities
{
	uint8 whole;
	uint8 text;
	uint8 others[3];
} Modalities;

typedef enum Modality
{
	MODALITY_TEXT,
	MODALITY_AUDIO,
	MODALITY_IMAGE,
	MODALITY_VIDEO,
	MODALITY_COUNT
} Modality;

static const Modalities modalities[] = {
	{UNIT_INPUT_TOKENS,
	 UNIT_INPUT_TEXT_TOKENS,
	 {UNIT_INPUT_AUDIO_TOKENS, UNIT_INPUT_IMAGE_TOKENS, UNIT_INPUT_VIDEO_TOKENS}},
	{UNIT_INPUT_TOOL_TOKENS,
	 UNIT_INPUT_TEXT_TOOL_TOKENS,
	 {UNIT_INPUT_AUDIO_TOOL_TOKENS, UNIT_INPUT_IMAGE_TOOL_TOKENS, UNIT_INPUT_VIDEO_TOOL_TOKENS}},
	{UNIT_CACHE_READ_TOKENS,
	 UNIT_CACHE_TEXT_READ_TOKENS,
	 {UNIT_CACHE_AUDIO_READ_TOKENS, UNIT_CACHE_IMAGE_READ_TOKENS, UNIT_CACHE_VIDEO_READ_TOKENS}},
	{UNIT_CACHE_WRITE_TOKENS,
	 UNIT_CACHE_TEXT_WRITE_TOKENS,
	 {UNIT_CACHE_AUDIO_WRITE_TOKENS, UNIT_CACHE_IMAGE_WRITE_TOKENS, UNIT_CACHE_VIDEO_WRITE_TOKENS}},
	{UNIT_CACHE_WRITE_5M_TOKENS,
	 UNIT_CACHE_TEXT_WRITE_5M_TOKENS,
	 {UNIT_CACHE_AUDIO_WRITE_5M_TOKENS, UNIT_CACHE_IMAGE_WRITE_5M_TOKENS,
	  UNIT_CACHE_VIDEO_WRITE_5M_TOKENS}},
	{UNIT_CACHE_WRITE_1H_TOKENS,
	 UNIT_CACHE_TEXT_WRITE_1H_TOKENS,
	 {UNIT_CACHE_AUDIO_WRITE_1H_TOKENS, UNIT_CACHE_IMAGE_WRITE_1H_TOKENS,
	  UNIT_CACHE_VIDEO_WRITE_1H_TOKENS}},
	{UNIT_OUTPUT_TOKENS,
	 UNIT_OUTPUT_TEXT_TOKENS,
	 {UNIT_OUTPUT_AUDIO_TOKENS, UNIT_OUTPUT_IMAGE_TOKENS, UNIT_OUTPUT_VIDEO_TOKENS}},
	{UNIT_OUTPUT_REASONING_TOKENS,
	 UNIT_OUTPUT_TEXT_REASONING_TOKENS,
	 {UNIT_OUTPUT_AUDIO_REASONING_TOKENS, UNIT_OUTPUT_IMAGE_REASONING_TOKENS,
	  UNIT_OUTPUT_VIDEO_REASONING_TOKENS}},
	{UNIT_OUTPUT_CITATION_TOKENS,
	 UNIT_OUTPUT_TEXT_CITATION_TOKENS,
	 {UNIT_OUTPUT_AUDIO_CITATION_TOKENS, UNIT_OUTPUT_IMAGE_CITATION_TOKENS,
	  UNIT_OUTPUT_VIDEO_CITATION_TOKENS}},
};

/* OpenAI: the names of chat completions, of responses, and those that others add. */
static const Field openai_fields[] = {
	{"prompt_tokens", UNIT_INPUT_TOKENS},
	{"input_tokens", UNIT_INPUT_TOKENS},
	{"completion_tokens", UNIT_OUTPUT_TOKENS},
	{"output_tokens", UNIT_OUTPUT_TOKENS},
	{"prompt_cache_hit_tokens", UNIT_CACHE_READ_TOKENS},
	{"cached_tokens", UNIT_CACHE_READ_TOKENS},
	{"seconds", UNIT_AUDIO_SECONDS},
	{NULL},
};
static const char *const openai_input_details[] = {"prompt_tokens_details", "input_tokens_details",
												   "input_token_details"};
static const Field openai_input_fields[] = {
	{"cached_tokens", UNIT_CACHE_READ_TOKENS},
	{"cache_write_tokens", UNIT_CACHE_WRITE_TOKENS},
	{"text_tokens", UNIT_INPUT_TEXT_TOKENS},
	{"audio_tokens", UNIT_INPUT_AUDIO_TOKENS},
	{"image_tokens", UNIT_INPUT_IMAGE_TOKENS},
	{"video_tokens", UNIT_INPUT_VIDEO_TOKENS},
	{NULL},
};
static const Field openai_cached_fields[] = {
	{"text_tokens", UNIT_CACHE_TEXT_READ_TOKENS},
	{"audio_tokens", UNIT_CACHE_AUDIO_READ_TOKENS},
	{"image_tokens", UNIT_CACHE_IMAGE_READ_TOKENS},
	{"video_tokens", UNIT_CACHE_VIDEO_READ_TOKENS},
	{NULL},
};
static const char *const openai_output_details[] = {
	"completion_tokens_details", "output_tokens_details", "output_token_details"};
static const Field openai_output_fields[] = {
	{"reasoning_tokens", UNIT_OUTPUT_REASONING_TOKENS}, {"text_tokens", UNIT_OUTPUT_TEXT_TOKENS},
	{"audio_tokens", UNIT_OUTPUT_AUDIO_TOKENS},			{"image_tokens", UNIT_OUTPUT_IMAGE_TOKENS},
	{"video_tokens", UNIT_OUTPUT_VIDEO_TOKENS},			{NULL},
};

static const Field anthropic_fields[] = {
	{"input_tokens", UNIT_INPUT_TOKENS},
	{"cache_read_input_tokens", UNIT_CACHE_READ_TOKENS},
	{"cache_creation_input_tokens", UNIT_CACHE_WRITE_TOKENS},
	{"output_tokens", UNIT_OUTPUT_TOKENS},
	{NULL},
};
static const Field anthropic_write_fields[] = {
	{"ephemeral_5m_input_tokens", UNIT_CACHE_WRITE_5M_TOKENS},
	{"ephemeral_1h_input_tokens", UNIT_CACHE_WRITE_1H_TOKENS},
	{NULL},
};
static const Field anthropic_output_fields[] = {
	{"thinking_tokens", UNIT_OUTPUT_REASONING_TOKENS},
	{NULL},
};
static const Field anthropic_tool_fields[] = {
	{"web_search_requests", UNIT_WEB_SEARCHES},
	{NULL},
};

static const Field google_fields[] = {
	{"promptTokenCount", UNIT_INPUT_TOKENS},
	{"cachedContentTokenCount", UNIT_CACHE_READ_TOKENS},
	{"candidatesTokenCount", UNIT_OUTPUT_TOKENS},
	{"responseTokenCount", UNIT_OUTPUT_TOKENS},
	{NULL},
};
static const int google_input[MODALITY_COUNT] = {UNIT_INPUT_TEXT_TOKENS, UNIT_INPUT_AUDIO_TOKENS,
												 UNIT_INPUT_IMAGE_TOKENS, UNIT_INPUT_VIDEO_TOKENS};
static const int google_cache[MODALITY_COUNT] = {
	UNIT_CACHE_TEXT_READ_TOKENS, UNIT_CACHE_AUDIO_READ_TOKENS, UNIT_CACHE_IMAGE_READ_TOKENS,
	UNIT_CACHE_VIDEO_READ_TOKENS};
static const int google_output[MODALITY_COUNT] = {UNIT_OUTPUT_TEXT_TOKENS, UNIT_OUTPUT_AUDIO_TOKENS,
												  UNIT_OUTPUT_IMAGE_TOKENS,
												  UNIT_OUTPUT_VIDEO_TOKENS};
static const int google_tool[MODALITY_COUNT] = {
	UNIT_INPUT_TEXT_TOOL_TOKENS, UNIT_INPUT_AUDIO_TOOL_TOKENS, UNIT_INPUT_IMAGE_TOOL_TOKENS,
	UNIT_INPUT_VIDEO_TOOL_TOKENS};

static void read_openai(Counts *counts, JsonbContainer *usage);
static void read_anthropic(Counts *counts, JsonbContainer *usage);
static void read_google(Counts *counts, JsonbContainer *usage);
static int read_inclusive(Counts *counts, JsonbContainer *usage, Bucket *custom);
static JsonbContainer *find_usage(Jsonb *payload, const char *key);
static JsonbContainer *find_object(JsonbContainer *container, const char *object, const char *key);
static void read_fields(Counts *counts, JsonbContainer *container, const char *object,
						const Field *fields);
static void read_modalities(Counts *counts, JsonbContainer *usage, const char *array,
							const int *units);
static bool read_count(const JsonbValue *value, const char *object, const char *field,
					   bool fractions, Dec *quantity);
static void set_count(Counts *counts, int unit, Dec quantity, const char *object,
					  const char *field);
static void add_count(Counts *counts, int unit, const Count *more);
static void check_parts(const Counts *counts);
static int make_disjoint(const Counts *counts, Bucket *buckets);
static const char *field_name(const char *object, const char *field);

/*
 * Returns the usage that a payload reports, with one request. Refuses what does not
 * add up, naming the field: nothing is clamped.
 */
PG_FUNCTION_INFO_V1(meter_usage_from);
Datum
meter_usage_from(PG_FUNCTION_ARGS)
{
	text *kind = PG_GETARG_TEXT_PP(0);
	Jsonb *payload = PG_GETARG_JSONB_P(1);
	const char *name = VARDATA_ANY(kind);
	int length = VARSIZE_ANY_EXHDR(kind);
	Counts counts;
	Bucket *buckets = palloc((UNIT_COUNT + USAGE_MAX_UNITS) * sizeof(Bucket));
	int n = 0;
	JsonbValue scalar;

#define KIND_IS(k) (length == sizeof(k) - 1 && memcmp(name, k, sizeof(k) - 1) == 0)

	/* a column of answers has some that are JSON's null: nothing was answered */
	if (JB_ROOT_IS_SCALAR(payload) && JsonbExtractScalar(&payload->root, &scalar) &&
		scalar.type == jbvNull)
		PG_RETURN_NULL();

	memset(&counts, 0, sizeof(counts));
	if (KIND_IS("openai"))
		read_openai(&counts, find_usage(payload, "usage"));
	else if (KIND_IS("anthropic"))
		read_anthropic(&counts, find_usage(payload, "usage"));
	else if (KIND_IS("google"))
		read_google(&counts, find_usage(payload, "usageMetadata"));
	else if (KIND_IS("inclusive"))
		n = read_inclusive(&counts, find_usage(payload, "usage"), buckets);
	else
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown kind of payload \"%s\"", text_to_cstring(kind)),
						errhint("The kinds are openai, anthropic, google and inclusive.")));

	check_parts(&counts);
	n += make_disjoint(&counts, buckets + n);
	if (n > USAGE_MAX_UNITS)
		usage_too_many_units();
	PG_RETURN_POINTER(usage_from_buckets(buckets, n, NULL));
}

static void
refuse_empty(const char *kind, const char *expected)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("the payload has no usage of kind %s", kind),
					errdetail("Neither %s is there.", expected),
					errhint("Give the whole response, or its usage object.")));
}

static void
read_openai(Counts *counts, JsonbContainer *usage)
{
	JsonbValue value;
	Count *input = &counts->of[UNIT_INPUT_TOKENS];
	Count *cached = &counts->of[UNIT_CACHE_READ_TOKENS];
	Dec miss;

	read_fields(counts, usage, NULL, openai_fields);
	for (int i = 0; i < (int) lengthof(openai_input_details); i++)
	{
		const char *name = openai_input_details[i];
		JsonbContainer *details = find_object(usage, NULL, name);

		if (details == NULL)
			continue;
		read_fields(counts, details, name, openai_input_fields);
		read_fields(counts, find_object(details, name, "cached_tokens_details"),
					"cached_tokens_details", openai_cached_fields);
	}
	for (int i = 0; i < (int) lengthof(openai_output_details); i++)
		read_fields(counts, find_object(usage, NULL, openai_output_details[i]),
					openai_output_details[i], openai_output_fields);

	/* DeepSeek splits the prompt in two: a payload may have any two of the three */
	if (getKeyJsonValueFromContainer(usage, "prompt_cache_miss_tokens",
									 strlen("prompt_cache_miss_tokens"), &value) != NULL &&
		read_count(&value, NULL, "prompt_cache_miss_tokens", false, &miss))
	{
		if (!input->given)
			set_count(counts, UNIT_INPUT_TOKENS, dec_add(miss, cached->quantity), NULL,
					  "prompt_cache_miss_tokens");
		else if (!cached->given && miss <= input->quantity)
			set_count(counts, UNIT_CACHE_READ_TOKENS, dec_sub(input->quantity, miss), NULL,
					  "prompt_cache_miss_tokens");
		else if (dec_add(miss, cached->quantity) != input->quantity)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("prompt_cache_miss_tokens %s and %s cached tokens are not %s %s",
							dec_text(miss), dec_text(cached->quantity),
							field_name(input->object, input->field), dec_text(input->quantity))));
	}

	/* seconds of audio are those of the input, which has its own rate or the audio's */
	if (counts->of[UNIT_AUDIO_SECONDS].given)
		counts->of[UNIT_INPUT_AUDIO_SECONDS] = counts->of[UNIT_AUDIO_SECONDS];

	if (!input->given && !counts->of[UNIT_OUTPUT_TOKENS].given &&
		!counts->of[UNIT_AUDIO_SECONDS].given)
		refuse_empty("openai", "prompt_tokens, completion_tokens, input_tokens, output_tokens nor "
							   "seconds");
}

static void
read_anthropic(Counts *counts, JsonbContainer *usage)
{
	Count *input = &counts->of[UNIT_INPUT_TOKENS];
	const Count *read = &counts->of[UNIT_CACHE_READ_TOKENS];
	const Count *write = &counts->of[UNIT_CACHE_WRITE_TOKENS];

	read_fields(counts, usage, NULL, anthropic_fields);
	read_fields(counts, find_object(usage, NULL, "cache_creation"), "cache_creation",
				anthropic_write_fields);
	read_fields(counts, find_object(usage, NULL, "output_tokens_details"), "output_tokens_details",
				anthropic_output_fields);
	read_fields(counts, find_object(usage, NULL, "server_tool_use"), "server_tool_use",
				anthropic_tool_fields);
	if (!input->given && !read->given && !write->given && !counts->of[UNIT_OUTPUT_TOKENS].given)
		refuse_empty("anthropic", "input_tokens nor output_tokens");

	/* what is beside the input here is a part of it in the common form */
	if (read->given)
		add_count(counts, UNIT_INPUT_TOKENS, read);
	if (write->given)
		add_count(counts, UNIT_INPUT_TOKENS, write);
}

static void
read_google(Counts *counts, JsonbContainer *usage)
{
	static const Field tool_fields[] = {
		{"toolUsePromptTokenCount", UNIT_INPUT_TOOL_TOKENS},
		{"thoughtsTokenCount", UNIT_OUTPUT_REASONING_TOKENS},
		{NULL},
	};
	Count *thoughts = &counts->of[UNIT_OUTPUT_REASONING_TOKENS];
	Count *tool = &counts->of[UNIT_INPUT_TOOL_TOKENS];

	read_fields(counts, usage, NULL, google_fields);
	read_modalities(counts, usage, "promptTokensDetails", google_input);
	read_modalities(counts, usage, "cacheTokensDetails", google_cache);
	read_modalities(counts, usage, "candidatesTokensDetails", google_output);
	read_modalities(counts, usage, "responseTokensDetails", google_output);
	/* parts of the prompt, before what is beside it joins */
	check_parts(counts);

	read_fields(counts, usage, NULL, tool_fields);
	read_modalities(counts, usage, "toolUsePromptTokensDetails", google_tool);
	if (tool->given)
		add_count(counts, UNIT_INPUT_TOKENS, tool);
	for (int m = 0; m < MODALITY_COUNT; m++)
		if (counts->of[google_tool[m]].given)
			add_count(counts, google_input[m], &counts->of[google_tool[m]]);
	if (thoughts->given)
		add_count(counts, UNIT_OUTPUT_TOKENS, thoughts);

	if (!counts->of[UNIT_INPUT_TOKENS].given && !counts->of[UNIT_OUTPUT_TOKENS].given)
		refuse_empty("google", "promptTokenCount, candidatesTokenCount nor responseTokenCount");
}

/* Reads a flat object of units; returns how many custom buckets it has set. */
static int
read_inclusive(Counts *counts, JsonbContainer *usage, Bucket *custom)
{
	JsonbIterator *iterator = JsonbIteratorInit(usage);
	JsonbIteratorToken token;
	JsonbValue value;
	const char *name = NULL;
	int length = 0;
	int n = 0;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			name = value.val.string.val;
			length = value.val.string.len;
			usage_check_name(name, length, NULL);
		}
		else if (token == WJB_VALUE)
		{
			int unit = unit_by_name(name, length);
			Dec quantity;

			if (unit == UNIT_REQUESTS)
				continue;
			if (!read_count(&value, NULL, unit != 0 ? unit_name(unit) : pnstrdup(name, length),
							unit == 0 || unit == UNIT_AUDIO_SECONDS ||
								unit == UNIT_INPUT_AUDIO_SECONDS ||
								unit == UNIT_OUTPUT_AUDIO_SECONDS,
							&quantity))
				continue;
			if (unit != 0)
				set_count(counts, unit, quantity, NULL, unit_name(unit));
			else if (quantity != 0)
			{
				if (n == USAGE_MAX_UNITS)
					usage_too_many_units();
				bucket_set_unit(&custom[n], name, length);
				custom[n].whole = false;
				custom[n++].quantity = quantity;
			}
		}
	}
	return n;
}

/* Returns the usage object of a payload: what is under the key, or the payload. */
static JsonbContainer *
find_usage(Jsonb *payload, const char *key)
{
	JsonbValue value;

	if (!JB_ROOT_IS_OBJECT(payload))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the payload is %s, not an object",
							   JB_ROOT_IS_SCALAR(payload) ? "a scalar" : "an array"),
						errhint("Give the whole response, or its usage object.")));
	if (getKeyJsonValueFromContainer(&payload->root, key, strlen(key), &value) != NULL &&
		value.type == jbvBinary && JsonContainerIsObject(value.val.binary.data))
		return value.val.binary.data;
	return &payload->root;
}

static void
refuse_type(const JsonbValue *value, const char *object, const char *field, const char *expected)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s is of JSON type %s, not %s", field_name(object, field),
						   JsonbTypeName(unconstify(JsonbValue *, value)), expected)));
}

/* Returns the object under a key, or NULL where there is none or null. */
static JsonbContainer *
find_object(JsonbContainer *container, const char *object, const char *key)
{
	JsonbValue value;

	if (getKeyJsonValueFromContainer(container, key, strlen(key), &value) == NULL ||
		value.type == jbvNull)
		return NULL;
	if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		refuse_type(&value, object, key, "object");
	return value.val.binary.data;
}

static void
read_fields(Counts *counts, JsonbContainer *container, const char *object, const Field *fields)
{
	if (container == NULL)
		return;
	for (; fields->field != NULL; fields++)
	{
		JsonbValue value;
		Dec quantity;

		if (getKeyJsonValueFromContainer(container, fields->field, strlen(fields->field), &value) !=
				NULL &&
			read_count(&value, object, fields->field, fields->unit == UNIT_AUDIO_SECONDS,
					   &quantity))
			set_count(counts, fields->unit, quantity, object, fields->field);
	}
}

/* Reads Google's [{"modality": "AUDIO", "tokenCount": 7}, ...], one unit a modality. */
static void
read_modalities(Counts *counts, JsonbContainer *usage, const char *array, const int *units)
{
	Count sums[MODALITY_COUNT] = {{0}};
	JsonbValue value;
	JsonbContainer *entries;

	if (getKeyJsonValueFromContainer(usage, array, strlen(array), &value) == NULL ||
		value.type == jbvNull)
		return;
	if (value.type != jbvBinary || !JsonContainerIsArray(value.val.binary.data))
		refuse_type(&value, NULL, array, "array");

	entries = value.val.binary.data;
	for (uint32 i = 0; i < JsonContainerSize(entries); i++)
	{
		JsonbValue *entry = getIthJsonbValueFromContainer(entries, i);
		JsonbValue modality;
		JsonbValue count;
		int m = -1;
		Dec quantity = 0;

		if (entry->type != jbvBinary || !JsonContainerIsObject(entry->val.binary.data))
			refuse_type(entry, NULL, psprintf("an entry of %s", array), "object");
		if (getKeyJsonValueFromContainer(entry->val.binary.data, "modality", strlen("modality"),
										 &modality) != NULL &&
			modality.type != jbvNull)
		{
			if (modality.type != jbvString)
				refuse_type(&modality, array, "modality", "string");
#define MODALITY_IS(k)                                 \
	(modality.val.string.len == (int) sizeof(k) - 1 && \
	 memcmp(modality.val.string.val, k, sizeof(k) - 1) == 0)
			if (MODALITY_IS("TEXT"))
				m = MODALITY_TEXT;
			else if (MODALITY_IS("AUDIO"))
				m = MODALITY_AUDIO;
			else if (MODALITY_IS("IMAGE") || MODALITY_IS("DOCUMENT"))
				m = MODALITY_IMAGE; /* the pages of a document are read as images */
			else if (MODALITY_IS("VIDEO"))
				m = MODALITY_VIDEO;
		}
		/* a modality that is new counts as what it is a part of */
		if (getKeyJsonValueFromContainer(entry->val.binary.data, "tokenCount", strlen("tokenCount"),
										 &count) != NULL &&
			read_count(&count, array, "tokenCount", false, &quantity) && m >= 0)
		{
			sums[m].given = true;
			sums[m].quantity = dec_add(sums[m].quantity, quantity);
		}
	}
	for (int m = 0; m < MODALITY_COUNT; m++)
		if (sums[m].given)
			set_count(counts, units[m], sums[m].quantity, array, "tokenCount");
}

/* Reads a count; returns false where it is null, and refuses what cannot be one. */
static bool
read_count(const JsonbValue *value, const char *object, const char *field, bool fractions,
		   Dec *quantity)
{
	if (value->type == jbvNull)
		return false;
	if (value->type != jbvNumeric)
		refuse_type(value, object, field, "number");
	*quantity = dec_from_numeric(NumericGetDatum(value->val.numeric), field);
	if (*quantity < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s %s is negative", field_name(object, field), dec_text(*quantity)),
						errhint("To reverse a usage, negate it: - meter.usage_from(...).")));
	if (!fractions && *quantity % DEC_ONE != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s %s is not a whole number", field_name(object, field),
							   dec_text(*quantity))));
	return true;
}

/* Sets a unit's count; two fields that count the same must agree. */
static void
set_count(Counts *counts, int unit, Dec quantity, const char *object, const char *field)
{
	Count *count = &counts->of[unit];

	if (count->given && count->quantity != quantity)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s %s and %s %s count the same and differ",
							   field_name(count->object, count->field), dec_text(count->quantity),
							   field_name(object, field), dec_text(quantity))));
	if (count->given)
		return;
	count->given = true;
	count->quantity = quantity;
	count->object = object;
	count->field = field;
}

/* Adds what a payload counts beside a unit to the unit. */
static void
add_count(Counts *counts, int unit, const Count *more)
{
	Count *count = &counts->of[unit];

	if (count->given)
		count->quantity = dec_add(count->quantity, more->quantity);
	else
		*count = *more;
}

/* Refuses a part that is larger than its whole, or that has none. */
static void
check_parts(const Counts *counts)
{
	for (int unit = 1; unit < UNIT_COUNT; unit++)
	{
		const Count *part = &counts->of[unit];

		if (!part->given || part->quantity == 0)
			continue;
		for (const uint8 *a = unit_ancestors(unit); *a != 0; a++)
		{
			const Count *whole = &counts->of[*a];

			if (!whole->given)
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("%s %s has no whole", field_name(part->object, part->field),
									   dec_text(part->quantity)),
								errdetail("It is a part of %s, which the payload does not count.",
										  unit_name(*a))));
			if (part->quantity > whole->quantity)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("%s %s is larger than its whole, %s %s",
								field_name(part->object, part->field), dec_text(part->quantity),
								field_name(whole->object, whole->field), dec_text(whole->quantity)),
						 errhint("Is the payload of another kind?")));
		}
	}

	for (int i = 0; i < (int) lengthof(modalities); i++)
	{
		const Count *whole = &counts->of[modalities[i].whole];
		const Count *text = &counts->of[modalities[i].text];
		Dec sum = text->quantity;

		if (!text->given || !whole->given)
			continue;
		for (int j = 0; j < (int) lengthof(modalities[i].others); j++)
			sum = dec_add(sum, counts->of[modalities[i].others[j]].quantity);
		if (sum > whole->quantity)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("%s %s and the other modalities add up to %s, more than %s %s",
								   field_name(text->object, text->field), dec_text(text->quantity),
								   dec_text(sum), field_name(whole->object, whole->field),
								   dec_text(whole->quantity))));
	}
}

static bool
is_text(int unit)
{
	for (int i = 0; i < (int) lengthof(modalities); i++)
		if (modalities[i].text == unit)
			return true;
	return false;
}

static int
depth(int unit)
{
	int n = 0;

	for (const uint8 *a = unit_ancestors(unit); *a != 0; a++)
		n++;
	return n;
}

/*
 * Sets the disjoint buckets that are not zero, and one request; returns their number.
 * A bucket is its count without the buckets of all that is a kind of it, so those with
 * the most ancestors come first.
 */
static int
make_disjoint(const Counts *counts, Bucket *buckets)
{
	int units[UNIT_COUNT];
	Dec below[UNIT_COUNT] = {0};
	int n = 0;
	int made = 0;

	for (int unit = 1; unit < UNIT_COUNT; unit++)
	{
		int i;

		if (unit == UNIT_REQUESTS || !counts->of[unit].given || counts->of[unit].quantity == 0 ||
			is_text(unit))
			continue;
		for (i = n++; i > 0 && depth(units[i - 1]) < depth(unit); i--)
			units[i] = units[i - 1];
		units[i] = unit;
	}

	for (int i = 0; i < n; i++)
	{
		int unit = units[i];
		const Count *count = &counts->of[unit];
		Dec rest = dec_sub(count->quantity, below[unit]);

		if (rest < 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the parts of %s %s add up to %s", field_name(count->object, count->field),
						dec_text(count->quantity), dec_text(below[unit])),
				 errdetail("What a payload counts in two parts at once, like cached audio "
						   "tokens, it has to count on its own too.")));
		if (rest == 0)
			continue;
		for (const uint8 *a = unit_ancestors(unit); *a != 0; a++)
			below[*a] = dec_add(below[*a], rest);
		buckets[made].unit = unit;
		buckets[made].whole = false;
		buckets[made++].quantity = rest;
	}

	buckets[made].unit = UNIT_REQUESTS;
	buckets[made].whole = true;
	buckets[made++].count = 1;
	return made;
}

static const char *
field_name(const char *object, const char *field)
{
	return object == NULL ? field : psprintf("%s.%s", object, field);
}
