/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "origin/json_text.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "t/lib/unit.h"

/* What was written, as a reader that others wrote understands it. */
static json_t *read_back(struct json_text *t)
{
	json_error_t e;
	json_t *j = json_loadb((const char *)t->out.bytes, t->out.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);

	cr_assert(j != NULL, "%s: %.*s", e.text, (int)t->out.size, (const char *)t->out.bytes);
	buf_fini(&t->out);
	return j;
}

Test(json_text, texts_come_back_as_they_were)
{
	char all[256], *texts[] = {"", "plain", "\"", "\\", "a\\\"b\n\r\t\b\f\x7f", "\xc3\xb1 \xe2\x82\xac \xf0\x9f\x8e\xac", "</script>", all};
	struct json_text t;
	json_t *j, *list;

	for (int i = 0; i < 127; i++)
		all[i] = (char)(i + 1);
	all[127] = '\0';
	json_text_init(&t);
	json_text_open(&t, NULL, '{');
	json_text_open(&t, "texts", '[');
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		json_text_string(&t, NULL, texts[i]);
	json_text_string(&t, NULL, NULL);
	json_text_string_n(&t, NULL, "a\0b", 3);
	json_text_close(&t, ']');
	json_text_close(&t, '}');
	j = read_back(&t);
	list = json_object_get(j, "texts");
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		cr_assert_str_eq(json_string_value(json_array_get(list, i)), texts[i]);
	cr_assert(json_is_null(json_array_get(list, 8)));
	cr_assert_eq(json_string_length(json_array_get(list, 9)), 3);
	json_decref(j);
}

Test(json_text, numbers_and_nests)
{
	static const int64_t integers[] = {0, 1, -1, 9, 10, 1234567890123, INT64_MAX, INT64_MIN};
	static const double reals[] = {0, 0.5, -2.25, 1e300, 123456.789, DBL_MIN};
	static const dur_us seconds[] = {0, 1, 999999, 1000000, -1500000, 7646};
	json_t *inner = json_pack("{s:[i, s]}", "k", 5, "x"), *j;
	struct json_text t;

	json_text_init(&t);
	json_text_open(&t, NULL, '[');
	for (size_t i = 0; i < 8; i++)
		json_text_integer(&t, NULL, integers[i]);
	for (size_t i = 0; i < 6; i++)
		json_text_real(&t, NULL, reals[i]);
	for (size_t i = 0; i < 6; i++)
		json_text_seconds(&t, NULL, seconds[i]);
	json_text_real(&t, NULL, NAN);
	json_text_real(&t, NULL, INFINITY);
	json_text_open(&t, NULL, '{');
	json_text_close(&t, '}');
	json_text_open(&t, NULL, '{');
	json_text_bool(&t, "yes", true);
	json_text_bool(&t, "no", false);
	json_text_value(&t, "inner", inner);
	json_text_value(&t, "none", NULL);
	json_text_close(&t, '}');
	json_text_close(&t, ']');
	j = read_back(&t);
	for (size_t i = 0; i < 8; i++)
		cr_assert_eq(json_integer_value(json_array_get(j, i)), integers[i]);
	for (size_t i = 0; i < 6; i++)
		cr_assert(fabs(json_number_value(json_array_get(j, 8 + i)) - reals[i]) <= fabs(reals[i]) * 1e-8);
	for (size_t i = 0; i < 6; i++)
		cr_assert_float_eq(json_number_value(json_array_get(j, 14 + i)), (double)seconds[i] / 1e6, 1e-9);
	cr_assert(json_is_null(json_array_get(j, 20)) && json_is_null(json_array_get(j, 21)));
	cr_assert_eq(json_object_size(json_array_get(j, 22)), 0);
	cr_assert(json_equal(json_object_get(json_array_get(j, 23), "inner"), inner));
	cr_assert(json_is_true(json_object_get(json_array_get(j, 23), "yes")) && json_is_null(json_object_get(json_array_get(j, 23), "none")));
	json_decref(inner);
	json_decref(j);
}
