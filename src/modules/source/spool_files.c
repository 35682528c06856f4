/* The files that an engine stores with its app; see spool_files.h.  Answers
 * PUT and GET of v1/files/ID and says which project this is; the engine is
 * whoever has the job's engine token, and is not believed otherwise: number,
 * size and names are bounded.  Must never reach past the job in hand, nor
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

#define FILES_MAGIC	0x46494c45
#define FILES_BACKLOG	128
#define FILES_TRIES	16
#define FILES_PREFIX	"/api/v1/files/"
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
	int	status;

	a->upload = spool_store_begin(&fs->store, id, rq->body_bytes > 0 ?
	    (uint64_t)rq->body_bytes : 0, &status);
	if (a->upload != NULL)
		return;
	files_refused(fs, id, status);
	files_json(a, status, "{}");
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
	} else if (rq->reads && apw_str_is(rq->path, "/api/v1/worker/project"))
		files_json(a, 200, "{\"id\":\"spool\",\"externalId\":null}");
	else
		files_json(a, 404,
		    "{\"message\":\"a spool has files only\"}");
}

static int
files_on_body(void *arg, void *upload, struct apw_str data)
{
	struct spool_files	*fs;
	struct spool_upload	*u = upload;
	int			 status;

	APW_CAST(fs, arg, FILES_MAGIC);
	if ((status = spool_store_write(&fs->store, u, data)) != 0)
		files_refused(fs, apw_str_c(u->id), status);
	return status;
}

static void
files_on_whole(void *arg, void *upload, struct apw_httpd_answer *a)
{
	struct spool_files	*fs;
	struct spool_upload	*u = upload;
	char			 id[sizeof(u->id)];
	int			 status;

	APW_CAST(fs, arg, FILES_MAGIC);
	memcpy(id, u->id, sizeof(id));
	if ((status = spool_store_keep(&fs->store, u)) != 0) {
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
	struct spool_files	*fs;

	APW_CAST(fs, arg, FILES_MAGIC);
	spool_store_drop(&fs->store, upload);
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
    unsigned slot, bool hidden, struct apw_err *err)
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
