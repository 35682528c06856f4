/* What an engine does with its app by HTTP; see spool_files.h.  Answers PUT and
 * GET of v1/files/ID, takes the reports of v1/engine, says which project this
 * is, and of all else that a spool does not have it; the engine is whoever has
 * the job's engine token, and is not believed otherwise: number, size and names
 * are bounded.  Must never reach past the job in hand, nor
 * read a body of anybody without the token. */
#include "modules/source/spool_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <openssl/crypto.h>

#include "core/apw_auto.h"
#include "core/apw_log.h"
#include "http/httpd.h"
#include "modules/source/spool_store.h"
#include "proto/apw_raw.h"

#define FILES_MAGIC	0x46494c45
#define FILES_BACKLOG	128
#define FILES_TRIES	16
#define FILES_PREFIX	"/api/v1/files/"
#define REPORT_BYTES	((size_t)64 << 20)	/* of all that come in */
#define JSON_TYPE	"application/json"

struct spool_files {
	uint32_t	 magic;
	int		 fd;		/* owned: listens */
	struct apw_httpd *httpd;	/* owned */
	struct spool_store store;
	const struct spool *spool;	/* borrowed */
	unsigned	 slot;
	char		 url[64];
	struct apw_buf	 token;		/* of the job in hand */
	unsigned	 refused;	/* files of this job */
	size_t		 coming;	/* bytes of reports */
	spool_report_fn	*report;
	void		*arg;		/* borrowed */
};

/* What engines from 0.86 on tell the app themselves, and what the calls to the
 * worker were named that did so before.  A waitpoint (no method) is only
 * answered: the run ends PAUSED, as its report says. */
static const struct files_report {
	const char	*path, *method;
} files_reports[] = {
	{ "/api/v1/engine/run-logs", "uploadRunLog" },
	{ "/api/v1/engine/run-progress", "updateRunProgress" },
	{ "/api/v1/engine/step-progress", "updateStepProgress" },
	{ "/api/v1/engine/flow-response", "sendFlowResponse" },
	{ "/api/v1/waitpoints", NULL },
};

/* A body that comes in: a file's, or else a report's. */
struct files_body {
	struct spool_upload		*file;		/* the store's */
	const struct files_report	*report;
	struct apw_buf			 text;
};

/* What a spool has not, in words that reach the flow's author.  501 is what the
 * engine does not try again; 404 is "no such entry" to it. */
static const struct files_missing {
	const char	*path;
	bool		 all_below;
	int		 reads, writes;		/* statuses */
	const char	*text;
} files_missing[] = {
	{ "/api/v1/store-entries", false, 404, 501,
	    "{\"message\":\"a spool has no store: nothing can be put there\"}" },
	{ "/api/v1/worker/app-connections/", true, 404, 501,
	    "{\"message\":\"a spool has no connections\"}" },
	{ "/api/v1/worker/variables/", true, 404, 501,
	    "{\"message\":\"a spool has no variables\"}" },
	{ "/api/v1/engine/populated-flows", false, 501, 501,
	    "{\"message\":\"a spool has no list of flows\"}" },
};

/* The engine of a job has few connections; who has no token, none to keep. */
static const struct apw_httpd_limits limits = {
	.conns = 64, .strangers = 16, .requests = 10000,
	.head_bytes = APW_HTTP_HEAD_MAX, .body_bytes = SPOOL_STORE_FILE,
	.out_bytes = 1 << 20,
	.head_ms = 15000, .idle_ms = 60000, .stall_ms = 20000,
	.body_ms = 300000,
};

static bool
token_is(const struct spool_files *fs, struct apw_str given)
{
	return fs->token.len != 0 && given.n == fs->token.len &&
	    CRYPTO_memcmp(given.p, fs->token.data, fs->token.len) == 0;
}

/* The token is in the query of file requests, else in the head. */
static bool
files_admit(const struct spool_files *fs, const struct apw_httpd_request *rq)
{
	struct apw_str	head = apw_http_header(&rq->head, "authorization");
	char		text[APW_HTTP_HEAD_MAX];

	if (head.n > 7 && memcmp(head.p, "Bearer ", 7) == 0 &&
	    token_is(fs, (struct apw_str){ head.p + 7, head.n - 7 }))
		return true;
	return apw_http_query(rq->query, "token", text, sizeof(text)) == 1 &&
	    token_is(fs, apw_str_c(text));
}

static void
files_json(struct apw_httpd_answer *a, int status, const char *text)
{
	a->status = status;
	a->type = JSON_TYPE;
	apw_buf_puts(&a->body, text);
}

/* One line a job, and one more at its end with the count. */
static void
files_refused(struct spool_files *fs, struct apw_str id, int status)
{
	if (fs->refused++ > 0)
		return;
	if (status == 413)
		apw_warn_often("a file of the engine is refused: too many, or too "
		    "large; the run goes on without it", APW_SN("file", id),
		    APW_I("file_max", SPOOL_STORE_FILE),
		    APW_I("job_max", SPOOL_STORE_BYTES));
	else
		apw_error_often("a file of the engine cannot be kept; the run goes "
		    "on without it", APW_SN("file", id),
		    APW_S("error", strerror(errno)));
}

static void
files_put(struct spool_files *fs, const struct apw_httpd_request *rq,
    struct apw_str id, struct apw_httpd_answer *a)
{
	struct files_body	*body = calloc(1, sizeof(*body));
	int			 status = 500;

	if (body != NULL)
		body->file = spool_store_begin(&fs->store, id,
		    rq->body_bytes > 0 ? (uint64_t)rq->body_bytes : 0,
		    &status);
	if (body != NULL && body->file != NULL) {
		a->upload = body;
		return;
	}
	free(body);
	files_refused(fs, id, status);
	files_json(a, status, "{}");
}

static void
files_report(const struct files_report *r, const struct apw_httpd_request *rq,
    struct apw_httpd_answer *a)
{
	struct files_body	*body;

	if (!apw_str_is(rq->method, "POST")) {
		a->allow = "POST";
		files_json(a, 405, "{}");
		return;
	}
	if (rq->body_bytes == 0) {
		files_json(a, 400, "{}");
		return;
	}
	if ((body = calloc(1, sizeof(*body))) == NULL) {
		files_json(a, 500, "{}");
		return;
	}
	body->report = r;
	body->text.max = REPORT_BYTES;
	a->upload = body;
}

static const struct files_report *
files_report_find(struct apw_str path)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(files_reports); i++)
		if (apw_str_is(path, files_reports[i].path))
			return &files_reports[i];
	return NULL;
}

/* Everything else of the app's API. */
static void
files_nothing(const struct apw_httpd_request *rq, struct apw_httpd_answer *a)
{
	const struct files_missing	*m;
	size_t				 i, n;

	for (i = 0; i < APW_COUNT(files_missing); i++) {
		m = &files_missing[i];
		n = strlen(m->path);
		if (rq->path.n >= n && memcmp(rq->path.p, m->path, n) == 0 &&
		    (m->all_below || rq->path.n == n)) {
			files_json(a, rq->reads ? m->reads : m->writes,
			    m->text);
			return;
		}
	}
	files_json(a, 404, "{\"message\":\"a spool has files only\"}");
}

static void
files_get(struct spool_files *fs, struct apw_str id,
    struct apw_httpd_answer *a)
{
	a->fd = spool_store_read(&fs->store, id, &a->fd_bytes);
	if (a->fd == -1) {
		files_json(a, 404, "{}");
		return;
	}
	a->status = 200;
	a->type = "application/octet-stream";
}

static void
files_on_request(void *arg, const struct apw_httpd_request *rq,
    struct apw_httpd_answer *a)
{
	static const size_t	 n = sizeof(FILES_PREFIX) - 1;
	const struct files_report *report;
	struct spool_files	*fs;
	struct apw_str		 id;

	APW_CAST(fs, arg, FILES_MAGIC);
	if (!files_admit(fs, rq)) {
		a->close = true;
		files_json(a, 401, "{}");
		return;
	}
	a->known = true;
	if (rq->path.n > n && memcmp(rq->path.p, FILES_PREFIX, n) == 0) {
		id = (struct apw_str){ rq->path.p + n, rq->path.n - n };
		if (!spool_id_ok(id))
			files_json(a, 400, "{}");
		else if (rq->reads)
			files_get(fs, id, a);
		else if (apw_str_is(rq->method, "PUT") ||
		    apw_str_is(rq->method, "POST"))
			files_put(fs, rq, id, a);
		else {
			a->allow = "GET, HEAD, PUT, POST";
			files_json(a, 405, "{}");
		}
	} else if ((report = files_report_find(rq->path)) != NULL)
		files_report(report, rq, a);
	else if (rq->reads && apw_str_is(rq->path, "/api/v1/worker/project"))
		files_json(a, 200, "{\"id\":\"spool\",\"externalId\":null}");
	else
		files_nothing(rq, a);
}

static int
files_on_body(void *arg, void *upload, struct apw_str data)
{
	struct spool_files	*fs;
	struct files_body	*body = upload;
	int			 status;

	APW_CAST(fs, arg, FILES_MAGIC);
	if (body->report != NULL) {
		if (data.n > REPORT_BYTES - fs->coming ||
		    apw_buf_str(&body->text, data) == -1) {
			files_refused(fs, apw_str_c(body->report->path), 413);
			return 413;
		}
		fs->coming += data.n;
		return 0;
	}
	if ((status = spool_store_write(&fs->store, body->file, data)) != 0)
		files_refused(fs, apw_str_c(body->file->id), status);
	return status;
}

static void
files_body_free(struct spool_files *fs, struct files_body *body)
{
	if (body->report != NULL)
		fs->coming -= body->text.len;
	apw_buf_free(&body->text);
	free(body);
}

/* What the app would do with it is to keep it, too. */
static void
files_report_whole(struct spool_files *fs, const struct files_body *body,
    struct apw_httpd_answer *a)
{
	struct apw_str	text = apw_buf_view(&body->text);

	if (apw_raw_check(text, 0) == -1 ||
	    apw_raw_type(text) != APW_RAW_OBJECT) {
		files_json(a, 400, "{\"message\":\"no JSON object\"}");
		return;
	}
	if (body->report->method != NULL) {
		fs->report(fs->arg, body->report->method, text);
		files_json(a, 200, "{}");
		return;
	}
	apw_buf_printf(&a->body, "{\"id\":\"spool\",\"resumeUrl\":"
	    "\"%sv1/waitpoints/spool\"}", fs->url);
	files_json(a, 201, "");
}

static void
files_on_whole(void *arg, void *upload, struct apw_httpd_answer *a)
{
	struct spool_files	*fs;
	struct files_body	*body = upload;
	struct spool_upload	*u = body->file;
	char			 id[sizeof(u->id)];
	int			 status;

	APW_CAST(fs, arg, FILES_MAGIC);
	if (body->report != NULL) {
		files_report_whole(fs, body, a);
		files_body_free(fs, body);
		return;
	}
	memcpy(id, u->id, sizeof(id));
	status = spool_store_keep(&fs->store, u);
	files_body_free(fs, body);
	if (status != 0) {
		files_json(a, status, "{}");
		return;
	}
	/* the engine insists on an address to read the file from */
	apw_buf_printf(&a->body, "{\"id\":\"%s\",\"readUrl\":"
	    "\"%sv1/files/%s\"}", id, fs->url, id);
	files_json(a, 200, "");
}

static void
files_on_lost(void *arg, void *upload)
{
	struct files_body	*body = upload;
	struct spool_files	*fs;

	APW_CAST(fs, arg, FILES_MAGIC);
	if (body->report == NULL)
		spool_store_drop(&fs->store, body->file);
	files_body_free(fs, body);
}

static const struct apw_httpd_ops files_ops = {
	.on_request = files_on_request,
	.on_body = files_on_body,
	.on_whole = files_on_whole,
	.on_lost = files_on_lost,
};

/* 127.0.0.0/8 is the loopback as a whole: with its port an address of it is
 * one of 2^39. */
static uint32_t
files_address(bool hidden)
{
	uint32_t	dice;

	if (!hidden || getrandom(&dice, sizeof(dice), 0) != sizeof(dice))
		return INADDR_LOOPBACK;
	/* not in 127.0, where some have their own; no .0, no .255 */
	return 127U << 24 | (1 + dice % 254) << 16 |
	    (dice >> 8 & 0xff) << 8 | (1 + (dice >> 16) % 254);
}

static int
files_bind(int fd, bool hidden)
{
	struct sockaddr_in	sin = { .sin_family = AF_INET };
	int			i;

	for (i = 0; i < FILES_TRIES; i++) {
		sin.sin_addr.s_addr = htonl(files_address(hidden));
		if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
			return 0;
		/* a loopback that is no more than 127.0.0.1 */
		if (errno == EADDRNOTAVAIL && hidden)
			hidden = false;
		else if (errno != EADDRINUSE)
			break;
	}
	return -1;
}

static int
files_listen(struct spool_files *fs, bool hidden, struct apw_err *err)
{
	struct sockaddr_in	sin;
	socklen_t		len = sizeof(sin);
	char			host[INET_ADDRSTRLEN];

	fs->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fs->fd == -1 || files_bind(fs->fd, hidden) == -1 ||
	    listen(fs->fd, FILES_BACKLOG) == -1 ||
	    getsockname(fs->fd, (struct sockaddr *)&sin, &len) == -1)
		return apw_err_set(err, errno, "cannot listen on the "
		    "loopback for the engine's files");
	snprintf(fs->url, sizeof(fs->url), "http://%s:%u/api/",
	    inet_ntop(AF_INET, &sin.sin_addr, host, sizeof(host)),
	    ntohs(sin.sin_port));
	return 0;
}

struct spool_files *
spool_files_open(struct event_base *base, const struct spool *sp,
    unsigned slot, bool hidden, spool_report_fn *report, void *arg,
    struct apw_err *err)
{
	struct spool_files	*fs = calloc(1, sizeof(*fs));

	if (fs == NULL) {
		apw_err_set(err, ENOMEM, "spool");
		return NULL;
	}
	fs->magic = FILES_MAGIC;
	fs->fd = -1;
	fs->spool = sp;
	fs->slot = slot;
	fs->report = report;
	fs->arg = arg;
	if (spool_store_open(&fs->store, sp->dir_fd[SPOOL_TMP], slot, err) ==
	    -1 || files_listen(fs, hidden, err) == -1 ||
	    (fs->httpd = apw_httpd_new(base, &fs->fd, 1, &limits, &files_ops,
	    fs, err)) == NULL) {
		spool_files_close(fs);
		return NULL;
	}
	return fs;
}

void
spool_files_close(struct spool_files *fs)
{
	if (fs == NULL)
		return;
	apw_httpd_free(fs->httpd);
	spool_store_close(&fs->store);
	apw_buf_free(&fs->token);
	if (fs->fd != -1)
		close(fs->fd);
	fs->magic = 0;
	free(fs);
}

const char *
spool_files_url(const struct spool_files *fs)
{
	return fs->url;
}

void
spool_files_begin(struct spool_files *fs, struct apw_str token)
{
	struct apw_err	err = APW_ERR_NONE;

	apw_httpd_forget(fs->httpd);
	spool_store_empty(&fs->store);
	if (spool_store_follow(&fs->store, fs->spool->dir_fd[SPOOL_TMP],
	    fs->slot, &err) == -1)
		apw_error("the engine's files are not kept", APW_E(&err));
	if (fs->refused > 1)
		apw_warn("files of the engine were refused",
		    APW_I("files", fs->refused));
	fs->refused = 0;
	apw_buf_reset(&fs->token);
	apw_buf_str(&fs->token, token);
}

int
spool_files_save(const struct spool_files *fs, int dir_fd, struct apw_err *err)
{
	apw_autofd int	files_fd = -1;

	if (fs == NULL || fs->store.nfiles == 0)
		return 0;
	if (mkdirat(dir_fd, "files", 0750) == -1)
		return apw_err_set(err, errno, "cannot make files");
	files_fd = openat(dir_fd, "files",
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (files_fd == -1)
		return apw_err_set(err, errno, "cannot open files");
	return spool_store_save(&fs->store, files_fd, err);
}
