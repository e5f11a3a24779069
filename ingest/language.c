/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * RFC 5646 2.2.1: the shortest code of a language is its tag.  The table holds
 * what masters mostly say; other codes pass as they are.
 */
#include "ingest/language.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct {
	char tag[4], terminology[4], bibliography[4]; /* ISO 639-1, 639-2/T, 639-2/B where it differs */
	const char *name;
} languages[] = {
	{"ar", "ara", "", "العربية"},    {"bg", "bul", "", "Български"},  {"ca", "cat", "", "Català"},      {"cs", "ces", "cze", "Čeština"},
	{"cy", "cym", "wel", "Cymraeg"}, {"da", "dan", "", "Dansk"},      {"de", "deu", "ger", "Deutsch"},  {"el", "ell", "gre", "Ελληνικά"},
	{"en", "eng", "", "English"},    {"es", "spa", "", "Español"},    {"et", "est", "", "Eesti"},       {"eu", "eus", "baq", "Euskara"},
	{"fa", "fas", "per", "فارسی"},   {"fi", "fin", "", "Suomi"},      {"fr", "fra", "fre", "Français"}, {"ga", "gle", "", "Gaeilge"},
	{"gl", "glg", "", "Galego"},     {"he", "heb", "", "עברית"},      {"hi", "hin", "", "हिन्दी"},         {"hr", "hrv", "", "Hrvatski"},
	{"hu", "hun", "", "Magyar"},     {"id", "ind", "", "Indonesia"},  {"is", "isl", "ice", "Íslenska"}, {"it", "ita", "", "Italiano"},
	{"ja", "jpn", "", "日本語"},     {"ko", "kor", "", "한국어"},     {"lt", "lit", "", "Lietuvių"},    {"lv", "lav", "", "Latviešu"},
	{"ms", "msa", "may", "Melayu"},  {"nb", "nob", "", "Norsk bokmål"}, {"nl", "nld", "dut", "Nederlands"}, {"nn", "nno", "", "Norsk nynorsk"},
	{"no", "nor", "", "Norsk"},      {"pl", "pol", "", "Polski"},     {"pt", "por", "", "Português"},   {"ro", "ron", "rum", "Română"},
	{"ru", "rus", "", "Русский"},    {"sk", "slk", "slo", "Slovenčina"}, {"sl", "slv", "", "Slovenščina"}, {"sr", "srp", "", "Српски"},
	{"sv", "swe", "", "Svenska"},    {"th", "tha", "", "ไทย"},          {"tr", "tur", "", "Türkçe"},      {"uk", "ukr", "", "Українська"},
	{"vi", "vie", "", "Tiếng Việt"}, {"zh", "zho", "chi", "中文"},
};
#define N_LANGUAGES (sizeof languages / sizeof languages[0])

/* The next subtag's length, 0 when it is none. */
static size_t subtag(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[n]))
		n++;
	return n <= 8 ? n : 0;
}

bool language_is_tag(const char *s)
{
	size_t n = subtag(s);

	if (n < 2 || strlen(s) >= LANGUAGE_SIZE)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalpha((unsigned char)s[i]))
			return false;
	while (s[n] == '-') {
		size_t more = subtag(s + n + 1);

		if (more == 0)
			return false;
		n += 1 + more;
	}
	return s[n] == '\0';
}

void language_tag(const char *code, char ret_tag[static LANGUAGE_SIZE])
{
	char primary[9] = "";
	size_t n = strcspn(code, "-");

	snprintf(ret_tag, LANGUAGE_SIZE, "und");
	if (!language_is_tag(code) || n > 8)
		return;
	for (size_t i = 0; i < n; i++)
		primary[i] = (char)tolower((unsigned char)code[i]);
	/* ISO 639-2: undetermined, none, uncoded, several */
	if (strcmp(primary, "zxx") == 0 || strcmp(primary, "mis") == 0 || strcmp(primary, "mul") == 0 || strcmp(primary, "und") == 0)
		return;
	for (size_t i = 0; i < N_LANGUAGES; i++)
		if (strcmp(primary, languages[i].terminology) == 0 || strcmp(primary, languages[i].bibliography) == 0)
			snprintf(primary, sizeof primary, "%s", languages[i].tag);
	snprintf(ret_tag, LANGUAGE_SIZE, "%s%s", primary, code + n);
}

const char *language_name(const char *tag)
{
	size_t n = strcspn(tag, "-");

	for (size_t i = 0; i < N_LANGUAGES; i++)
		if (strlen(languages[i].tag) == n && strncmp(languages[i].tag, tag, n) == 0)
			return languages[i].name;
	return NULL;
}
