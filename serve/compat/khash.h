/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * libh2o's header of its HTTP/2 asks for this file, which its package does not install.  What is ours of that header
 * are the layouts of connection and stream; the table between them is a pointer, and is never looked into.
 */
#ifndef RIBERA_SERVE_COMPAT_KHASH_H
#define RIBERA_SERVE_COMPAT_KHASH_H

#define KHASH_MAP_INIT_INT64(name, type) struct kh_##name;
#define khash_t(name) struct kh_##name
#define kh_get(name, table, key) ((void)(table), (void)(key), 0)
#define kh_end(table) 0
#define kh_val(table, at) NULL
typedef unsigned khiter_t;

#endif
