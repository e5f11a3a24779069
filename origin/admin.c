/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-admin: the operator's command.  Commands are a table, one row each.
 */
#include "origin/admin.h"

#include <config.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/config.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"

struct options {
	const char *ip, *title, *current, *tag, *config; /* config is for --help: config_read_args takes it */
	const char *control, *token_file, *ca_file, *note, *edge, *capacity, *svg, *url_keys, *client, *compare;
	uint64_t budget, edges, rate;
	dur_us expires;
	bool json, dry_run, history, from_stdin, check, sample, help, version;
};

#define ROW(name, type, field, def, min, max, arg, help) {name, type, offsetof(struct options, field), def, min, max, arg, help, false}
#define ONCE(name, type, field, def, min, max, arg, help) {name, type, offsetof(struct options, field), def, min, max, arg, help, true} /* no setting */

static const struct config_row rows[] = {
	ROW("control", CONFIG_STRING, control, "http://127.0.0.1:8081", 0, 0, "URL", "the origin's control listener"),
	ROW("token_file", CONFIG_PATH, token_file, NULL, 0, 0, "FILE", "a file whose first word is the bearer token to use"),
	ROW("ca_file", CONFIG_PATH, ca_file, NULL, 0, 0, "FILE", "certificates to trust instead of the system's"),
	ONCE("json", CONFIG_BOOL, json, "no", 0, 0, NULL, "JSON for machines instead of tables for people"),
	ONCE("dry_run", CONFIG_BOOL, dry_run, "no", 0, 0, NULL, "plan: only show what would move (plan never moves anything itself)"),
	ONCE("history", CONFIG_BOOL, history, "no", 0, 0, NULL, "plan: of the last 60 days, one line each"),
	ONCE("compare", CONFIG_STRING, compare, NULL, 0, 0, "DAY,DAY", "plan: what came and went between two days"),
	ONCE("stdin", CONFIG_BOOL, from_stdin, "no", 0, 0, NULL, "placement: speak the line protocol on standard input and output"),
	ONCE("capacity", CONFIG_STRING, capacity, "1%,5%,10%,25%", 0, 0, "SIZES", "simulate: of the store, parts of the catalogue or bytes"),
	ONCE("budget", CONFIG_UINT, budget, "0", 0, 100, "PERCENT", "simulate: of the capacity a night may bring; 0 is 5, saved up when unused"),
	ONCE("edges", CONFIG_UINT, edges, "1", 1, 64, "N", "simulate: of one site, as large as capacity says each"),
	ONCE("svg", CONFIG_PATH, svg, NULL, 0, 0, "FILE", "simulate, plan: draw it as well"),
	ONCE("rate", CONFIG_RATE, rate, "10MB", 1, 0, "RATE", "plan: bytes per second that the edge's fill takes, to tell how long a window it needs"),
	ONCE("tag", CONFIG_STRING, tag, NULL, 0, 0, "TAG", "titles: with this tag"),
	ONCE("edge", CONFIG_STRING, edge, NULL, 0, 0, "NAME", "token new edge: for the edge of this name alone"),
	ONCE("note", CONFIG_STRING, note, "", 0, 0, "TEXT", "token new: what the token is for"),
	ONCE("expires", CONFIG_DURATION, expires, NULL, 0, 0, "TIME", "token new, sign: how long it is good; unset is for ever, and 12 h for sign"),
	ROW("url_keys", CONFIG_PATH, url_keys, NULL, 0, 0, "FILE", "sign: the keys of signed URLs, the origin's url_keys"),
	ONCE("client", CONFIG_STRING, client, NULL, 0, 0, "NET", "sign: only for viewers of this network, 192.0.2.0/24"),
	ONCE("ip", CONFIG_STRING, ip, NULL, 0, 0, "ADDRESS", "steering explain: the viewer's address"),
	ONCE("title", CONFIG_STRING, title, NULL, 0, 0, "TITLE", "steering explain: what it wants to see"),
	ONCE("current", CONFIG_STRING, current, NULL, 0, 0, "EDGE", "steering explain: where it is now"),
	ONCE("config", CONFIG_PATH, config, NULL, 0, 0, "FILE", "settings from this YAML file and FILE.d/*.yaml, not from where they are looked for"),
	ONCE("check", CONFIG_BOOL, check, "no", 0, 0, NULL, "-t: check the settings' file and options, and stop"),
	ONCE("sample", CONFIG_BOOL, sample, "no", 0, 0, NULL, "print a commented sample of the settings' file and stop"),
	ONCE("help", CONFIG_BOOL, help, "no", 0, 0, NULL, "print this and exit"),
	ONCE("version", CONFIG_BOOL, version, "no", 0, 0, NULL, "print the version and exit"),
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static const struct command {
	const char *words[2], *args, *help;
	int n_args; /* negative: or one less */
	int (*run)(const struct admin *, char **args, struct fault *);
} commands[] = {
	{{"titles", NULL}, " [WORDS]", N_("titles of the library: all, or those that have these words"), -1, admin_titles},
	{{"tags", NULL}, "", N_("tags, and how many titles have each"), 0, admin_tags},
	{{"title", "show"}, " TITLE", N_("one title: revisions, renditions, files"), 1, admin_title_show},
	{{"title", "pin"}, " TITLE", N_("hold it on every edge, before all others"), 1, admin_title_pin},
	{{"title", "urgent"}, " TITLE", N_("pin it, and fetch it at once, outside fill windows too"), 1, admin_title_urgent},
	{{"title", "ban"}, " TITLE", N_("hold it on no edge by plan"), 1, admin_title_ban},
	{{"title", "free"}, " TITLE", N_("neither: as it ranks"), 1, admin_title_free},
	{{"title", "set"}, " TITLE KEY VALUE", N_("what people say of it: name, description, year, tags (a,b), policy (pin, ban, none); value none: not set"), 3, admin_title_set},
	{{"title", "withdraw"}, " TITLE[/REVISION]", N_("off every list now, its bytes after withdraw.grace"), 1, admin_title_withdraw},
	{{"title", "restore"}, " TITLE[/REVISION]", N_("take that back"), 1, admin_title_restore},
	{{"title", "rollback"}, " TITLE [REVISION]", N_("make an older revision the current one: that one, or the one before"), -2, admin_title_rollback},
	{{"title", "newest"}, " TITLE", N_("the newest revision is the current one again"), 1, admin_title_newest},
	{{"withdrawn", NULL}, "", N_("what was withdrawn and is still kept"), 0, admin_withdrawn},
	{{"masters", NULL}, "", N_("uploaded masters and what became of them"), 0, admin_masters},
	{{"log", NULL}, "", N_("who changed what, the last hundred"), 0, admin_log},
	{{"events", NULL}, "", N_("what happens, as it happens, until it is stopped"), 0, admin_events},
	{{"fills", NULL}, "", N_("what is on its way to edges"), 0, admin_fills},
	{{"health", NULL}, "", N_("is the origin well? What is wrong with it, and exit code 1, if not"), 0, admin_health},
	{{"top", NULL}, "", N_("edges and fills, drawn anew every 2 s on a terminal, once elsewhere"), 0, admin_top},
	{{"backup", NULL}, " FILE", N_("a copy of the catalogue, while the origin runs"), 1, admin_backup},
	{{"holdings", NULL}, " [TITLE]", N_("which edges hold what: all of it, or one title"), -1, admin_holdings},
	{{"edges", NULL}, "", N_("edges, their state and what they hold"), 0, admin_edges},
	{{"edge", "show"}, " EDGE", N_("one edge"), 1, admin_edge_show},
	{{"edge", "remove"}, " EDGE", N_("forget an edge"), 1, admin_edge_remove},
	{{"edge", "drain"}, " EDGE", N_("send viewers away from it"), 1, admin_edge_drain},
	{{"edge", "undrain"}, " EDGE", N_("let viewers come to it again"), 1, admin_edge_undrain},
	{{"edge", "set"}, " EDGE KEY VALUE", N_("where it stands: site, region, zone (IANA), share (percent), mirror (yes, no); value none: not set"), 3, admin_edge_set},
	{{"places", NULL}, "", N_("what was set of edges, and everywhere"), 0, admin_places},
	{{"copies", NULL}, " N", N_("hold every title at least N times in every region, as far as there is room"), 1, admin_copies},
	{{"steering", "explain"}, "", N_("why a viewer gets edges in this order: --ip ADDRESS --title TITLE [--current EDGE]"), 0, admin_steering_explain},
	{{"plan", NULL}, " EDGE", N_("what an edge shall hold, and what that moves"), 1, admin_plan},
	{{"placement", NULL}, "", N_("the placement rule behind a line protocol, to be measured"), 0, admin_placement},
	{{"simulate", NULL}, " TRACE", N_("placement and pull caches on a log of lines second,item,bytes"), 1, admin_simulate},
	{{"tokens", NULL}, "", N_("tokens of the control API"), 0, admin_tokens},
	{{"token", "new"}, " ROLE", N_("make one: admin, publisher, edge or viewer-stats"), 1, admin_token_new},
	{{"token", "revoke"}, " ID", N_("revoke one"), 1, admin_token_revoke},
	{{"sign", NULL}, " URL", N_("sign http://HOST/v/TITLE/manifest.mpd (or its path) and all of the title"), 1, admin_sign},
	{{"verify", NULL}, " FOLDER", N_("check every byte of a library, a title or a package against its digest"), 1, admin_verify},
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void print_help(FILE *out)
{
	fputs(_("usage: ribera-admin [OPTION...] COMMAND\n\nCommands\n"), out);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		fprintf(out, "  %s%s%s%s\n        %s\n", c->words[0], c->words[1] != NULL ? " " : "",
		        c->words[1] != NULL ? c->words[1] : "", c->args, _(c->help));
	}
	fputs(_("\nOptions\n"), out);
	config_print_help(rows, N_ROWS, out);
	fputs(_("\nExit codes: 0 all is well, 1 it failed (or verify found damage), 2 wrong usage.\n"), out);
}

static int n_words(const struct command *c)
{
	return c->words[1] != NULL ? 2 : 1;
}

static const struct command *find(int argc, char **argv)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (argc > 1 && strcmp(argv[1], c->words[0]) == 0 &&
		    (c->words[1] == NULL || (argc > 2 && strcmp(argv[2], c->words[1]) == 0)))
			return c;
	}
	return NULL;
}

/* Arguments become parts of paths: what is no name could be another path. */
static int check_name(const struct command *c, const char *arg, struct fault *f)
{
	static const char *const kinds[] = {" TITLE", " [TITLE", " EDGE", " ID"};
	const char *slash = str_starts(c->args, " TITLE[/") ? strchr(arg, '/') : NULL;
	bool named = false;

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		named = named || str_starts(c->args, kinds[i]);
	if (!named || (str_is_name(arg, slash != NULL ? (size_t)(slash - arg) : strlen(arg)) &&
	               (slash == NULL || str_is_name(slash + 1, strlen(slash + 1)))))
		return 0;
	return fault_set(f, ERR_USAGE, _("\"%s\" is no name: letters, digits, \"_\", \".\" and \"-\" only"), arg);
}

static int run(const struct options *o, int argc, char **argv, struct fault *f)
{
	const struct command *c = find(argc, argv);
	int n_args;
	struct admin admin = {
		.control = o->control,
		.token_file = o->token_file,
		.ca_file = o->ca_file,
		.json = o->json,
		.note = o->note,
		.edge = o->edge,
		.url_keys = o->url_keys,
		.client = o->client,
		.ip = o->ip,
		.title = o->title,
		.current = o->current,
		.expires_seconds = (uint64_t)(o->expires / DUR_S),
		.dry_run = o->dry_run,
		.from_stdin = o->from_stdin,
		.history = o->history,
		.compare = o->compare,
		.tag = o->tag,
		.capacity = o->capacity,
		.svg = o->svg,
		.budget_percent = o->budget,
		.edges = o->edges,
		.rate = o->rate,
	};

	if (argc < 2)
		return fault_set(f, ERR_USAGE, _("no command; --help lists them"));
	if (c == NULL)
		return fault_set(f, ERR_USAGE, _("unknown command \"%s%s%s\"; --help lists them"), argv[1], argc > 2 ? " " : "",
		                 argc > 2 ? argv[2] : "");
	n_args = argc - 1 - n_words(c);
	if (n_args != abs(c->n_args) && (c->n_args >= 0 || n_args != -c->n_args - 1))
		return fault_set(f, ERR_USAGE, _("expected: ribera-admin %s%s%s%s"), c->words[0], c->words[1] != NULL ? " " : "",
		                 c->words[1] != NULL ? c->words[1] : "", c->args);
	if (n_args > 0 && check_name(c, argv[1 + n_words(c)], f) != 0)
		return ERR_USAGE;
	return c->run(&admin, argv + 1 + n_words(c), f);
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct config *config = config_new(rows, N_ROWS, &o);
	struct fault f = {0};
	int e;

	json_set_alloc_funcs(mem_new, free); /* no JSON lacks a word because memory was short */
	words_start("ribera-admin");
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && strcmp(argv[1], "-h") == 0)
		argv[1] = (char *)"--help";
	config_look_for(config, "admin");
	e = config_read_args(config, &argc, argv, &f);
	if (e == 0 && o.help)
		print_help(stdout);
	else if (e == 0 && o.sample)
		config_print_sample(rows, N_ROWS, stdout);
	else if (e == 0 && o.check)
		puts(_("the settings are good"));
	else if (e == 0 && o.version)
		printf("ribera-admin %s (%s)\n", PACKAGE_VERSION, RIBERA_FEATURES);
	else if (e == 0) {
		if (o.json)
			words_plain();
		e = run(&o, argc, argv, &f);
	}
	if (e == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		e = fault_set(&f, -EPIPE, _("the output could not be written"));
	if (e != 0)
		fprintf(stderr, "ribera-admin: %s\n", fault_text(&f));
	config_free(&config);
	return e == 0 ? 0 : f.code == ERR_USAGE ? 2 : 1;
}
