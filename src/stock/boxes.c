/* Who makes the builders' boxes of this slot.  Room: stock, slot.
 *
 * Forked at the slot's birth, while that is possible (broker/nursery.c); what
 * it shows builders of the host is settled then: the tools, what they say
 * authorities are, and nothing else.  Keepers ask it for a broker each. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "core/apw_auto.h"
#include "core/apw_child.h"
#include "core/apw_conf.h"
#include "master/child.h"
#include "modules/sandbox/sandbox.h"

#define BOXES_READS	32
/* as many uids lie between those of a slot's engines */
#define BOXES_UID	(APW_BROKER_FIRST_UID + 1024 * APW_SANDBOX_SEATS)

#define BOXES_TMP_BYTES		(UINT64_C(64) << 20)
#define BOXES_TMP_FILES		4096
#define BOXES_FILE_BYTES	(UINT64_C(2) << 30)
#define BOXES_TASKS		1024	/* threads count */
#define BOXES_FILES		8192

static struct {
	struct apw_broker	*nursery;	/* owned */
	int			 watch_fd;	/* owned */
	unsigned		 slot;
	char			 title[48];	/* of a box's process 1 */
} boxes = { .watch_fd = -1 };

struct boxes_reads {
	char	*v[BOXES_READS + 1];		/* owned, strings too */
	size_t	 n;
};

static void
boxes_forget(void *arg)
{
	apw_title_set("apworkerd: builders %u", boxes.slot);
	apw_title_wipe_environment();
	apw_secrets_wipe(arg);
}

static void
reads_add(struct boxes_reads *r, const char *path)
{
	size_t	i;

	for (i = 0; path != NULL && i < r->n; i++)
		if (strcmp(r->v[i], path) == 0)
			return;
	if (path != NULL && path[0] == '/' && r->n < BOXES_READS &&
	    (r->v[r->n] = strdup(path)) != NULL)
		r->n++;
}

/* A program alone, or with the packages that it is one of. */
static void
reads_tool(struct boxes_reads *r, struct stock_tool *tool)
{
	static const char	packages[] = "/node_modules";
	apw_autofree char	*real = tool->path == NULL ? NULL :
				    realpath(tool->path, NULL);
	size_t			 n = tool->home == NULL ? 0 :
				    strlen(tool->home);

	if (n > strlen(packages) && strcmp(tool->home + n - strlen(packages),
	    packages) == 0)
		reads_add(r, tool->home);
	reads_add(r, real);
	reads_add(r, tool->path);
	stock_tool_free(tool);
}

static void
reads_file(void *arg, const char *path)
{
	reads_add(arg, path);
}

static void
reads_find(struct boxes_reads *r, const struct apw_cycle *cycle)
{
	static const char *const files[] = { "/etc/npmrc",
	    "/etc/crypto-policies", "/etc/ca-certificates",
	    "/etc/os-release" };
	static const char *const names[] = { "NODE_EXTRA_CA_CERTS",
	    "SSL_CERT_FILE", "SSL_CERT_DIR", "npm_config_cafile",
	    "NPM_CONFIG_CAFILE" };
	struct stock_tool	 node = { 0 }, installer = { 0 },
				 bundler = { 0 };
	size_t			 i;

	stock_tools_locate(cycle, &node, &installer, &bundler);
	reads_tool(r, &node);
	reads_tool(r, &installer);
	reads_tool(r, &bundler);
	for (i = 0; i < APW_COUNT(files); i++)
		reads_add(r, files[i]);
	for (i = 0; i < APW_COUNT(names); i++)
		reads_add(r, getenv(names[i]));
	stock_registry_files(&cycle->stock, reads_file, r);
}

static unsigned
boxes_cpu_seconds(const struct apw_stock_conf *c)
{
	int64_t	ms = c->install_timeout_ms > c->build_timeout_ms ?
		    c->install_timeout_ms : c->build_timeout_ms;

	/* wall time is watched; this catches one that burns all cores */
	return ms <= 0 ? 0 : (unsigned)(ms / 1000 * 4 + 10);
}

static struct apw_broker *
boxes_start(const struct apw_cycle *cycle, unsigned slot,
    const char *staging, const char *cache, struct apw_err *err)
{
	const struct apw_main_conf	*m = &cycle->main;
	bool				 other = geteuid() == 0 &&
					    m->user != NULL;
	struct boxes_reads		 reads = { .n = 0 };
	struct apw_broker		*b;
	struct apw_broker_conf		 conf = {
		.slot = slot, .builds = true, .staging = staging,
		.cache = cache, .reads = (const char *const *)reads.v,
		.uid = BOXES_UID + slot, .gid = BOXES_UID + slot,
		.host_uid = other ? m->uid : geteuid(),
		.host_gid = other ? m->gid : getegid(),
		.limits = { .tmp_bytes = BOXES_TMP_BYTES,
		    .tmp_files = BOXES_TMP_FILES,
		    .file_bytes = BOXES_FILE_BYTES, .pids = BOXES_TASKS,
		    .open_files = BOXES_FILES,
		    .cpu_seconds = boxes_cpu_seconds(&cycle->stock) },
		.boxes = m->slots * (APW_SANDBOX_SEATS + 1),
		.box_title = boxes.title, .forget = boxes_forget,
		.forget_arg = (void *)(uintptr_t)cycle,
	};

	boxes.slot = slot;
	snprintf(boxes.title, sizeof(boxes.title),
	    "apworkerd: box of builders %u", slot);
	conf.title_at = apw_title_place(&conf.title_bytes);
	reads_find(&reads, cycle);
	b = apw_broker_start(&conf, err);
	while (reads.n > 0)
		free(reads.v[--reads.n]);
	return b;
}

/* A broker of this one makes a box up to where its command would begin. */
static int
boxes_try(const struct apw_broker *nursery, struct apw_err *err)
{
	struct apw_broker	*b = apw_broker_open(nursery, err);
	int			 rc;

	if (b == NULL)
		return -1;
	rc = apw_broker_try(b, APW_BOX_OWN_NET, err);
	apw_broker_stop(b);
	return rc;
}

static bool
boxes_wanted(const struct apw_cycle *cycle)
{
	return cycle->stock.path != NULL &&
	    (cycle->stock.jail == APW_JAIL_ON ||
	    cycle->stock.jail == APW_JAIL_REQUIRE);
}

int
apw_stock_begin(const struct apw_cycle *cycle, unsigned slot,
    struct apw_err *err)
{
	apw_autofree char	*staging = NULL, *cache = NULL;

	if (!boxes_wanted(cycle))
		return 0;
	if (asprintf(&staging, "%s/" APW_STOCK_VERSION "/.staging",
	    cycle->stock.path) == -1 || asprintf(&cache, "%s/"
	    APW_STOCK_VERSION "/.cache", cycle->stock.path) == -1)
		return apw_err_set(err, ENOMEM, "builders");
	boxes.nursery = boxes_start(cycle, slot, staging, cache, err);
	if (boxes.nursery == NULL)
		return -1;
	boxes.watch_fd = (int)syscall(SYS_pidfd_open,
	    apw_broker_pid(boxes.nursery), 0);
	if (boxes.watch_fd == -1 || fcntl(boxes.watch_fd, F_SETFD,
	    FD_CLOEXEC) == -1 ||
	    apw_child_own(apw_broker_pid(boxes.nursery)) == -1) {
		apw_err_set(err, errno, "cannot watch the builders' broker");
		apw_stock_finish();
		return -1;
	}
	return 0;
}

void
apw_stock_finish(void)
{
	if (boxes.nursery == NULL)
		return;
	apw_child_disown(apw_broker_pid(boxes.nursery));
	apw_broker_stop(boxes.nursery);
	boxes.nursery = NULL;
	if (boxes.watch_fd != -1)
		close(boxes.watch_fd);
	boxes.watch_fd = -1;
}

int
apw_stock_watch_fd(void)
{
	return boxes.watch_fd;
}

bool
stock_boxes(struct apw_stock *stock)
{
	struct apw_err	*why = &stock->boxes_why;

	if (stock->boxes != STOCK_BOXES_UNKNOWN)
		return stock->boxes == STOCK_BOXES_READY;
	stock->boxes = STOCK_BOXES_NOT;
	if (!boxes_wanted(stock->cycle))
		return false;
	if (boxes.nursery == NULL)
		apw_err_set(why, 0, "nothing that makes boxes was started");
	else if (boxes_try(boxes.nursery, why) == 0)
		stock->boxes = STOCK_BOXES_READY;
	if (stock->boxes == STOCK_BOXES_NOT)
		apw_notice("builders have no box", APW_E(why));
	return stock->boxes == STOCK_BOXES_READY;
}

int
apw_stock_fit(struct apw_stock *stock, struct apw_err *err)
{
	if (apw_stock_engine_needs(stock->cycle, false, err) == -1)
		return -1;
	if (stock_boxes(stock) || stock->cycle->stock.jail != APW_JAIL_REQUIRE)
		return 0;
	/* what was missing may come */
	stock->boxes = STOCK_BOXES_UNKNOWN;
	return apw_err_set(err, 0, "\"jail require\" needs boxes for "
	    "builders: %s; \"jail on\" does without", stock->boxes_why.text);
}

int
stock_boxes_fd(void)
{
	return boxes.nursery == NULL ? -1 : apw_broker_fd(boxes.nursery);
}

struct apw_broker *
stock_boxes_open(struct apw_err *err)
{
	if (boxes.nursery != NULL)
		return apw_broker_open(boxes.nursery, err);
	apw_err_set(err, 0, "nothing makes boxes for builders");
	return NULL;
}

void
stock_boxes_close(struct stock_keeper *k)
{
	apw_broker_stop(k->broker);
	k->broker = NULL;
}

void
apw_stock_score(struct apw_stock *stock, struct apw_score_slot *score)
{
	stock->score = score;
}

/* The stock's folder, or what is there of the way to it: whether owners can
 * be mapped is a matter of the file system.  The caller frees it. */
static char *
probe_folder(const struct apw_cycle *cycle)
{
	struct stat	 st;
	char		*path, *slash;

	if (cycle->stock.path[0] != '/' || asprintf(&path, "%s/"
	    APW_STOCK_VERSION "/.staging", cycle->stock.path) == -1)
		return NULL;
	while ((slash = strrchr(path, '/')) != path &&
	    (stat(path, &st) == -1 || !S_ISDIR(st.st_mode)))
		*slash = '\0';
	if (slash == path)
		path[1] = '\0';
	return path;
}

int
apw_stock_probe(const struct apw_cycle *cycle, char *text, size_t size)
{
	static char		 nowhere[] = "";
	static struct apw_cycle	 usual = { .stock = {	/* wiped, too */
				    .jail = APW_JAIL_ON, .path = nowhere } };
	char			 temporary[] = "/tmp/apworkerd-probe-XXXXXX";
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_broker	*b = NULL;
	int			 rc = -1;

	if (cycle == NULL)
		cycle = &usual;
	if (!boxes_wanted(cycle)) {
		snprintf(text, size, cycle->stock.jail == APW_JAIL_OFF ?
		    "not jailed (\"jail off\")" :
		    "Landlock's rules (\"jail landlock\")");
		return 0;
	}
	apw_autofree char *folder = probe_folder(cycle);
	if (folder == NULL && mkdtemp(temporary) == NULL)
		apw_err_set(&err, errno, "%s", temporary);
	else if ((b = boxes_start(cycle, 0, folder != NULL ? folder :
	    temporary, NULL, &err)) != NULL)
		rc = boxes_try(b, &err);
	apw_broker_stop(b);
	if (folder == NULL)
		rmdir(temporary);
	if (rc == 0)
		snprintf(text, size, "boxes of their own; network: the "
		    "registry only");
	else
		snprintf(text, size, "Landlock's rules where the kernel has "
		    "them; no boxes: %s", err.text);
	return rc == -1 && cycle->stock.jail == APW_JAIL_REQUIRE ? -1 : 0;
}
