/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Settings from a table, a YAML file and the command line.  Invariant: after a
 * failed read the settings are still valid values, only a mixture of old and new.
 */
#include "base/config.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"
#include "base/words.h"

#define FILE_MAX (1u << 20)
#define FLOW_MAX 1000 /* brackets that are not closed */
#define DEPTH_MAX 8

/* Where a value came from, for messages. */
struct origin {
	const char *name; /* of the file, or NULL for the command line */
	size_t line, column;
};

struct config {
	const struct config_row *rows;
	size_t n_rows;
	char *settings;
	struct origin *places; /* of the rows' values; their names are among the strings */
	char **strings;        /* everything the fields point to */
	size_t n_strings, cap_strings;
	const char *looked_for; /* NULL: no file but those that are named */
};

static const char *keep(struct config *c, char *s)
{
	MEM_GROW(c->strings, c->cap_strings, c->n_strings);
	c->strings[c->n_strings++] = s;
	return s;
}

static void remember(struct config *c, const struct config_row *row, const struct origin *o)
{
	c->places[row - c->rows] = (struct origin){o->name != NULL ? keep(c, mem_dup(o->name)) : NULL, o->line, o->column};
}

/* Does the text name the setting, as a word of its own? */
static bool names(const char *text, size_t n, const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_.";
	size_t k = strlen(name);

	for (size_t i = 0; i + k <= n; i++)
		if (memcmp(text + i, name, k) == 0 && (i == 0 || strchr(letters, text[i - 1]) == NULL) &&
		    (i + k == n || strchr(letters, text[i + k]) == NULL))
			return true;
	return false;
}

void config_point(const struct config *c, struct fault *f)
{
	size_t n = strcspn(f->text, ":\"");

	for (size_t i = 0; i < c->n_rows; i++) {
		const struct origin *o = &c->places[i];

		if (o->name != NULL && names(f->text, n, c->rows[i].name)) {
			fault_prefix(f, "%s:%zu:%zu", o->name, o->line, o->column);
			return;
		}
	}
}

static int complain(struct fault *f, int code, const struct origin *o, const struct config_row *row,
                    const char *found, const char *expected)
{
	if (o->name != NULL)
		return fault_set(f, code, _("%s:%zu:%zu: %s: found \"%s\", expected %s"), o->name, o->line,
		                 o->column, row->name, found, expected);
	return fault_set(f, code, _("--%s: found \"%s\", expected %s"), row->name, found, expected);
}

static const char *type_text(enum config_type t)
{
	static const char *const texts[] = {
		[CONFIG_STRING] = N_("text"),
		[CONFIG_PATH] = N_("a path"),
		[CONFIG_BOOL] = N_("yes or no"),
		[CONFIG_UINT] = N_("a whole number"),
		[CONFIG_BYTES] = N_("a size such as 64MiB"),
		[CONFIG_RATE] = N_("a rate in bytes per second such as 10MB"),
		[CONFIG_DURATION] = N_("a duration such as 30s or 6h"),
		[CONFIG_LIST] = N_("a list"),
		[CONFIG_EACH] = N_("text"),
	};
	return _(texts[t]);
}

static int parse_bool(const char *s, bool *ret_v)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcmp(s, words[i]) == 0) {
			*ret_v = i % 2 == 1;
			return 0;
		}
	}
	return ERR_SYNTAX;
}

static int parse_number(const struct config_row *row, const char *s, uint64_t *ret_v)
{
	size_t n = strlen(s);
	dur_us d;
	int r;

	switch (row->type) {
	case CONFIG_UINT:
		r = str_parse_u64(s, n, ret_v);
		break;
	case CONFIG_DURATION:
		r = str_parse_duration(s, n, &d);
		if (r == 0)
			*ret_v = (uint64_t)d;
		break;
	default:
		r = str_parse_bytes(s, n, ret_v);
		break;
	}
	if (r == 0 && (*ret_v < row->min || (row->max > 0 && *ret_v > row->max)))
		r = ERR_OUT_OF_RANGE;
	return r;
}

static void append_item(struct config *c, struct config_list *list, const char *s, size_t n)
{
	list->items = mem_resize(list->items, list->n + 1, sizeof *list->items);
	list->items[list->n++] = keep(c, mem_dup_n(s, n));
}

static void append_items(struct config *c, struct config_list *list, const char *s)
{
	while (*s != '\0') {
		size_t n = strcspn(s, ",");

		while (n > 0 && *s == ' ')
			s++, n--;
		if (n > 0)
			append_item(c, list, s, n);
		s += n;
		s += *s == ',';
	}
}

static void range_text(const struct config_row *row, char *text, size_t size)
{
	unsigned long long min = row->min, max = row->max;
	const char *unit = row->type == CONFIG_DURATION ? " s" : "";

	if (row->type == CONFIG_DURATION) {
		min /= DUR_S;
		max /= DUR_S;
	}
	if (max > 0)
		snprintf(text, size, _("%s from %llu to %llu%s"), type_text(row->type), min, max, unit);
	else
		snprintf(text, size, _("%s of at least %llu%s"), type_text(row->type), min, unit);
}

static int set(struct config *c, const struct config_row *row, const char *s, const struct origin *o,
               struct fault *f)
{
	void *field = c->settings + row->offset;
	uint64_t v = 0;
	char expected[128];
	bool b = false;
	int r;

	switch (row->type) {
	case CONFIG_STRING:
	case CONFIG_PATH:
		*(const char **)field = keep(c, mem_dup(s));
		return 0;
	case CONFIG_LIST:
		append_items(c, field, s);
		return 0;
	case CONFIG_EACH:
		append_item(c, field, s, strlen(s));
		return 0;
	case CONFIG_BOOL:
		if (parse_bool(s, &b) != 0)
			return complain(f, ERR_SYNTAX, o, row, s, type_text(row->type));
		*(bool *)field = b;
		return 0;
	default:
		r = parse_number(row, s, &v);
		if (r == ERR_OUT_OF_RANGE) {
			range_text(row, expected, sizeof expected);
			return complain(f, r, o, row, s, expected);
		}
		if (r != 0)
			return complain(f, r, o, row, s, type_text(row->type));
		if (row->type == CONFIG_DURATION)
			*(dur_us *)field = (dur_us)v;
		else
			*(uint64_t *)field = v;
		return 0;
	}
}

static void clear_list(struct config *c, const struct config_row *row)
{
	if (row->type == CONFIG_LIST || row->type == CONFIG_EACH) {
		struct config_list *list = (void *)(c->settings + row->offset);

		free(list->items);
		*list = (struct config_list){0};
	}
}

struct config *config_new(const struct config_row *rows, size_t n_rows, void *settings)
{
	struct config *c = mem_new(sizeof *c);

	*c = (struct config){.rows = rows, .n_rows = n_rows, .settings = settings, .places = mem_new_array(n_rows, sizeof *c->places)};
	for (size_t i = 0; i < n_rows; i++) {
		struct fault f = {0};

		if (rows[i].def != NULL)
			MUST(set(c, &rows[i], rows[i].def, &(struct origin){0}, &f) == 0);
	}
	return c;
}

void config_free(struct config **pc)
{
	struct config *c = *pc;

	*pc = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n_rows; i++)
		clear_list(c, &c->rows[i]);
	for (size_t i = 0; i < c->n_strings; i++)
		free(c->strings[i]);
	free(c->strings);
	free(c->places);
	free(c);
}

/* Compares an option or key with a row's name; `separator` stands for its dots. */
static bool name_matches(const char *name, const char *given, size_t n, char separator)
{
	size_t i;

	for (i = 0; i < n && name[i] != '\0'; i++) {
		char want = name[i] == '.' || name[i] == '_' ? separator : name[i];
		char have = given[i] == '_' && separator == '-' ? '-' : given[i];

		if (separator == '.')
			want = name[i];
		if (want != have)
			return false;
	}
	return i == n && name[i] == '\0';
}

static const struct config_row *find(const struct config *c, const char *given, size_t n, char separator)
{
	for (size_t i = 0; i < c->n_rows; i++)
		if (name_matches(c->rows[i].name, given, n, separator))
			return &c->rows[i];
	return NULL;
}

struct reader {
	struct config *c;
	const char *name;
	yaml_document_t *doc;
	struct fault *f;
};

static struct origin origin_of(const struct reader *rd, const yaml_node_t *node)
{
	return (struct origin){rd->name, node->start_mark.line + 1, node->start_mark.column + 1};
}

static int read_value(struct reader *rd, const struct config_row *row, const yaml_node_t *node)
{
	struct origin o = origin_of(rd, node);

	clear_list(rd->c, row);
	remember(rd->c, row, &o);
	if (node->type == YAML_SCALAR_NODE)
		return set(rd->c, row, (const char *)node->data.scalar.value, &o, rd->f);
	if (node->type != YAML_SEQUENCE_NODE || row->type != CONFIG_LIST)
		return complain(rd->f, ERR_SYNTAX, &o, row, _("a group"), type_text(row->type));
	for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top; i++) {
		const yaml_node_t *item = yaml_document_get_node(rd->doc, *i);

		if (item->type != YAML_SCALAR_NODE)
			return complain(rd->f, ERR_SYNTAX, &o, row, _("a group"), _("a list of text"));
		append_item(rd->c, (void *)(rd->c->settings + row->offset),
		            (const char *)item->data.scalar.value, item->data.scalar.length);
	}
	return 0;
}

static bool is_group(const struct config *c, const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < c->n_rows; i++)
		if (strncmp(c->rows[i].name, path, n) == 0 && c->rows[i].name[n] == '.')
			return true;
	return false;
}

static int read_mapping(struct reader *rd, const yaml_node_t *map, const char *prefix, int depth);

static int read_pair(struct reader *rd, const char *prefix, const yaml_node_pair_t *pair, int depth)
{
	const yaml_node_t *key = yaml_document_get_node(rd->doc, pair->key);
	const yaml_node_t *value = yaml_document_get_node(rd->doc, pair->value);
	struct origin o = origin_of(rd, key);
	const struct config_row *row;
	char *path;
	int r;

	if (key->type != YAML_SCALAR_NODE)
		return fault_set(rd->f, ERR_SYNTAX, _("%s:%zu:%zu: a key must be text"), o.name, o.line, o.column);
	path = mem_printf("%s%s%s", prefix, prefix[0] != '\0' ? "." : "", (const char *)key->data.scalar.value);
	row = find(rd->c, path, strlen(path), '.');
	if (row != NULL && row->once)
		r = fault_set(rd->f, ERR_SYNTAX, _("%s:%zu:%zu: \"%s\" is no setting; it stands on the command line alone"), o.name, o.line, o.column, path);
	else if (row != NULL)
		r = read_value(rd, row, value);
	else if (is_group(rd->c, path) && value->type == YAML_MAPPING_NODE && depth < DEPTH_MAX)
		r = read_mapping(rd, value, path, depth + 1);
	else
		r = fault_set(rd->f, ERR_SYNTAX, _("%s:%zu:%zu: unknown setting \"%s\"; --help lists the known ones"),
		              o.name, o.line, o.column, path);
	free(path);
	return r;
}

static int read_mapping(struct reader *rd, const yaml_node_t *map, const char *prefix, int depth)
{
	int r = 0;

	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; r == 0 && p < map->data.mapping.pairs.top; p++)
		r = read_pair(rd, prefix, p, depth);
	return r;
}

/* libyaml's work grows with the square of how deep flow collections are nested. */
static bool is_too_deep(const char *text, size_t n, size_t *ret_line)
{
	size_t depth = 0;

	*ret_line = 1;
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n')
			++*ret_line;
		else if ((text[i] == '[' || text[i] == '{') && ++depth > FLOW_MAX)
			return true;
		else if ((text[i] == ']' || text[i] == '}') && depth > 0)
			depth--;
	}
	return false;
}

int config_read_text(struct config *c, const char *name, const char *text, size_t n, struct fault *f)
{
	yaml_parser_t parser;
	yaml_document_t doc;
	yaml_node_t *root;
	size_t line;
	int r = 0;

	if (is_too_deep(text, n, &line))
		return fault_set(f, ERR_SYNTAX, _("%s:%zu: brackets are opened within brackets more than %d times"), name, line, FLOW_MAX);
	MUST(yaml_parser_initialize(&parser) == 1);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
	if (yaml_parser_load(&parser, &doc) != 1) {
		r = fault_set(f, ERR_SYNTAX, _("%s:%zu:%zu: not YAML: %s"), name, parser.problem_mark.line + 1,
		              parser.problem_mark.column + 1, parser.problem != NULL ? parser.problem : "?");
		yaml_parser_delete(&parser);
		return r;
	}
	root = yaml_document_get_root_node(&doc);
	if (root != NULL && root->type == YAML_MAPPING_NODE)
		r = read_mapping(&(struct reader){c, name, &doc, f}, root, "", 0);
	else if (root != NULL && !(root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0))
		r = fault_set(f, ERR_SYNTAX, _("%s:1:1: found no settings, expected lines such as \"key: value\""), name);
	yaml_document_delete(&doc);
	yaml_parser_delete(&parser);
	return r;
}

int config_read_file(struct config *c, const char *path, struct fault *f)
{
	struct buf text;
	int r;

	buf_init(&text, FILE_MAX);
	r = file_read(path, &text);
	if (r != 0)
		fault_set(f, r, _("cannot read the configuration %s: %s"), path, words_error(r));
	else
		r = config_read_text(c, path, buf_text(&text), text.size, f);
	buf_fini(&text);
	return r;
}

static int is_drop_in(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return e->d_name[0] != '.' && n > 5 && strcmp(e->d_name + n - 5, ".yaml") == 0;
}

/* FILE.d/NAME.yaml, in the order of their names: what a package or an operator adds without touching FILE. */
static int read_drop_ins(struct config *c, const char *path, struct fault *f)
{
	char *folder = mem_printf("%s.d", path);
	struct dirent **entries = NULL;
	int n = scandir(folder, &entries, is_drop_in, alphasort), r = 0;

	if (n < 0 && errno != ENOENT && errno != ENOTDIR)
		r = fault_set(f, -errno, _("cannot read the configuration folder %s: %s"), folder, words_error(-errno));
	for (int i = 0; i < n; i++) {
		char *file = path_join(folder, entries[i]->d_name);

		if (r == 0)
			r = config_read_file(c, file, f);
		free(file);
		free(entries[i]);
	}
	free(entries);
	free(folder);
	return r;
}

/* One option at argv[*i]; moves *i past what it used. */
static int read_option(struct config *c, int argc, char **argv, int *i, struct fault *f)
{
	const char *name = argv[*i] + 2;
	size_t n = strcspn(name, "=");
	const char *value = name[n] == '=' ? name + n + 1 : NULL;
	const struct config_row *row = find(c, name, n, '-');
	struct origin o = {0};

	if (row == NULL && n > 3 && strncmp(name, "no-", 3) == 0 && value == NULL) {
		row = find(c, name + 3, n - 3, '-');
		if (row != NULL && row->type == CONFIG_BOOL) {
			remember(c, row, &o);
			return set(c, row, "no", &o, f);
		}
		row = NULL;
	}
	if (row == NULL)
		return fault_set(f, ERR_USAGE, _("unknown option \"%s\"; --help lists the known ones"), argv[*i]);
	remember(c, row, &o);
	if (value == NULL && row->type == CONFIG_BOOL)
		value = "yes";
	if (value == NULL) {
		if (*i + 1 >= argc)
			return fault_set(f, ERR_USAGE, _("option --%s needs a value: %s"), row->name, type_text(row->type));
		value = argv[++*i];
	}
	return set(c, row, value, &o, f) != 0 ? (f != NULL ? f->code = ERR_USAGE : ERR_USAGE) : 0;
}

static int read_with_drop_ins(struct config *c, const char *path, struct fault *f)
{
	int r = config_read_file(c, path, f);

	return r == 0 ? read_drop_ins(c, path, f) : r;
}

void config_look_for(struct config *c, const char *name)
{
	c->looked_for = name;
}

static int read_if_there(struct config *c, char *path, struct fault *f)
{
	int r = access(path, F_OK) == 0 ? read_with_drop_ins(c, path, f) : 0;

	free(path);
	return r;
}

static int read_found_files(struct config *c, struct fault *f)
{
	const char *own = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int r = read_if_there(c, mem_printf("%s/ribera/%s.yaml", RIBERA_SYSCONFDIR, c->looked_for), f);

	if (r == 0 && own != NULL && own[0] == '/') /* the specification of base directories: others are ignored */
		r = read_if_there(c, mem_printf("%s/ribera/%s.yaml", own, c->looked_for), f);
	else if (r == 0 && home != NULL && home[0] == '/')
		r = read_if_there(c, mem_printf("%s/.config/ribera/%s.yaml", home, c->looked_for), f);
	return r;
}

static int read_named_files(struct config *c, int argc, char **argv, struct fault *f)
{
	bool named = false;

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *path = NULL;
		int r;

		if (str_starts(argv[i], "--config="))
			path = argv[i] + 9;
		else if (strcmp(argv[i], "--config") == 0)
			path = i + 1 < argc ? argv[i + 1] : "";
		if (path == NULL)
			continue;
		if (path[0] == '\0')
			return fault_set(f, ERR_USAGE, _("option --config needs a value: a path"));
		named = true;
		r = read_with_drop_ins(c, path, f);
		if (r != 0)
			return r;
	}
	return named || c->looked_for == NULL ? 0 : read_found_files(c, f);
}

int config_read_args(struct config *c, int *argc, char **argv, struct fault *f)
{
	int r = read_named_files(c, *argc, argv, f);
	int kept = 1, i;

	if (r != 0) /* what we were given is wrong, wherever it stands */
		r = f != NULL ? f->code = ERR_USAGE : ERR_USAGE;

	for (i = 1; r == 0 && i < *argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (strcmp(argv[i], "-t") == 0 && find(c, "check", strlen("check"), '-') != NULL)
			argv[i] = (char *)"--check";
		if (strcmp(argv[i], "--config") == 0)
			i++;
		else if (argv[i][0] == '-' && argv[i][1] == '-' && !str_starts(argv[i], "--config="))
			r = read_option(c, *argc, argv, &i, f);
		else if (argv[i][0] == '-' && argv[i][1] != '\0')
			r = fault_set(f, ERR_USAGE, _("unknown option \"%s\"; --help lists the known ones"), argv[i]);
		else if (argv[i][0] != '-' || argv[i][1] == '\0')
			argv[kept++] = argv[i];
	}
	while (r == 0 && i < *argc)
		argv[kept++] = argv[i++];
	if (r == 0) {
		*argc = kept;
		argv[kept] = NULL;
	}
	return r;
}

static void print_option_name(const struct config_row *row, FILE *out)
{
	for (const char *p = row->name; *p != '\0'; p++)
		fputc(*p == '.' || *p == '_' ? '-' : *p, out);
}

void config_print_help(const struct config_row *rows, size_t n_rows, FILE *out)
{
	for (size_t i = 0; i < n_rows; i++) {
		const struct config_row *row = &rows[i];

		fputs("  --", out);
		print_option_name(row, out);
		if (row->type != CONFIG_BOOL)
			fprintf(out, " %s", row->arg != NULL ? row->arg : "VALUE");
		fprintf(out, "\n        %s", _(row->help));
		if (row->def != NULL && row->def[0] != '\0' && !(row->type == CONFIG_BOOL && strcmp(row->def, "no") == 0))
			fprintf(out, _(" (default: %s)"), row->def);
		fputc('\n', out);
	}
}

static size_t group_length(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot != NULL ? (size_t)(dot - name) : 0;
}

void config_print_sample(const struct config_row *rows, size_t n_rows, FILE *out)
{
	const char *group = "";
	size_t group_n = 0;

	for (size_t i = 0; i < n_rows; i++) {
		const struct config_row *row = &rows[i];
		size_t n = group_length(row->name);
		const char *key = n > 0 ? row->name + n + 1 : row->name;
		const char *indent = n > 0 ? "  " : "";

		if (row->once || row->type == CONFIG_EACH)
			continue;
		if (n > 0 && (n != group_n || strncmp(group, row->name, n) != 0))
			fprintf(out, "\n#%.*s:\n", (int)n, row->name);
		group = row->name;
		group_n = n;
		fprintf(out, "\n%s# %s: %s\n", indent, type_text(row->type), _(row->help));
		fprintf(out, "#%s%s: %s\n", indent, key, row->def != NULL ? row->def : "");
	}
}
