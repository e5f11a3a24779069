/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * libavcodec hands PSNR on for some encoders and SSIM for none, but x264 says both in
 * one line of its log for each picture, in the thread that fetches the packet.
 * Should a future x264 word it otherwise, quality is not known, and nothing else changes.
 */
#include "ingest/quality.h"

#include <libavutil/log.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local struct quality last;

static void read_line(const char *line)
{
	const char *psnr = strstr(line, " PSNR Y:"), *ssim = strstr(line, " SSIM Y:");

	if (psnr != NULL && ssim != NULL)
		last = (struct quality){true, strtod(psnr + strlen(" PSNR Y:"), NULL), strtod(ssim + strlen(" SSIM Y:"), NULL)};
}

static void __attribute__((format(printf, 3, 0))) listen_to(void *of, int level, const char *format, va_list args)
{
	char line[512];

	if (level != AV_LOG_DEBUG || strncmp(format, "frame=", 6) != 0) {
		av_log_default_callback(of, level, format, args);
		return;
	}
	vsnprintf(line, sizeof line, format, args);
	read_line(line);
}

static void begin(void)
{
	av_log_set_callback(listen_to);
}

void quality_listen(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, begin);
}

struct quality quality_take(void)
{
	struct quality q = last;

	last = (struct quality){0};
	return q;
}
