/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The error table and the sentence for people that travels with a code.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static const struct {
	int code;
	enum err_class class;
	const char *text;
} rows[] = {
#define ERR_ROW(symbol, code, class, text) {code, ERR_CLASS_##class, text},
	ERR_TABLE(ERR_ROW)
#undef ERR_ROW
};

#define N_ROWS (sizeof rows / sizeof rows[0])

const char *err_text(int code)
{
	static _Thread_local char text[96];

	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].code == code)
			return rows[i].text;
	if (code < 0 && code > -1000 && strerrordesc_np(-code) != NULL)
		return strerrordesc_np(-code); /* not strerror's, which is in the reader's language: this goes to logs */
	snprintf(text, sizeof text, "error %d", code);
	return text;
}

static enum err_class class_of_errno(int e)
{
	switch (e) {
	case EAGAIN:
	case EINTR:
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EBUSY:
	case ECONNRESET:
	case ECONNREFUSED:
	case ETIMEDOUT:
	case EPIPE:
	case ENETUNREACH:
	case EHOSTUNREACH:
		return ERR_CLASS_TRANSIENT;
	default:
		return ERR_CLASS_FATAL;
	}
}

enum err_class err_class_of(int code)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].code == code)
			return rows[i].class;
	return code < 0 && code > -1000 ? class_of_errno(-code) : ERR_CLASS_FATAL;
}

int fault_set(struct fault *f, int code, const char *fmt, ...)
{
	if (f != NULL) {
		va_list ap;

		f->code = code;
		va_start(ap, fmt);
		vsnprintf(f->text, sizeof f->text, fmt, ap);
		va_end(ap);
		str_plain(f->text); /* much of it is what others wrote */
	}
	return code;
}

int fault_prefix(struct fault *f, const char *fmt, ...)
{
	struct fault old;
	va_list ap;
	size_t n;

	if (f == NULL)
		return 0;
	old = *f;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
	n = strlen(f->text);
	snprintf(f->text + n, sizeof f->text - n, ": %s", fault_text(&old));
	str_plain(f->text);
	return f->code;
}

const char *fault_text(const struct fault *f)
{
	return f->text[0] != '\0' ? f->text : err_text(f->code);
}
