/* A cycle: one loaded configuration, immutable once checked.  Owned by the
 * master; slots and the monitor see the copy they were forked with. */
#ifndef APW_CYCLE_H
#define APW_CYCLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/apw_arena.h"
#include "core/apw_err.h"
#include "core/apw_log.h"

struct apw_conf;
struct apw_conf_context;
struct apw_conf_origin;
struct apw_conf_place;
struct apw_conf_secret;
struct apw_module;

struct apw_strlist {
	char	**v;		/* in the cycle's arena; v[n] is NULL */
	size_t	 n;
};

/* A secret: its bytes are never printed; -T shows "***" and the origin. */
struct apw_secret {
	char	*value;		/* NULL: not given; wiped by apw_secrets_wipe() */
	size_t	 n;
};

/* main */
enum apw_journal_mode { APW_JOURNAL_ON, APW_JOURNAL_SYNC, APW_JOURNAL_OFF };

struct apw_main_conf {
	unsigned	 slots;
	bool		 daemon;
	char		*pid_path;
	char		*user;			/* NULL: stay who we are */
	char		*group;
	uid_t		 uid;			/* resolved by the check */
	gid_t		 gid;
	char		*state_path;		/* journal, leases, link tokens */
	char		*log_path;		/* or "stderr" */
	enum apw_log_level log_level;
	enum apw_log_format log_format;
	enum apw_journal_mode journal;		/* of leases and results */
	unsigned	 retries;		/* of a job whose slot died */
	bool		 errands;		/* short jobs beside busy slots */
	int64_t		 drain_timeout_ms;
	int64_t		 respawn_max_ms;	/* longest rest between starts */
	unsigned	 respawn_burst;		/* deaths in the window that rest a slot */
	int64_t		 respawn_window_ms;
	int64_t		 progress_timeout_ms;	/* no loop tick for so long: kill */
	int64_t		 reload_timeout_ms;	/* for the canary; 0: none */
};

/* engine { } */
enum apw_reuse { APW_REUSE_AUTO, APW_REUSE_NONE, APW_REUSE_FLOW,
	APW_REUSE_PROJECT, APW_REUSE_PLATFORM, APW_REUSE_ANY };
enum apw_dialect { APW_DIALECT_AUTO, APW_DIALECT_A, APW_DIALECT_B0,
	APW_DIALECT_B1, APW_DIALECT_B2, APW_DIALECT_B3 };

struct apw_engine_conf {
	char		*node;			/* absolute; found on PATH by the check */
	char		*bundle;		/* main.js to install into the stock */
	char		*node_path;		/* NODE_PATH of the engine; NULL: none */
	char		*ca_file;		/* more authorities; NULL: none */
	char		*deno;			/* its binary; NULL: none */
	uint64_t	 memory_bytes;		/* 0: what the app's settings say */
	unsigned	 standby;
	bool		 ahead;			/* one that stands by loads the framework */
	enum apw_reuse	 reuse;
	unsigned	 max_jobs;		/* 0: no limit */
	int64_t		 max_age_ms;		/* 0: no limit */
	int64_t		 start_timeout_ms;
	uint64_t	 output_bytes;		/* kept of stdout and of stderr, each */
	uint64_t	 calls_bytes;		/* of engine calls in flight to the app */
	enum apw_dialect dialect;
	struct apw_strlist propagate;		/* names of our environment */
};

/* network MODE { }; enforcement is the sandbox's and egress' matter */
enum apw_network {
	APW_NETWORK_AUTO,		/* what the app says */
	APW_NETWORK_UNRESTRICTED,	/* the host's */
	APW_NETWORK_PRIVATE,		/* its own, led to the outside by pasta */
	APW_NETWORK_STRICT,		/* nothing but link and proxy */
};

struct apw_network_conf {
	enum apw_network mode;
	/* what follows is read by egress/rules.h */
	struct apw_strlist allow;		/* addresses, networks, names */
	struct apw_strlist ports;		/* "443", "8000-8999"; empty: all */
	struct apw_strlist resolver;		/* name servers; empty: the system's */
	char		*upstream;		/* "auto", "off" or an http URL */
	bool		 upstream_names;	/* it may get names to look up */
	bool		 http_proxy;		/* engines get HTTP_PROXY, too */
	unsigned	 connections;		/* at a time, of one engine */
	uint64_t	 bytes;			/* of one run; 0: no limit */
	int64_t		 idle_timeout_ms;
	int64_t		 head_timeout_ms;	/* a client's request */
	int64_t		 connect_timeout_ms;	/* look-up and connect */
};

/* stock { } */
enum apw_installer { APW_INSTALLER_BUN, APW_INSTALLER_NPM };
enum apw_bundler { APW_BUNDLER_ESBUILD, APW_BUNDLER_BUN };
enum apw_jail { APW_JAIL_OFF, APW_JAIL_ON, APW_JAIL_LANDLOCK,
	APW_JAIL_REQUIRE };

struct apw_stock_conf {
	char		*path;
	uint64_t	 max_bytes;		/* 0: no budget */
	enum apw_installer installer;
	char		*installer_path;	/* NULL: on PATH */
	enum apw_bundler bundler;
	char		*bundler_path;
	int64_t		 install_timeout_ms;
	int64_t		 build_timeout_ms;
	int64_t		 negative_ttl_ms;	/* how long a failure is remembered */
	char		*registry;		/* NULL: our environment, or the tools' own */
	char		*npmrc;			/* NULL: none */
	char		*proxy;			/* of installers; NULL: our environment's */
	struct apw_strlist no_proxy;		/* hosts that are reached without it */
	struct apw_strlist registry_hosts;	/* "HOST[:PORT]" beside the registry */
	enum apw_jail	 jail;			/* of installers and bundlers */
	uint64_t	 build_memory;		/* of an installer's or bundler's tree; 0: any */
	uint64_t	 build_disk;		/* of what one of them writes; 0: any */
	bool		 warm;			/* pieces in use are installed early */
	bool		 warm_all;		/* flows that are enabled, at the start */
};

/* monitor { } */
struct apw_monitor_conf {
	bool		 enabled;
	struct apw_strlist listen;		/* "ADDR:PORT", "[V6]:PORT", "unix:PATH" */
};

struct apw_cycle {
	struct apw_arena	*arena;		/* owned; frees all below */
	char			*file;		/* NULL: built from the environment */
	unsigned		 number;	/* 1, 2, ... of this master's life */
	struct apw_main_conf	 main;
	struct apw_engine_conf	 engine;
	struct apw_network_conf	 network;
	struct apw_stock_conf	 stock;
	struct apw_monitor_conf	 monitor;
	const struct apw_module	*source;	/* the one source that is configured */
	const struct apw_module	*sandbox;	/* NULL: auto, by the app's settings */
	const char		*mode;		/* mode name for sandbox, NULL: auto */
	void			**module_conf;	/* by apw_module.index; defaults filled in */
	const char		*prefix;	/* relative paths started here */

	/* the configuration reader's own: for -T, reloads and wiping */
	struct apw_conf_context	*contexts;
	size_t			 ncontexts;
	struct apw_conf_origin	*origins;	/* where each value came from */
	struct apw_conf_secret	*secrets;
	const struct apw_conf_place *mode_place; /* of the sandbox mode */
	struct apw_conf		*reader;	/* NULL once it was read */
};

/* The configuration struct of a module in this cycle. */
#define APW_MODULE_CONF(cycle, module) ((cycle)->module_conf[(module)->index])

#endif
