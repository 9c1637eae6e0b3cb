/*
 * unit.c: the table of well-known units.
 *
 * Names and ancestors are those of genai-prices. All of it is constant data: nothing
 * is set up at run time. A name is found in six comparisons.
 */
#include "unit.h"

#define MAX_ANCESTORS 5

typedef struct Unit
{
	const char *name;
	uint8 length;
	bool input; /* counts towards an event's context */
	uint8 ancestors[MAX_ANCESTORS + 1];
} Unit;

/* clang-format off */
#define UNIT(code, name, input, ...) [code] = {name, sizeof(name) - 1, input, {__VA_ARGS__}}

/*
 * Ancestors are listed nearest first: the one with the most ancestors of its own,
 * and of equally near ones the cache one, then by name. Tokens that go into a model
 * are input, whatever they are made of and wherever they come from.
 */
static const Unit units[UNIT_COUNT] = {
	UNIT(UNIT_INPUT_TOKENS, "input_tokens", true),
	UNIT(UNIT_CACHE_READ_TOKENS, "cache_read_tokens", true, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_WRITE_TOKENS, "cache_write_tokens", true, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_WRITE_5M_TOKENS, "cache_write_5m_tokens", true, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_WRITE_1H_TOKENS, "cache_write_1h_tokens", true, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_OUTPUT_TOKENS, "output_tokens", false),
	UNIT(UNIT_OUTPUT_REASONING_TOKENS, "output_reasoning_tokens", false, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_REQUESTS, "requests", false),
	UNIT(UNIT_ACTIONS, "actions", false),
	UNIT(UNIT_AUDIO_SECONDS, "audio_seconds", false),
	UNIT(UNIT_CACHE_AUDIO_READ_TOKENS, "cache_audio_read_tokens", true, UNIT_CACHE_READ_TOKENS, UNIT_INPUT_AUDIO_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_AUDIO_WRITE_1H_TOKENS, "cache_audio_write_1h_tokens", true, UNIT_CACHE_AUDIO_WRITE_TOKENS, UNIT_CACHE_WRITE_1H_TOKENS, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_AUDIO_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_AUDIO_WRITE_5M_TOKENS, "cache_audio_write_5m_tokens", true, UNIT_CACHE_AUDIO_WRITE_TOKENS, UNIT_CACHE_WRITE_5M_TOKENS, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_AUDIO_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_AUDIO_WRITE_TOKENS, "cache_audio_write_tokens", true, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_AUDIO_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_IMAGE_READ_TOKENS, "cache_image_read_tokens", true, UNIT_CACHE_READ_TOKENS, UNIT_INPUT_IMAGE_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_IMAGE_WRITE_1H_TOKENS, "cache_image_write_1h_tokens", true, UNIT_CACHE_IMAGE_WRITE_TOKENS, UNIT_CACHE_WRITE_1H_TOKENS, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_IMAGE_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_IMAGE_WRITE_5M_TOKENS, "cache_image_write_5m_tokens", true, UNIT_CACHE_IMAGE_WRITE_TOKENS, UNIT_CACHE_WRITE_5M_TOKENS, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_IMAGE_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_IMAGE_WRITE_TOKENS, "cache_image_write_tokens", true, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_IMAGE_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_TEXT_READ_TOKENS, "cache_text_read_tokens", true, UNIT_CACHE_READ_TOKENS, UNIT_INPUT_TEXT_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_TEXT_WRITE_1H_TOKENS, "cache_text_write_1h_tokens", true, UNIT_CACHE_TEXT_WRITE_TOKENS, UNIT_CACHE_WRITE_1H_TOKENS, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_TEXT_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_TEXT_WRITE_5M_TOKENS, "cache_text_write_5m_tokens", true, UNIT_CACHE_TEXT_WRITE_TOKENS, UNIT_CACHE_WRITE_5M_TOKENS, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_TEXT_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_TEXT_WRITE_TOKENS, "cache_text_write_tokens", true, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_TEXT_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_VIDEO_READ_TOKENS, "cache_video_read_tokens", true, UNIT_CACHE_READ_TOKENS, UNIT_INPUT_VIDEO_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_VIDEO_WRITE_1H_TOKENS, "cache_video_write_1h_tokens", true, UNIT_CACHE_VIDEO_WRITE_TOKENS, UNIT_CACHE_WRITE_1H_TOKENS, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_VIDEO_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_VIDEO_WRITE_5M_TOKENS, "cache_video_write_5m_tokens", true, UNIT_CACHE_VIDEO_WRITE_TOKENS, UNIT_CACHE_WRITE_5M_TOKENS, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_VIDEO_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CACHE_VIDEO_WRITE_TOKENS, "cache_video_write_tokens", true, UNIT_CACHE_WRITE_TOKENS, UNIT_INPUT_VIDEO_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_CODE_EXECUTIONS, "code_executions", false),
	UNIT(UNIT_INPUT_ANNOTATED_DOCUMENT_PAGES, "input_annotated_document_pages", false, UNIT_INPUT_DOCUMENT_PAGES),
	UNIT(UNIT_INPUT_AUDIO_SECONDS, "input_audio_seconds", false, UNIT_AUDIO_SECONDS),
	UNIT(UNIT_INPUT_AUDIO_TOKENS, "input_audio_tokens", true, UNIT_INPUT_TOKENS),
	UNIT(UNIT_INPUT_AUDIO_TOOL_TOKENS, "input_audio_tool_tokens", true, UNIT_INPUT_AUDIO_TOKENS, UNIT_INPUT_TOOL_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_INPUT_CHARACTERS, "input_characters", false),
	UNIT(UNIT_INPUT_DOCUMENT_PAGES, "input_document_pages", false),
	UNIT(UNIT_INPUT_IMAGE_TOKENS, "input_image_tokens", true, UNIT_INPUT_TOKENS),
	UNIT(UNIT_INPUT_IMAGE_TOOL_TOKENS, "input_image_tool_tokens", true, UNIT_INPUT_IMAGE_TOKENS, UNIT_INPUT_TOOL_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_INPUT_PIXELS, "input_pixels", false),
	UNIT(UNIT_INPUT_TEXT_MESSAGES, "input_text_messages", false),
	UNIT(UNIT_INPUT_TEXT_TOKENS, "input_text_tokens", true, UNIT_INPUT_TOKENS),
	UNIT(UNIT_INPUT_TEXT_TOOL_TOKENS, "input_text_tool_tokens", true, UNIT_INPUT_TEXT_TOKENS, UNIT_INPUT_TOOL_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_INPUT_TOOL_TOKENS, "input_tool_tokens", true, UNIT_INPUT_TOKENS),
	UNIT(UNIT_INPUT_VIDEO_TOKENS, "input_video_tokens", true, UNIT_INPUT_TOKENS),
	UNIT(UNIT_INPUT_VIDEO_TOOL_TOKENS, "input_video_tool_tokens", true, UNIT_INPUT_TOOL_TOKENS, UNIT_INPUT_VIDEO_TOKENS, UNIT_INPUT_TOKENS),
	UNIT(UNIT_OUTPUT_AUDIO_CITATION_TOKENS, "output_audio_citation_tokens", false, UNIT_OUTPUT_AUDIO_TOKENS, UNIT_OUTPUT_CITATION_TOKENS, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_OUTPUT_AUDIO_REASONING_TOKENS, "output_audio_reasoning_tokens", false, UNIT_OUTPUT_AUDIO_TOKENS, UNIT_OUTPUT_REASONING_TOKENS, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_OUTPUT_AUDIO_SECONDS, "output_audio_seconds", false, UNIT_AUDIO_SECONDS),
	UNIT(UNIT_OUTPUT_AUDIO_TOKENS, "output_audio_tokens", false, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_OUTPUT_CITATION_TOKENS, "output_citation_tokens", false, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_OUTPUT_IMAGE_CITATION_TOKENS, "output_image_citation_tokens", false, UNIT_OUTPUT_CITATION_TOKENS, UNIT_OUTPUT_IMAGE_TOKENS, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_OUTPUT_IMAGE_REASONING_TOKENS, "output_image_reasoning_tokens", false, UNIT_OUTPUT_IMAGE_TOKENS, UNIT_OUTPUT_REASONING_TOKENS, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_OUTPUT_IMAGE_TOKENS, "output_image_tokens", false, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_OUTPUT_TEXT_CITATION_TOKENS, "output_text_citation_tokens", false, UNIT_OUTPUT_CITATION_TOKENS, UNIT_OUTPUT_TEXT_TOKENS, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_OUTPUT_TEXT_REASONING_TOKENS, "output_text_reasoning_tokens", false, UNIT_OUTPUT_REASONING_TOKENS, UNIT_OUTPUT_TEXT_TOKENS, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_OUTPUT_TEXT_TOKENS, "output_text_tokens", false, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_OUTPUT_VIDEO_CITATION_TOKENS, "output_video_citation_tokens", false, UNIT_OUTPUT_CITATION_TOKENS, UNIT_OUTPUT_VIDEO_TOKENS, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_OUTPUT_VIDEO_REASONING_TOKENS, "output_video_reasoning_tokens", false, UNIT_OUTPUT_REASONING_TOKENS, UNIT_OUTPUT_VIDEO_TOKENS, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_OUTPUT_VIDEO_TOKENS, "output_video_tokens", false, UNIT_OUTPUT_TOKENS),
	UNIT(UNIT_RERANK_SEARCHES, "rerank_searches", false),
	UNIT(UNIT_SOCIAL_SEARCHES, "social_searches", false),
	UNIT(UNIT_STORAGE_SEARCHES, "storage_searches", false),
	UNIT(UNIT_WEB_SEARCHES, "web_searches", false),
};

/* The codes in bytewise order of their names. */
static const uint8 by_name[UNIT_COUNT - 1] = {
	UNIT_ACTIONS,
	UNIT_AUDIO_SECONDS,
	UNIT_CACHE_AUDIO_READ_TOKENS,
	UNIT_CACHE_AUDIO_WRITE_1H_TOKENS,
	UNIT_CACHE_AUDIO_WRITE_5M_TOKENS,
	UNIT_CACHE_AUDIO_WRITE_TOKENS,
	UNIT_CACHE_IMAGE_READ_TOKENS,
	UNIT_CACHE_IMAGE_WRITE_1H_TOKENS,
	UNIT_CACHE_IMAGE_WRITE_5M_TOKENS,
	UNIT_CACHE_IMAGE_WRITE_TOKENS,
	UNIT_CACHE_READ_TOKENS,
	UNIT_CACHE_TEXT_READ_TOKENS,
	UNIT_CACHE_TEXT_WRITE_1H_TOKENS,
	UNIT_CACHE_TEXT_WRITE_5M_TOKENS,
	UNIT_CACHE_TEXT_WRITE_TOKENS,
	UNIT_CACHE_VIDEO_READ_TOKENS,
	UNIT_CACHE_VIDEO_WRITE_1H_TOKENS,
	UNIT_CACHE_VIDEO_WRITE_5M_TOKENS,
	UNIT_CACHE_VIDEO_WRITE_TOKENS,
	UNIT_CACHE_WRITE_1H_TOKENS,
	UNIT_CACHE_WRITE_5M_TOKENS,
	UNIT_CACHE_WRITE_TOKENS,
	UNIT_CODE_EXECUTIONS,
	UNIT_INPUT_ANNOTATED_DOCUMENT_PAGES,
	UNIT_INPUT_AUDIO_SECONDS,
	UNIT_INPUT_AUDIO_TOKENS,
	UNIT_INPUT_AUDIO_TOOL_TOKENS,
	UNIT_INPUT_CHARACTERS,
	UNIT_INPUT_DOCUMENT_PAGES,
	UNIT_INPUT_IMAGE_TOKENS,
	UNIT_INPUT_IMAGE_TOOL_TOKENS,
	UNIT_INPUT_PIXELS,
	UNIT_INPUT_TEXT_MESSAGES,
	UNIT_INPUT_TEXT_TOKENS,
	UNIT_INPUT_TEXT_TOOL_TOKENS,
	UNIT_INPUT_TOKENS,
	UNIT_INPUT_TOOL_TOKENS,
	UNIT_INPUT_VIDEO_TOKENS,
	UNIT_INPUT_VIDEO_TOOL_TOKENS,
	UNIT_OUTPUT_AUDIO_CITATION_TOKENS,
	UNIT_OUTPUT_AUDIO_REASONING_TOKENS,
	UNIT_OUTPUT_AUDIO_SECONDS,
	UNIT_OUTPUT_AUDIO_TOKENS,
	UNIT_OUTPUT_CITATION_TOKENS,
	UNIT_OUTPUT_IMAGE_CITATION_TOKENS,
	UNIT_OUTPUT_IMAGE_REASONING_TOKENS,
	UNIT_OUTPUT_IMAGE_TOKENS,
	UNIT_OUTPUT_REASONING_TOKENS,
	UNIT_OUTPUT_TEXT_CITATION_TOKENS,
	UNIT_OUTPUT_TEXT_REASONING_TOKENS,
	UNIT_OUTPUT_TEXT_TOKENS,
	UNIT_OUTPUT_TOKENS,
	UNIT_OUTPUT_VIDEO_CITATION_TOKENS,
	UNIT_OUTPUT_VIDEO_REASONING_TOKENS,
	UNIT_OUTPUT_VIDEO_TOKENS,
	UNIT_REQUESTS,
	UNIT_RERANK_SEARCHES,
	UNIT_SOCIAL_SEARCHES,
	UNIT_STORAGE_SEARCHES,
	UNIT_WEB_SEARCHES
};
/* clang-format on */

/* Returns the code of a well-known unit, or 0 where the name is not one. */
int
unit_by_name(const char *name, int length)
{
	int low = 0;
	int high = UNIT_COUNT - 1;

	while (low < high)
	{
		int middle = (low + high) / 2;
		const Unit *unit = &units[by_name[middle]];
		int order = memcmp(name, unit->name, Min(length, unit->length));

		if (order == 0)
			order = length - unit->length;
		if (order == 0)
			return by_name[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return 0;
}

/* Returns the name of a well-known unit. */
const char *
unit_name(int code)
{
	Assert(code > 0 && code < UNIT_COUNT);
	return units[code].name;
}

/* Returns what a well-known unit is a kind of: codes, nearest first, ended by 0. */
const uint8 *
unit_ancestors(int code)
{
	Assert(code > 0 && code < UNIT_COUNT);
	return units[code].ancestors;
}

/* Returns whether a well-known unit counts towards an event's context. */
bool
unit_is_input(int code)
{
	Assert(code > 0 && code < UNIT_COUNT);
	return units[code].input;
}

/* Returns whether a name can be a unit's: [a-z][a-z0-9_]{0,62}. */
bool
unit_name_is_legal(const char *name, int length)
{
	if (length < 1 || length > UNIT_NAME_MAX || name[0] < 'a' || name[0] > 'z')
		return false;
	for (int i = 1; i < length; i++)
	{
		char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return true;
}
