/* What of the file system a tool may see, and which ports it may connect to:
 * Landlock rules, where the kernel has them and there are no boxes.  Room:
 * stock, keeper; entered by the tool's process.  A bundler sees its step's
 * folder and the system's libraries, so that no import, map or error message
 * can carry a file of the host into a step; an installer sees name service and
 * certificates too, and writes the package cache. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "core/apw_auto.h"
#include "dial/upstream.h"

#define ACCESS_READ	(LANDLOCK_ACCESS_FS_EXECUTE | \
	LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* all that the first version of Landlock knows */
#define ACCESS_V1	((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#ifdef LANDLOCK_ACCESS_FS_REFER
#define ACCESS_V2	(ACCESS_V1 | LANDLOCK_ACCESS_FS_REFER)
#else
#define ACCESS_V2	(ACCESS_V1 | (1ULL << 13))
#endif
#define ACCESS_TRUNCATE	(1ULL << 14)	/* version 3 */
#define ACCESS_FILE	(LANDLOCK_ACCESS_FS_EXECUTE | \
	LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
	ACCESS_TRUNCATE)

static const char *const system_read[] = {
	"/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin",
	"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
	"/etc/ld.so.preload", "/etc/alternatives", "/etc/localtime",
	"/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf",
	"/etc/crypto-policies", "/proc", "/sys/fs/cgroup", "/sys/devices/system/cpu", NULL
};
static const char *const system_write[] = {
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
	"/dev/tty", NULL
};
static const char *const network_read[] = {
	"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf",
	"/etc/nsswitch.conf", "/etc/services", "/etc/protocols",
	"/etc/passwd", "/etc/group", "/etc/ssl", "/etc/pki",
	"/etc/ca-certificates", "/etc/os-release", "/etc/npmrc",
	"/run/systemd/resolve", "/run/resolvconf", "/run/nscd", NULL
};

#define ACCESS_BIND	(1ULL << 0)	/* version 4: TCP */
#define ACCESS_CONNECT	(1ULL << 1)
#define RULE_PORT	2

struct rules_attr {
	uint64_t	fs, net;
};

struct port_attr {
	uint64_t	access, port;
};

struct jail {
	int		fd;		/* the ruleset */
	uint64_t	handled;
	bool		ports;		/* they are ruled, too */
};

static void
allow(const struct jail *jail, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr	rule = { .allowed_access =
	    access & jail->handled };
	apw_autofd int				fd = -1;
	struct stat				st;

	if (path == NULL || path[0] != '/')
		return;
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1)
		return;		/* not on this host */
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= ACCESS_FILE;
	rule.parent_fd = fd;
	syscall(SYS_landlock_add_rule, jail->fd, LANDLOCK_RULE_PATH_BENEATH,
	    &rule, 0);
}

static void
allow_all(const struct jail *jail, const char *const *paths, uint64_t access)
{
	for (; *paths != NULL; paths++)
		allow(jail, *paths, access);
}

static int
jail_open(struct jail *jail)
{
	struct rules_attr	attr = { 0 };
	long	version = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);

	if (version < 1)
		return -1;
	attr.fs = version >= 2 ? ACCESS_V2 : ACCESS_V1;
	if (version >= 3)
		attr.fs |= ACCESS_TRUNCATE;
	jail->ports = version >= 4;
	if (jail->ports)
		attr.net = ACCESS_BIND | ACCESS_CONNECT;
	jail->handled = attr.fs;
	jail->fd = syscall(SYS_landlock_create_ruleset, &attr, jail->ports ?
	    sizeof(attr) : sizeof(attr.fs), 0);
	return jail->fd == -1 ? -1 : 0;
}

static void
allow_port(const struct jail *jail, uint16_t port)
{
	struct port_attr	rule = { ACCESS_CONNECT, port };

	syscall(SYS_landlock_add_rule, jail->fd, RULE_PORT, &rule, 0);
}

static void
allow_proxy(const struct jail *jail, const struct apw_stock_conf *conf)
{
	struct apw_upstream	up;
	struct stock_way		way;

	if (stock_way_find(conf, &way, NULL) == -1)
		return;
	if (way.proxy != NULL &&
	    apw_upstream_read(&up, way.proxy, NULL) == 0) {
		allow_port(jail, up.port);
		explicit_bzero(&up, sizeof(up));
	}
	stock_way_free(&way);
}

/* Of any host: Landlock knows no addresses.  Datagrams it does not know
 * either: names are looked up. */
static void
allow_registry(const struct jail *jail, const struct apw_stock_conf *conf)
{
	struct apw_egress_place	places[STOCK_PLACES_MAX];
	size_t			n, i;

	if (!jail->ports)
		return;
	n = stock_registry_places(conf, places, APW_COUNT(places));
	for (i = 0; i < n; i++)
		allow_port(jail, places[i].port);
	allow_proxy(jail, conf);
	allow_port(jail, 53);
}

static void
allow_file(void *jail, const char *path)
{
	allow(jail, path, ACCESS_READ);
}

int
stock_jail_prepare(const struct apw_stock *stock, const struct stock_run *run,
    struct apw_err *err)
{
	struct jail		 jail;
	apw_autofree char	*cache = NULL;

	(void)err;
	/* version 1 refuses every link and rename between folders, which
	 * installers live by: better no jail than a broken install */
	if (stock->cycle->stock.jail == APW_JAIL_OFF || jail_open(&jail) == -1)
		return -1;
	if ((jail.handled & ~ACCESS_V1) == 0 && run->network) {
		close(jail.fd);
		return -1;
	}
	allow_all(&jail, system_read, ACCESS_READ);
	allow_all(&jail, system_write, ACCESS_FILE);
	allow(&jail, run->tool->home, ACCESS_READ);
	allow(&jail, run->tool->path, ACCESS_READ);
	allow(&jail, stock->node.home, ACCESS_READ);
	allow(&jail, stock->node.path, ACCESS_READ);
	allow(&jail, run->staging, jail.handled);
	if (!run->network)
		return jail.fd;
	allow_registry(&jail, &stock->cycle->stock);
	allow_all(&jail, network_read, ACCESS_READ);
	allow(&jail, stock_env_cafile(), ACCESS_READ);
	allow(&jail, getenv("SSL_CERT_FILE"), ACCESS_READ);
	allow(&jail, getenv("SSL_CERT_DIR"), ACCESS_READ);
	allow(&jail, getenv("npm_config_cafile"), ACCESS_READ);
	allow(&jail, getenv("NPM_CONFIG_CAFILE"), ACCESS_READ);
	stock_registry_files(&stock->cycle->stock, allow_file, &jail);
	if (asprintf(&cache, "%s/.cache", stock->root) == -1)
		cache = NULL;
	allow(&jail, cache, jail.handled);
	return jail.fd;
}

int
stock_jail_enter(int ruleset_fd)
{
	if (ruleset_fd == -1)
		return 0;
	return syscall(SYS_landlock_restrict_self, ruleset_fd, 0);
}
