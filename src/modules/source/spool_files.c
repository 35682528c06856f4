/* The files that an engine stores with its app; see spool_files.h.  Answers
 * PUT and GET of v1/files/ID and says which project this is; the engine is
 * whoever has the job's engine token, and is not believed otherwise: number,
 * size and names are bounded.  Must never reach past the job in hand. */
#include "modules/source/spool_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include <openssl/crypto.h>

#include "core/apw_auto.h"
#include "core/apw_log.h"
#include "modules/source/spool.h"
#include "modules/source/spool_priv.h"

#define FILES_MAGIC	0x46494c45
#define FILES_MAX	256
#define FILES_BYTES	((size_t)128 << 20)	/* of all files of a job */
#define FILES_BODY	((size_t)64 << 20)	/* of one request */
#define FILES_HEAD	65536
#define FILES_IDLE_SEC	60
#define FILES_PREFIX	"/api/v1/files/"

struct spool_file {
	STAILQ_ENTRY(spool_file) entry;
	char		 id[SPOOL_ID_MAX + 1];
	struct evbuffer	*body;		/* owned */
};

struct spool_files {
	uint32_t	 magic;
	struct evhttp	*http;		/* owned */
	char		 url[64];
	struct apw_buf	 token;		/* of the job in hand */
	STAILQ_HEAD(, spool_file) files; /* owned */
	size_t		 nfiles, bytes;
};

static struct spool_file *
files_find(struct spool_files *fs, const char *id)
{
	struct spool_file	*f;

	STAILQ_FOREACH(f, &fs->files, entry)
		if (strcmp(f->id, id) == 0)
			return f;
	return NULL;
}

static void
files_forget(struct spool_files *fs)
{
	struct spool_file	*f;

	while ((f = STAILQ_FIRST(&fs->files)) != NULL) {
		STAILQ_REMOVE_HEAD(&fs->files, entry);
		evbuffer_free(f->body);
		free(f);
	}
	fs->nfiles = fs->bytes = 0;
}

static void
files_json(struct evhttp_request *req, int status, const char *reason,
    const char *text)
{
	struct evbuffer	*out = evbuffer_new();

	if (out != NULL)
		evbuffer_add(out, text, strlen(text));
	evhttp_add_header(evhttp_request_get_output_headers(req),
	    "Content-Type", "application/json");
	evhttp_send_reply(req, status, reason, out);
	if (out != NULL)
		evbuffer_free(out);
}

static bool
token_is(const struct spool_files *fs, const char *given)
{
	return fs->token.len != 0 && given != NULL &&
	    strlen(given) == fs->token.len &&
	    CRYPTO_memcmp(given, fs->token.data, fs->token.len) == 0;
}

/* The token is in the query of file requests, else in the head. */
static bool
files_admit(const struct spool_files *fs, struct evhttp_request *req)
{
	const char	*head = evhttp_find_header(
			    evhttp_request_get_input_headers(req),
			    "Authorization");
	const char	*query = evhttp_uri_get_query(
			    evhttp_request_get_evhttp_uri(req));
	struct evkeyvalq params;
	bool		 ok = false;

	if (head != NULL && strncmp(head, "Bearer ", 7) == 0 &&
	    token_is(fs, head + 7))
		return true;
	if (query != NULL && evhttp_parse_query_str(query, &params) == 0) {
		ok = token_is(fs, evhttp_find_header(&params, "token"));
		evhttp_clear_headers(&params);
	}
	return ok;
}

static void
files_put(struct spool_files *fs, struct evhttp_request *req, const char *id)
{
	struct evbuffer		*body = evhttp_request_get_input_buffer(req);
	struct spool_file	*f = files_find(fs, id);
	size_t			 n = evbuffer_get_length(body), had;
	char			 answer[256];

	had = f == NULL ? 0 : evbuffer_get_length(f->body);
	if ((f == NULL && fs->nfiles >= FILES_MAX) ||
	    n > FILES_BYTES - (fs->bytes - had)) {
		apw_warn("file of the engine refused: too many or too large",
		    APW_S("file", id), APW_I("bytes", n));
		files_json(req, 413, "Payload Too Large", "{}");
		return;
	}
	if (f == NULL) {
		f = calloc(1, sizeof(*f));
		if (f == NULL || (f->body = evbuffer_new()) == NULL) {
			free(f);
			files_json(req, 500, "Out of memory", "{}");
			return;
		}
		snprintf(f->id, sizeof(f->id), "%s", id);
		STAILQ_INSERT_TAIL(&fs->files, f, entry);
		fs->nfiles++;
	}
	evbuffer_drain(f->body, had);
	evbuffer_add_buffer(f->body, body);
	fs->bytes += n - had;
	/* the engine insists on an address to read the file from */
	snprintf(answer, sizeof(answer), "{\"id\":\"%s\",\"readUrl\":"
	    "\"%sv1/files/%s\"}", id, fs->url, id);
	files_json(req, 200, "OK", answer);
}

static void
files_get(struct spool_files *fs, struct evhttp_request *req, const char *id)
{
	struct spool_file	*f = files_find(fs, id);
	struct evbuffer		*out = evbuffer_new();
	size_t			 n;

	if (f == NULL || out == NULL) {
		files_json(req, 404, "Not Found", "{}");
	} else {
		n = evbuffer_get_length(f->body);
		evbuffer_add(out, evbuffer_pullup(f->body, -1), n);
		evhttp_add_header(evhttp_request_get_output_headers(req),
		    "Content-Type", "application/octet-stream");
		evhttp_send_reply(req, 200, "OK", out);
	}
	if (out != NULL)
		evbuffer_free(out);
}

static void
files_on_request(struct evhttp_request *req, void *arg)
{
	struct spool_files	*fs;
	const struct evhttp_uri	*uri = evhttp_request_get_evhttp_uri(req);
	const char		*path = uri == NULL ? NULL :
				    evhttp_uri_get_path(uri), *id;
	enum evhttp_cmd_type	 cmd = evhttp_request_get_command(req);

	APW_CAST(fs, arg, FILES_MAGIC);
	if (path == NULL || !files_admit(fs, req)) {
		files_json(req, 401, "Unauthorized", "{}");
		return;
	}
	if (strncmp(path, FILES_PREFIX, sizeof(FILES_PREFIX) - 1) == 0) {
		id = path + sizeof(FILES_PREFIX) - 1;
		if (!spool_id_ok(apw_str_c(id)))
			files_json(req, 400, "Bad Request", "{}");
		else if (cmd == EVHTTP_REQ_PUT)
			files_put(fs, req, id);
		else
			files_get(fs, req, id);
	} else if (strcmp(path, "/api/v1/worker/project") == 0)
		files_json(req, 200, "OK", "{\"id\":\"spool\","
		    "\"externalId\":null}");
	else
		files_json(req, 404, "Not Found",
		    "{\"message\":\"a spool has files only\"}");
}

struct spool_files *
spool_files_open(struct event_base *base, struct apw_err *err)
{
	struct spool_files		*fs = calloc(1, sizeof(*fs));
	struct evhttp_bound_socket	*bound = NULL;
	struct sockaddr_in		 sin;
	socklen_t			 len = sizeof(sin);

	if (fs == NULL) {
		apw_err_set(err, ENOMEM, "spool");
		return NULL;
	}
	fs->magic = FILES_MAGIC;
	STAILQ_INIT(&fs->files);
	fs->http = evhttp_new(base);
	if (fs->http != NULL)
		bound = evhttp_bind_socket_with_handle(fs->http, "127.0.0.1",
		    0);
	if (bound == NULL || getsockname(evhttp_bound_socket_get_fd(bound),
	    (struct sockaddr *)&sin, &len) == -1) {
		apw_err_set(err, errno, "cannot listen on 127.0.0.1 for the "
		    "engine's files");
		spool_files_close(fs);
		return NULL;
	}
	evhttp_set_allowed_methods(fs->http, EVHTTP_REQ_GET | EVHTTP_REQ_PUT);
	evhttp_set_max_headers_size(fs->http, FILES_HEAD);
	evhttp_set_max_body_size(fs->http, FILES_BODY);
	evhttp_set_timeout(fs->http, FILES_IDLE_SEC);
	evhttp_set_gencb(fs->http, files_on_request, fs);
	snprintf(fs->url, sizeof(fs->url), "http://127.0.0.1:%u/api/",
	    ntohs(sin.sin_port));
	return fs;
}

void
spool_files_close(struct spool_files *fs)
{
	if (fs == NULL)
		return;
	files_forget(fs);
	apw_buf_free(&fs->token);
	if (fs->http != NULL)
		evhttp_free(fs->http);
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
	files_forget(fs);
	apw_buf_reset(&fs->token);
	apw_buf_str(&fs->token, token);
}

static int
file_save(const struct spool_file *f, int dir_fd, struct apw_err *err)
{
	struct apw_str	body = {
		(const char *)evbuffer_pullup(f->body, -1),
		evbuffer_get_length(f->body),
	};

	return spool_write_file(dir_fd, f->id, body, err);
}

int
spool_files_save(const struct spool_files *fs, int dir_fd, struct apw_err *err)
{
	const struct spool_file	*f;
	apw_autofd int		 files_fd = -1;

	if (fs == NULL || STAILQ_EMPTY(&fs->files))
		return 0;
	if (mkdirat(dir_fd, "files", 0750) == -1)
		return apw_err_set(err, errno, "cannot make files");
	files_fd = openat(dir_fd, "files",
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (files_fd == -1)
		return apw_err_set(err, errno, "cannot open files");
	STAILQ_FOREACH(f, &fs->files, entry)
		if (file_save(f, files_fd, err) == -1)
			return -1;
	return 0;
}
