/* A flow file, and the job made of it; see flow_file.h.  Room: ctl.  The
 * texts are spliced, so that what the file says arrives as it is said. */
#include "ctl/flow_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "core/apw_auto.h"
#include "proto/apw_raw.h"

#define PLACES_DEEP	5	/* levels that are looked into */
#define MEMBERS_TOLD	12	/* names that a message holds */
#define MEMBER_BYTES	40

int
ctl_read_file(const char *path, size_t max, struct apw_buf *out,
    struct apw_err *err)
{
	apw_autofd int	fd = -1;
	char		part[65536];
	ssize_t		n;

	out->max = max;
	fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) :
	    open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return apw_err_set(err, errno, "cannot open %s", path);
	while ((n = read(fd, part, sizeof(part))) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return apw_err_set(err, errno, "cannot read %s", path);
		if (apw_buf_put(out, part, n) == -1)
			return apw_err_set(err, 0, "%s: found more than %zu "
			    "bytes", path, max);
	}
	return 0;
}

/* A member that is a string, decoded; or the fallback. */
static void
member_text(struct apw_str object, const char *key, const char *fallback,
    struct apw_buf *out)
{
	struct apw_str	v;

	apw_buf_reset(out);
	if (apw_raw_member(object, key, &v) != 1 ||
	    apw_raw_type(v) != APW_RAW_STRING ||
	    apw_raw_decode(out, v) == -1 || out->len == 0) {
		apw_buf_reset(out);
		apw_buf_puts(out, fallback);
	}
}

/* An id for a flow version that has none: the same text, the same id, so that
 * its built code steps are found again. */
static int
text_id(struct apw_str text, char id[22])
{
	unsigned char	hash[EVP_MAX_MD_SIZE];
	unsigned	n;
	int		i;

	if (EVP_Digest(text.p, text.n, hash, &n, EVP_sha256(), NULL) != 1)
		return -1;
	id[0] = 'f';
	for (i = 0; i < 10; i++)
		snprintf(id + 1 + 2 * i, 3, "%02x", hash[i]);
	return 0;
}

/* The flow version with its id, and as a draft: a file may be edited between
 * two runs, so nothing may keep it as unchangeable. */
static int
put_flow_version(struct apw_buf *job, struct apw_str flow, const char *id)
{
	struct apw_raw_iter	it;
	struct apw_str		key, value;

	apw_buf_puts(job, "{\"id\":");
	apw_buf_json_c(job, id);
	apw_buf_puts(job, ",\"state\":\"DRAFT\"");
	if (apw_raw_iter(&it, flow) == -1)
		return -1;
	while (apw_raw_next(&it, &key, &value) == 1) {
		if (apw_raw_equals(key, "id") || apw_raw_equals(key, "state"))
			continue;
		apw_buf_puts(job, ",");
		apw_buf_str(job, apw_raw_trim(key));
		apw_buf_puts(job, ":");
		apw_buf_str(job, apw_raw_trim(value));
	}
	return apw_buf_puts(job, "}");
}

/* Where a flow version may lie in what the app, its API and people write, as
 * long as the object has no trigger itself. */
static const char *const places[] = { "flowVersion", "template", "flow",
    "version", "flows", "data" };

/* The members that an object has, for who looks for another one. */
static void
list_members(struct apw_str object, struct apw_buf *out)
{
	struct apw_raw_iter	it;
	struct apw_str		key, value;
	unsigned		n = 0;

	if (apw_raw_type(object) != APW_RAW_OBJECT ||
	    apw_raw_iter(&it, object) == -1)
		return;
	while (apw_raw_next(&it, &key, &value) == 1 && n < MEMBERS_TOLD) {
		key = apw_raw_trim(key);
		if (key.n > MEMBER_BYTES)
			continue;
		apw_buf_puts(out, n++ == 0 ? "" : ", ");
		apw_buf_str(out, key);
	}
}

static int
not_found(struct apw_str object, const char *path, struct apw_err *err)
{
	struct apw_buf	names = APW_BUF_INIT(4096);

	list_members(object, &names);
	apw_err_set(err, 0, "found no flow version: %s%s%s has no object "
	    "\"trigger\"%s%s; expected a flow version with its steps, or an "
	    "object that holds it as \"flowVersion\", \"version\", "
	    "\"template\" or \"flows\"[0]", *path == '\0' ? "the file" : "\"",
	    path, *path == '\0' ? "" : "\"", names.len == 0 ? "" :
	    ", but ", names.len == 0 ? "" : names.data);
	apw_buf_free(&names);
	return -1;
}

/* The first element; *n: how many there are. */
static struct apw_str
first_of(struct apw_str array, unsigned *n)
{
	struct apw_raw_iter	it;
	struct apw_str		value, first = array;

	*n = 0;
	if (apw_raw_iter(&it, array) == -1)
		return first;
	while (apw_raw_next(&it, NULL, &value) == 1)
		if ((*n)++ == 0)
			first = value;
	return first;
}

/* One level down from an object without trigger; false: nothing is there. */
static bool
descend(struct apw_str *at, char *path, size_t size, unsigned *flows)
{
	struct apw_str	v;
	size_t		i, n = strlen(path);

	if (apw_raw_type(*at) == APW_RAW_ARRAY) {
		v = first_of(*at, flows);
		snprintf(path + n, size - n, "[0]");
		*at = apw_raw_trim(v);
		return *flows > 0;
	}
	if (apw_raw_type(*at) != APW_RAW_OBJECT)
		return false;
	for (i = 0; i < APW_COUNT(places); i++)
		if (apw_raw_member(*at, places[i], &v) == 1 &&
		    (apw_raw_type(v) == APW_RAW_OBJECT ||
		    apw_raw_type(v) == APW_RAW_ARRAY)) {
			snprintf(path + n, size - n, "%s%s", n == 0 ? "" : ".",
			    places[i]);
			*at = apw_raw_trim(v);
			return true;
		}
	return false;
}

/* The flow version in what a file holds: as it is, in the app's exports (old
 * ones have a template, later ones flows), or in a flow of its API. */
static int
find_flow(struct apw_str text, struct apw_str *flow, unsigned *flows,
    struct apw_err *err)
{
	char		path[PLACES_DEEP * 24] = "", before[sizeof(path)] = "";
	struct apw_str	at = apw_raw_trim(text), here = at, v;
	unsigned	deep;

	*flows = 1;
	for (deep = 0; deep < PLACES_DEEP; deep++) {
		if (apw_raw_type(at) == APW_RAW_OBJECT &&
		    apw_raw_member(at, "trigger", &v) == 1 &&
		    apw_raw_type(v) == APW_RAW_OBJECT) {
			*flow = at;
			return 0;
		}
		here = at;
		memcpy(before, path, sizeof(before));
		if (!descend(&at, path, sizeof(path), flows))
			break;
	}
	return not_found(here, before, err);
}

int
ctl_flow_job(struct apw_str text, struct apw_str payload, const char *job_id,
    struct apw_buf *job, struct apw_buf *name, struct apw_err *err)
{
	struct apw_buf	id = APW_BUF_INIT(4096), flow_id = APW_BUF_INIT(4096);
	struct apw_str	flow = text, v;
	char		made[22];
	unsigned	flows;

	/* editors and shells of some systems put one there */
	if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		flow = text = (struct apw_str){ text.p + 3, text.n - 3 };
	if (apw_raw_check(text, APW_RAW_UTF8) == -1)
		return apw_err_set(err, 0, "found text that is no JSON; "
		    "expected a flow version");
	if (find_flow(text, &flow, &flows, err) == -1)
		return -1;
	if (payload.n == 0 && apw_raw_type(text) == APW_RAW_OBJECT &&
	    apw_raw_member(text, "trigger", &v) != 1 &&
	    apw_raw_member(text, "payload", &v) == 1)
		payload = v;
	if (payload.n == 0)
		payload = APW_STR("{}");
	if (text_id(flow, made) == -1)
		return apw_err_set(err, 0, "cannot hash the flow");
	member_text(flow, "id", made, &id);
	member_text(flow, "flowId", id.data, &flow_id);
	member_text(flow, "displayName", flow_id.data, name);
	if (flows > 1)
		apw_buf_printf(name, " (the first of %u)", flows);

	apw_buf_puts(job, "{\"jobData\":{\"jobType\":\"EXECUTE_FLOW\","
	    "\"schemaVersion\":10,\"projectId\":\"spool\","
	    "\"platformId\":\"spool\",\"flowId\":");
	apw_buf_json_c(job, flow_id.data);
	apw_buf_puts(job, ",\"flowVersionId\":");
	apw_buf_json_c(job, id.data);
	apw_buf_puts(job, ",\"runId\":");
	apw_buf_json_c(job, job_id);
	apw_buf_puts(job, ",\"logsFileId\":");
	apw_buf_json_c(job, job_id);
	apw_buf_puts(job, ",\"environment\":\"TESTING\","
	    "\"executionType\":\"BEGIN\",\"executeTrigger\":false,"
	    "\"workerHandlerId\":null,\"streamStepProgress\":\"WEBSOCKET\","
	    "\"payload\":{\"type\":\"inline\",\"value\":");
	apw_buf_str(job, apw_raw_trim(payload));
	apw_buf_puts(job, "}},\"flowVersion\":");
	put_flow_version(job, flow, id.data);
	apw_buf_puts(job, "}\n");
	apw_buf_free(&id);
	apw_buf_free(&flow_id);
	return job->failed ? apw_err_set(err, 0, "flow too large") : 0;
}
