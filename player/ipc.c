/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Clients that do not read are dropped: the player waits for nobody.
 */
#include "player/ipc.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/words.h"
#include "player/wake.h"

#define MAX_CLIENTS 16
#define MAX_LINE 65536
#define MAX_WATCHES 32
#define MOST_AT_ONCE 256 /* lines of one client between two pictures */

struct watch {
	json_int_t id;
	char *name;
	json_t *last;
};
struct client {
	int fd;                  /* -1: free */
	char *line;
	size_t n;
	struct watch watches[MAX_WATCHES];
	size_t n_watches;
};
struct ipc {
	int fd;
	char *path;
	ipc_get_f *get;
	void *ctx;
	struct wake *wake;       /* or NULL; borrowed */
	struct client clients[MAX_CLIENTS];
};

static void drop_watch(struct client *c, size_t i)
{
	free(c->watches[i].name);
	json_decref(c->watches[i].last);
	c->watches[i] = c->watches[--c->n_watches];
}

static void hang_up(struct client *c)
{
	if (c->fd < 0)
		return;
	close(c->fd);
	free(c->line);
	while (c->n_watches > 0)
		drop_watch(c, 0);
	*c = (struct client){.fd = -1};
}

/* Takes the reference. */
static void tell(struct client *c, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
	size_t n = text != NULL ? strlen(text) : 0;

	json_decref(o);
	if (text == NULL)
		return;
	text[n] = '\n'; /* in place of the NUL */
	if (send(c->fd, text, n + 1, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)(n + 1))
		hang_up(c);
	free(text);
}

/* --- listening ------------------------------------------------------------------------------- */

/* Is somebody there, or only what is left of somebody? */
static int make_way(const char *path, const struct sockaddr_un *a, struct fault *f)
{
	struct stat st;
	int fd, r;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : fault_set(f, -errno, _("--ipc-server %s: %s"), path, words_error(-errno));
	if (!S_ISSOCK(st.st_mode))
		return fault_set(f, -EEXIST, _("--ipc-server %s: is there already and is no socket"), path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r = connect(fd, (const struct sockaddr *)a, sizeof *a);
	close(fd);
	if (r == 0)
		return fault_set(f, ERR_LOCKED, _("--ipc-server %s: another program listens there"), path);
	return unlink(path) == 0 ? 0 : fault_set(f, -errno, _("--ipc-server %s: %s"), path, words_error(-errno));
}

static int listen_at(const char *path, int *ret_fd, struct fault *f)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	mode_t mask;
	int fd, r;

	if (strlen(path) >= sizeof a.sun_path)
		return fault_set(f, -ENAMETOOLONG, _("--ipc-server %s: the path is longer than %zu"), path, sizeof a.sun_path - 1);
	memcpy(a.sun_path, path, strlen(path) + 1);
	r = make_way(path, &a, f);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	r = bind(fd, (const struct sockaddr *)&a, sizeof a) == 0 && listen(fd, MAX_CLIENTS) == 0 ? 0 : -errno;
	umask(mask);
	if (r < 0) {
		close(fd);
		return fault_set(f, r, _("--ipc-server %s: %s"), path, words_error(r));
	}
	*ret_fd = fd;
	return 0;
}

int ipc_new(const char *path, ipc_get_f *get, void *ctx, struct wake *wake, struct ipc **ret, struct fault *f)
{
	struct ipc *ipc;
	int fd = -1, r = listen_at(path, &fd, f);

	if (r < 0)
		return r;
	ipc = mem_new(sizeof *ipc);
	ipc->fd = fd;
	ipc->path = mem_dup(path);
	ipc->get = get;
	ipc->ctx = ctx;
	ipc->wake = wake;
	wake_watch(wake, fd);
	for (size_t i = 0; i < MAX_CLIENTS; i++)
		ipc->clients[i].fd = -1;
	*ret = ipc;
	return 0;
}

void ipc_free(struct ipc **p)
{
	struct ipc *ipc = *p;

	if (ipc == NULL)
		return;
	for (size_t i = 0; i < MAX_CLIENTS; i++) {
		if (ipc->clients[i].fd >= 0)
			tell(&ipc->clients[i], json_pack("{s:s}", "event", "end-file"));
		if (ipc->clients[i].fd >= 0)
			tell(&ipc->clients[i], json_pack("{s:s}", "event", "shutdown"));
		hang_up(&ipc->clients[i]);
	}
	close(ipc->fd);
	unlink(ipc->path);
	free(ipc->path);
	free(ipc);
	*p = NULL;
}

static void take_clients(struct ipc *ipc)
{
	int fd;

	while ((fd = accept4(ipc->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct client *c = NULL;

		for (size_t i = 0; i < MAX_CLIENTS && c == NULL; i++)
			if (ipc->clients[i].fd < 0)
				c = &ipc->clients[i];
		if (c == NULL) {
			close(fd);
			continue;
		}
		wake_watch(ipc->wake, fd);
		*c = (struct client){.fd = fd, .line = mem_new(MAX_LINE)};
	}
}

/* --- commands -------------------------------------------------------------------------------- */

static const char *text(const json_t *list, size_t i)
{
	const char *s = json_string_value(json_array_get(list, i));

	return s != NULL ? s : "";
}

/* true, 1.5, or as text: "yes", "no", "1.5" */
static bool value_of(const json_t *v, double *ret)
{
	const char *s = json_string_value(v);
	char *end;

	if (json_is_number(v) || json_is_boolean(v)) {
		*ret = json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
		return isfinite(*ret);
	}
	if (s != NULL && (strcmp(s, "yes") == 0 || strcmp(s, "no") == 0)) {
		*ret = s[0] == 'y';
		return true;
	}
	if (s == NULL || *s == '\0')
		return false;
	*ret = strtod(s, &end);
	return *end == '\0' && isfinite(*ret);
}

/* One word of seek's flags, which are joined by +.  All seeks are exact here, so `keyframes` is granted and more. */
static bool seek_flag(const char *word, size_t n, struct command *ret)
{
	static const struct {
		const char *name;
		enum command_verb verb; /* CMD_NOTHING: says nothing of where */
	} flags[] = {{"relative", CMD_SEEK_BY}, {"absolute", CMD_SEEK_TO}, {"absolute-percent", CMD_SEEK_PART}, {"relative-percent", CMD_SEEK_BY_PART},
		{"exact", CMD_NOTHING}, {"keyframes", CMD_NOTHING}, {"default-precise", CMD_NOTHING}};

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		if (strlen(flags[i].name) != n || strncmp(flags[i].name, word, n) != 0)
			continue;
		if (flags[i].verb != CMD_NOTHING)
			ret->verb = flags[i].verb;
		return true;
	}
	return false;
}

static const char *seek(const json_t *list, struct command *ret)
{
	struct command c = {CMD_SEEK_BY, 0};

	if (!value_of(json_array_get(list, 1), &c.value) || json_is_boolean(json_array_get(list, 1)))
		return "invalid parameter";
	for (size_t i = 2; i < json_array_size(list); i++) /* the precision once stood alone */
		for (const char *s = text(list, i), *end; s != NULL; s = *end == '+' ? end + 1 : NULL) {
			end = s + strcspn(s, "+");
			if (!seek_flag(s, (size_t)(end - s), &c))
				return "invalid parameter";
		}
	if (c.verb == CMD_SEEK_PART || c.verb == CMD_SEEK_BY_PART)
		c.value /= 100;
	*ret = c;
	return "success";
}

static const char *set_property(const json_t *list, struct command *ret)
{
	static const struct {
		const char *name;
		enum command_verb verb;
	} rows[] = {{"pause", CMD_SET_PAUSE}, {"speed", CMD_SET_SPEED}, {"time-pos", CMD_SEEK_TO}, {"rung", CMD_RUNG}, {"scan", CMD_SET_SCAN},
		{"percent-pos", CMD_SEEK_PART}, {"fullscreen", CMD_SET_FULL_SCREEN}};
	double v;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (strcmp(text(list, 1), rows[i].name) != 0)
			continue;
		if (!value_of(json_array_get(list, 2), &v))
			return "unsupported format for accessing property";
		*ret = (struct command){rows[i].verb, rows[i].verb == CMD_SEEK_PART ? v / 100 : v};
		return "success";
	}
	return "property not found";
}

/* add speed 0.1, add time-pos -5, multiply speed 1.1 */
static const char *change(struct ipc *ipc, const json_t *list, bool multiply, struct command *ret)
{
	const char *what = text(list, 1);
	json_t *now;
	double v;

	if (!value_of(json_array_get(list, 2), &v))
		return "invalid parameter";
	if (strcmp(what, "speed") == 0 && multiply) {
		*ret = (struct command){CMD_SPEED_BY, v};
	} else if (strcmp(what, "speed") == 0) {
		now = ipc->get(ipc->ctx, what);
		*ret = (struct command){CMD_SET_SPEED, json_number_value(now) + v};
		json_decref(now);
	} else if (strcmp(what, "time-pos") == 0 && !multiply) {
		*ret = (struct command){CMD_SEEK_BY, v};
	} else {
		return "property not found";
	}
	return "success";
}

static const char *cycle(const json_t *list, struct command *ret)
{
	const char *what = text(list, 1);

	ret->verb = strcmp(what, "pause") == 0   ? CMD_PAUSE
	            : strcmp(what, "audio") == 0 || strcmp(what, "aid") == 0 ? CMD_NEXT_AUDIO
	            : strcmp(what, "sub") == 0 || strcmp(what, "sid") == 0   ? CMD_NEXT_TEXT
	            : strcmp(what, "fullscreen") == 0                        ? CMD_FULL_SCREEN
	                                                                     : CMD_NOTHING;
	return ret->verb != CMD_NOTHING ? "success" : "property not found";
}

static const char *keypress(const json_t *list, struct command *ret)
{
	static const struct {
		const char *name;
		int key;
	} names[] = {{"LEFT", KEY_LEFT}, {"RIGHT", KEY_RIGHT}, {"UP", KEY_UP}, {"DOWN", KEY_DOWN}, {"ESC", KEY_ESCAPE}, {"SPACE", ' '}};
	const char *s = text(list, 1);

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(names[i].name, s) == 0)
			*ret = keys_command(names[i].key);
	if (strlen(s) == 1)
		*ret = keys_command(s[0]);
	return ret->verb != CMD_NOTHING ? "success" : "invalid parameter";
}

static const char *observe(struct client *c, const json_t *list)
{
	if (!json_is_integer(json_array_get(list, 1)) || text(list, 2)[0] == '\0' || c->n_watches == MAX_WATCHES)
		return "invalid parameter";
	c->watches[c->n_watches++] = (struct watch){.id = json_integer_value(json_array_get(list, 1)), .name = mem_dup(text(list, 2))};
	return "success";
}

static const char *unobserve(struct client *c, const json_t *list)
{
	for (size_t i = c->n_watches; i-- > 0;)
		if (c->watches[i].id == json_integer_value(json_array_get(list, 1)))
			drop_watch(c, i);
	return "success";
}

static const char *read_property(struct ipc *ipc, const json_t *list, bool as_text, json_t **ret_data)
{
	json_t *v = ipc->get(ipc->ctx, text(list, 1));
	char *s;

	if (v == NULL)
		return "property not found";
	if (as_text && json_is_boolean(v)) {
		json_t *word = json_string(json_is_true(v) ? "yes" : "no");

		json_decref(v);
		v = word;
	} else if (as_text && !json_is_string(v)) {
		s = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
		json_decref(v);
		v = json_string(s);
		free(s);
	}
	*ret_data = v;
	return "success";
}

/* What only answers; false: it is another command. */
static bool tell_about(const char *verb, json_t **ret_data)
{
	if (strcmp(verb, "client_name") == 0)
		*ret_data = json_string("ribera");
	else if (strcmp(verb, "get_version") == 0)
		*ret_data = json_integer(2 << 16 | 1); /* of mpv's client interface, which this follows */
	else if (strcmp(verb, "get_time_us") == 0)
		*ret_data = json_integer((json_int_t)clock_mono());
	else
		return strcmp(verb, "enable_event") == 0 || strcmp(verb, "disable_event") == 0 || strcmp(verb, "request_log_messages") == 0 || strcmp(verb, "ignore") == 0;
	return true;
}

/* The verdict; *ret_data a new reference or untouched. */
static const char *execute(struct ipc *ipc, struct client *c, const json_t *list, struct command *ret, json_t **ret_data)
{
	const char *verb = text(list, 0);

	if (tell_about(verb, ret_data))
		return "success";
	if (strcmp(verb, "get_property") == 0 || strcmp(verb, "get_property_string") == 0)
		return read_property(ipc, list, verb[12] != '\0', ret_data);
	if (strcmp(verb, "seek") == 0)
		return seek(list, ret);
	else if (strcmp(verb, "add") == 0 || strcmp(verb, "multiply") == 0)
		return change(ipc, list, verb[0] == 'm', ret);
	else if (strcmp(verb, "set_property") == 0 || strcmp(verb, "set_property_string") == 0 || strcmp(verb, "set") == 0)
		return set_property(list, ret);
	else if (strcmp(verb, "cycle") == 0)
		return cycle(list, ret);
	else if (strcmp(verb, "keypress") == 0)
		return keypress(list, ret);
	else if (strcmp(verb, "observe_property") == 0 || strcmp(verb, "observe_property_string") == 0)
		return observe(c, list);
	else if (strcmp(verb, "unobserve_property") == 0)
		return unobserve(c, list);
	else if (strcmp(verb, "frame-step") == 0)
		ret->verb = CMD_STEP;
	else if (strcmp(verb, "quit") == 0 || strcmp(verb, "stop") == 0)
		ret->verb = CMD_QUIT;
	else
		return "invalid parameter";
	return "success";
}

/* Words with spaces between them, as a shell's user types them; those in quotes are one. */
static json_t *words_of(const char *line, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n;) {
		bool quoted = line[i] == '"';
		size_t begin = i + quoted;

		if (line[i] == ' ' || line[i] == '\t' || line[i] == '\r') {
			i++;
			continue;
		}
		for (i = begin; i < n && (quoted ? line[i] != '"' : line[i] != ' ' && line[i] != '\t' && line[i] != '\r');)
			i++;
		json_array_append_new(list, json_stringn(line + begin, i - begin));
		i += quoted;
	}
	return list;
}

/* "cycle pause": no answer but to what is wrong. */
static struct command obey_words(struct ipc *ipc, struct client *c, const char *line, size_t n)
{
	struct command ret = {CMD_NOTHING, 0};
	json_t *list = words_of(line, n), *data = NULL;
	const char *verdict = json_array_size(list) > 0 ? execute(ipc, c, list, &ret, &data) : "success";

	if (strcmp(verdict, "success") != 0)
		tell(c, json_pack("{s:n, s:i, s:s}", "data", "request_id", 0, "error", verdict));
	json_decref(data);
	json_decref(list);
	return ret;
}

static struct command obey(struct ipc *ipc, struct client *c, const char *line, size_t n)
{
	json_t *o = json_loadb(line, n, 0, NULL), *list = json_object_get(o, "command"), *data = NULL;
	json_t *id = json_object_get(o, "request_id");
	struct command ret = {CMD_NOTHING, 0};
	const char *verdict = json_is_array(list) ? execute(ipc, c, list, &ret, &data) : "invalid parameter";

	tell(c, json_pack("{s:o, s:o, s:s}", "data", data != NULL ? data : json_null(), "request_id",
	                  id != NULL ? json_incref(id) : json_integer(0), "error", verdict));
	json_decref(o);
	return ret;
}

static bool receive(struct client *c)
{
	ssize_t got = recv(c->fd, c->line + c->n, MAX_LINE - c->n, MSG_DONTWAIT);

	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) || (got <= 0 && c->n == MAX_LINE)) {
		hang_up(c);
		return false;
	}
	c->n += got > 0 ? (size_t)got : 0;
	return got > 0;
}

/* Lines until nothing more has come, or one is to be obeyed. */
static struct command take_lines(struct ipc *ipc, struct client *c)
{
	struct command ret = {CMD_NOTHING, 0};

	for (unsigned n = 0; c->fd >= 0 && n < MOST_AT_ONCE && ret.verb == CMD_NOTHING;) {
		char *end = memchr(c->line, '\n', c->n);
		size_t used;

		if (end == NULL) {
			if (!receive(c))
				break;
			continue;
		}
		used = (size_t)(end + 1 - c->line);
		if (used > 1 && c->line[0] != '{' && c->line[0] != '[')
			ret = obey_words(ipc, c, c->line, used - 1);
		else if (used > 1)
			ret = obey(ipc, c, c->line, used - 1);
		n++;
		if (c->fd < 0)
			break;
		c->n -= used;
		memmove(c->line, c->line + used, c->n);
	}
	return ret;
}

static void tell_changes(struct ipc *ipc, struct client *c)
{
	for (size_t i = 0; c->fd >= 0 && i < c->n_watches; i++) {
		struct watch *w = &c->watches[i];
		json_t *now = ipc->get(ipc->ctx, w->name);

		if (now == NULL)
			now = json_null();
		if (w->last == NULL || !json_equal(now, w->last)) {
			json_decref(w->last);
			w->last = json_incref(now);
			tell(c, json_pack("{s:s, s:I, s:s, s:o}", "event", "property-change", "id", w->id, "name", w->name, "data", now));
		} else {
			json_decref(now);
		}
	}
}

void ipc_event(struct ipc *ipc, const char *name)
{
	for (size_t i = 0; i < MAX_CLIENTS; i++)
		if (ipc->clients[i].fd >= 0)
			tell(&ipc->clients[i], json_pack("{s:s}", "event", name));
}

struct command ipc_poll(struct ipc *ipc)
{
	struct command command = {CMD_NOTHING, 0};

	take_clients(ipc);
	for (size_t i = 0; i < MAX_CLIENTS && command.verb == CMD_NOTHING; i++) {
		if (ipc->clients[i].fd >= 0)
			command = take_lines(ipc, &ipc->clients[i]);
		if (ipc->clients[i].fd >= 0)
			tell_changes(ipc, &ipc->clients[i]);
	}
	return command;
}
