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

int
ctl_flow_job(struct apw_str text, struct apw_str payload, const char *job_id,
    struct apw_buf *job, struct apw_buf *name, struct apw_err *err)
{
	struct apw_buf	id = APW_BUF_INIT(4096), flow_id = APW_BUF_INIT(4096);
	struct apw_str	flow = text, v;
	char		made[22];

	if (apw_raw_check(text, APW_RAW_UTF8) == -1 ||
	    apw_raw_type(text) != APW_RAW_OBJECT)
		return apw_err_set(err, 0, "found text that is no JSON object; "
		    "expected a flow version");
	if (apw_raw_member(text, "flowVersion", &v) == 1) {
		flow = v;
		if (payload.n == 0 &&
		    apw_raw_member(text, "payload", &v) == 1)
			payload = v;
	}
	if (apw_raw_type(flow) != APW_RAW_OBJECT ||
	    apw_raw_member(flow, "trigger", &v) != 1 ||
	    apw_raw_type(v) != APW_RAW_OBJECT)
		return apw_err_set(err, 0, "found no object \"trigger\"; "
		    "expected a flow version with its steps");
	if (payload.n == 0)
		payload = APW_STR("{}");
	if (text_id(flow, made) == -1)
		return apw_err_set(err, 0, "cannot hash the flow");
	member_text(flow, "id", made, &id);
	member_text(flow, "flowId", id.data, &flow_id);
	member_text(flow, "displayName", flow_id.data, name);

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
