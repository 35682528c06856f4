/* The tables of the core's own contexts: main, engine, stock and monitor
 * (network is in apw_conf_network.c).  Room: core.  A directive is one row; the reader, -T, the manual
 * and apworker.conf.full are made from it. */
#include "core/apw_conf_priv.h"

#define SECOND	INT64_C(1000)
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)
#define KB	INT64_C(1024)
#define MB	(1024 * KB)
#define GB	(1024 * MB)

#define MAIN(field)	offsetof(struct apw_main_conf, field)
#define ENGINE(field)	offsetof(struct apw_engine_conf, field)
#define STOCK(field)	offsetof(struct apw_stock_conf, field)

const struct apw_enum apw_conf_log_levels[] = {
	{ "alert", APW_LOG_ALERT }, { "error", APW_LOG_ERROR },
	{ "warn", APW_LOG_WARN }, { "notice", APW_LOG_NOTICE },
	{ "info", APW_LOG_INFO }, { "debug", APW_LOG_DEBUG }, { NULL, 0 }
};
static const struct apw_enum log_formats[] = {
	{ "text", APW_LOG_TEXT }, { "json", APW_LOG_JSON }, { NULL, 0 }
};
static const struct apw_enum journals[] = {
	{ "on", APW_JOURNAL_ON }, { "sync", APW_JOURNAL_SYNC },
	{ "off", APW_JOURNAL_OFF }, { NULL, 0 }
};
static const struct apw_enum reuses[] = {
	{ "auto", APW_REUSE_AUTO }, { "none", APW_REUSE_NONE },
	{ "flow", APW_REUSE_FLOW }, { "project", APW_REUSE_PROJECT },
	{ "platform", APW_REUSE_PLATFORM }, { "any", APW_REUSE_ANY },
	{ NULL, 0 }
};
static const struct apw_enum dialects[] = {
	{ "auto", APW_DIALECT_AUTO }, { "a", APW_DIALECT_A },
	{ "b0", APW_DIALECT_B0 }, { "b1", APW_DIALECT_B1 },
	{ "b2", APW_DIALECT_B2 }, { "b3", APW_DIALECT_B3 }, { NULL, 0 }
};
static const struct apw_enum installers[] = {
	{ "bun", APW_INSTALLER_BUN }, { "npm", APW_INSTALLER_NPM }, { NULL, 0 }
};
static const struct apw_enum bundlers[] = {
	{ "esbuild", APW_BUNDLER_ESBUILD }, { "bun", APW_BUNDLER_BUN },
	{ NULL, 0 }
};

const char *const apw_conf_include_help =
    "Read other files in this place, in any context: a path, or a pattern "
    "with *, ? and [], whose files are read in the order of their names. "
    "A relative path starts at the directory of the file that includes.";

const struct apw_directive apw_conf_main_directives[] = {
	{ .name = "slots", .args = { 1, 1 }, .set = apw_set_unsigned,
	  .offset = MAIN(slots), .limits = APW_BOUNDS(1, 1024), .dflt = "5",
	  .env = "AP_WORKER_CONCURRENCY", .reload = APW_NOW,
	  .arg_help = "NUMBER",
	  .help = "How many jobs run at the same time: one worker process, "
	      "with one engine, for each." },
	{ .name = "daemon", .args = { 1, 1 }, .set = apw_set_flag,
	  .offset = MAIN(daemon), .dflt = "off", .reload = APW_RESTART,
	  .arg_help = "on | off",
	  .help = "Go to the background. Service managers and containers "
	      "want it off." },
	{ .name = "pid", .args = { 1, 1 }, .set = apw_set_path,
	  .offset = MAIN(pid_path), .dflt = APW_RUNSTATEDIR "/apworkerd.pid",
	  .reload = APW_RESTART, .arg_help = "PATH",
	  .help = "The file that holds the master's process id, and its "
	      "lock: a second daemon with the same file refuses to start." },
	{ .name = "user", .args = { 1, 2 }, .set = apw_conf_set_user,
	  .offset = MAIN(user), .reload = APW_RESTART,
	  .arg_help = "NAME [GROUP]",
	  .help = "Who the worker processes become when the master runs as "
	      "root. Without it they stay who started the master." },
	{ .name = "state", .args = { 1, 1 }, .set = apw_set_path,
	  .offset = MAIN(state_path),
	  .dflt = APW_LOCALSTATEDIR "/lib/apworkerd", .reload = APW_RESTART,
	  .arg_help = "DIRECTORY",
	  .help = "Where leases and results of jobs in hand are kept: what "
	      "must survive a crash; and the socket by which apworkerctl "
	      "finds the daemon." },
	{ .name = "journal", .args = { 1, 1 }, .set = apw_set_enum,
	  .offset = MAIN(journal), .limits = journals, .dflt = "on",
	  .reload = APW_NEW_SLOTS, .arg_help = "on | sync | off",
	  .help = "Whether a slot writes down the job it has, so that its "
	      "successor goes on with it at once. \"on\" survives the death of "
	      "any process and costs microseconds; \"sync\" also the host's, "
	      "and costs each job two waits for the disk. With \"off\" a job "
	      "whose slot died waits until the app's lock on it has run out "
	      "(two to three minutes), and a result that was not told yet is "
	      "lost: the job runs again." },
	{ .name = "retries", .args = { 1, 1 }, .set = apw_set_unsigned,
	  .offset = MAIN(retries), .limits = APW_BOUNDS(0, 10), .dflt = "2",
	  .reload = APW_NEW_SLOTS, .arg_help = "NUMBER",
	  .help = "How often a job is begun again after its slot died under "
	      "it; then it ends as INTERNAL_ERROR, and says where its slots "
	      "died. Needs the journal." },
	{ .name = "errands", .args = { 1, 1 }, .set = apw_set_flag,
	  .offset = MAIN(errands), .dflt = "on", .reload = APW_NOW,
	  .arg_help = "on | off",
	  .help = "A run may wait for another job: a connection whose token has "
	      "to be refreshed first. While each slot has a job, one of them "
	      "for 2 s, one process more takes the short jobs that somebody "
	      "waits for, in an engine of its own, and leaves all others to "
	      "the slots. It needs the memory of one more engine. Off: such "
	      "a run waits for its time limit when no slot is free. From "
	      "release 0.86 of the app on." },
	{ .name = "log", .args = { 1, 2 }, .set = apw_conf_set_log,
	  .offset = MAIN(log_path), .dflt = "stderr", .reload = APW_NOW,
	  .arg_help = "PATH|stderr|stdout [LEVEL]",
	  .help = "Where log lines go: a file, a FIFO (which needs no reader "
	      "yet), stderr or stdout. Who does not read costs lines, which are "
	      "counted, and nothing else. The second argument is the same as "
	      "log_level." },
	{ .name = "log_level", .args = { 1, 1 }, .set = apw_set_enum,
	  .offset = MAIN(log_level), .limits = apw_conf_log_levels, .dflt = "info",
	  .env = "AP_LOG_LEVEL", .reload = APW_NOW,
	  .arg_help = "alert | error | warn | notice | info | debug",
	  .help = "The least important lines that are still written." },
	{ .name = "log_format", .args = { 1, 1 }, .set = apw_set_enum,
	  .offset = MAIN(log_format), .limits = log_formats, .dflt = "text",
	  .env = "AP_LOG_PRETTY", .reload = APW_NOW,
	  .arg_help = "text | json",
	  .help = "Lines for people, or a JSON object a line." },
	{ .name = "drain_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = MAIN(drain_timeout_ms),
	  .limits = APW_BOUNDS(0, 7 * DAY), .dflt = "25s", .reload = APW_NOW,
	  .arg_help = "TIME",
	  .help = "How long jobs in hand may go on after SIGTERM or SIGINT; a "
	      "job that still comes has it from then on. Polls that are parked "
	      "at the app are waited for beside it, up to poll_timeout: the "
	      "service manager should wait for both, and half a minute more, "
	      "before it kills. SIGQUIT and a reload wait as long as the jobs "
	      "take." },
	{ .name = "respawn_max", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = MAIN(respawn_max_ms), .limits = APW_BOUNDS(100, HOUR),
	  .dflt = "30s", .reload = APW_NOW, .arg_help = "TIME",
	  .help = "The longest rest before a slot that died is started "
	      "again: the first start is at once, then the rest doubles." },
	{ .name = "respawn_burst", .args = { 1, 1 }, .set = apw_set_unsigned,
	  .offset = MAIN(respawn_burst), .limits = APW_BOUNDS(1, 64),
	  .dflt = "10", .reload = APW_NOW, .arg_help = "NUMBER",
	  .help = "So many deaths within respawn_window put a slot to rest "
	      "for as long, or until a reload; the others go on." },
	{ .name = "respawn_window", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = MAIN(respawn_window_ms), .limits = APW_BOUNDS(SECOND, DAY),
	  .dflt = "10m", .reload = APW_NOW, .arg_help = "TIME",
	  .help = "The time in which deaths are counted for "
	      "respawn_burst." },
	{ .name = "progress_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = MAIN(progress_timeout_ms),
	  .limits = APW_BOUNDS(SECOND, HOUR), .dflt = "60s",
	  .reload = APW_NOW, .arg_help = "TIME",
	  .help = "A slot whose event loop does not turn for so long is "
	      "killed and started again." },
	{ .name = "reload_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = MAIN(reload_timeout_ms), .limits = APW_BOUNDS(0, HOUR),
	  .dflt = "60s", .reload = APW_NOW, .arg_help = "TIME",
	  .help = "How long a reload's first slot may take to show that the "
	      "new configuration works (settings fetched, engine booted) "
	      "before the old slots drain; after that the old configuration "
	      "stays. 0: nothing has to be shown." },
	{ .name = NULL }
};

static const struct apw_directive engine_directives[] = {
	{ .name = "node", .args = { 1, 1 }, .set = apw_set_string,
	  .offset = ENGINE(node), .dflt = "node", .reload = APW_NEW_SLOTS,
	  .arg_help = "PROGRAM",
	  .help = "The Node.js executable: a path, or a name that is looked "
	      "up on PATH." },
	{ .name = "bundle", .args = { 1, 1 }, .set = apw_set_path,
	  .offset = ENGINE(bundle), .dflt = APW_LIBDIR "/engine/main.js",
	  .reload = APW_NEW_SLOTS, .arg_help = "PATH",
	  .help = "The engine: the main.js of an Activepieces release. It is "
	      "the app's and is not installed with apworkerd: its image has "
	      "it in /usr/src/app/dist/packages/engine, with files beside it "
	      "that belong to it." },
	{ .name = "node_path", .args = { 1, 1 }, .set = apw_set_path,
	  .offset = ENGINE(node_path), .reload = APW_NEW_SLOTS,
	  .arg_help = "DIRECTORY",
	  .help = "NODE_PATH of the engine: the node_modules directory that "
	      "has isolated-vm, for the modes that need it." },
	{ .name = "deno", .args = { 1, 1 }, .set = apw_set_path,
	  .offset = ENGINE(deno), .env = "AP_DENO_PATH",
	  .reload = APW_NEW_SLOTS, .arg_help = "PATH",
	  .help = "The deno binary, with which engines of releases after "
	      "0.88.3 run code steps: their AP_DENO_PATH. The binary itself, "
	      "and not the script that npm puts into .bin: deno of the "
	      "package @deno/linux-x64-glibc, or of its own archive. Engines "
	      "of a process mode find it in their boxes." },
	{ .name = "ca_file", .args = { 1, 1 }, .set = apw_set_path,
	  .offset = ENGINE(ca_file), .reload = APW_NEW_SLOTS,
	  .arg_help = "PATH",
	  .help = "Certificates (PEM) of authorities that engines trust "
	      "beside Node's own, in every sandbox mode: their "
	      "NODE_EXTRA_CA_CERTS." },
	{ .name = "memory", .args = { 1, 1 }, .set = apw_conf_set_bytes_auto,
	  .offset = ENGINE(memory_bytes), .limits = APW_BOUNDS(64 * MB,
	  1024 * GB), .dflt = "auto", .reload = APW_NEW_SLOTS,
	  .arg_help = "SIZE | auto",
	  .help = "How much memory an engine and what it starts may use; "
	      "twice that where pieces run in a process of their own (from "
	      "release 0.88.3 on).  auto: what the app's settings say." },
	{ .name = "standby", .args = { 1, 1 }, .set = apw_set_unsigned,
	  .offset = ENGINE(standby), .limits = APW_BOUNDS(0, 8), .dflt = "1",
	  .reload = APW_NEW_SLOTS, .arg_help = "NUMBER",
	  .help = "How many engines of a slot stand by, in boxes of their own, "
	      "for jobs to come: in the modes whose engines serve one job. "
	      "Each may use as much memory as one that works." },
	{ .name = "standby_loads", .args = { 1, 1 }, .set = apw_set_flag,
	  .offset = ENGINE(ahead), .dflt = "on", .reload = APW_NEW_SLOTS,
	  .arg_help = "on | off",
	  .help = "Whether an engine that stands by loads the framework of "
	      "pieces (the app's own packages) that the slot's last job "
	      "used, before there is a job. Otherwise its first operation "
	      "does, and takes that much longer." },
	{ .name = "reuse", .args = { 1, 1 }, .set = apw_set_enum,
	  .offset = ENGINE(reuse), .limits = reuses, .dflt = "auto",
	  .env = "AP_REUSE_SANDBOX", .reload = APW_NEW_SLOTS,
	  .arg_help = "auto | none | flow | project | platform | any",
	  .help = "Which later jobs a running engine may serve. auto: any in "
	      "UNSANDBOXED and SANDBOX_CODE_ONLY, none in the others." },
	{ .name = "max_jobs", .args = { 1, 1 }, .set = apw_set_unsigned,
	  .offset = ENGINE(max_jobs), .limits = APW_BOUNDS(0, 1000000),
	  .dflt = "0", .reload = APW_NEW_SLOTS, .arg_help = "NUMBER",
	  .help = "Replace an idle engine after so many jobs. 0: no limit." },
	{ .name = "max_age", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = ENGINE(max_age_ms), .limits = APW_BOUNDS(0, 365 * DAY),
	  .dflt = "0", .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "Replace an idle engine of that age. 0: no limit." },
	{ .name = "start_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = ENGINE(start_timeout_ms),
	  .limits = APW_BOUNDS(100, 10 * MINUTE), .dflt = "30s",
	  .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "How long an engine may take to connect back." },
	{ .name = "max_output", .args = { 1, 1 }, .set = apw_set_bytes,
	  .offset = ENGINE(output_bytes),
	  .limits = APW_BOUNDS(4 * KB, 256 * MB), .dflt = "1m",
	  .reload = APW_NEW_SLOTS, .arg_help = "SIZE",
	  .help = "How much of an engine's standard output, and of its "
	      "standard error, is kept for a job: its head and its tail." },
	{ .name = "max_calls", .args = { 1, 1 }, .set = apw_set_bytes,
	  .offset = ENGINE(calls_bytes),
	  .limits = APW_BOUNDS(64 * KB, 2 * GB), .dflt = "128m",
	  .reload = APW_NEW_SLOTS, .arg_help = "SIZE",
	  .help = "How many bytes of an engine's calls to the app may be "
	      "under way." },
	{ .name = "dialect", .args = { 1, 1 }, .set = apw_set_enum,
	  .offset = ENGINE(dialect), .limits = dialects, .dflt = "auto",
	  .reload = APW_NEW_SLOTS, .arg_help = "auto | a | b0 | b1 | b2 | b3",
	  .help = "How the engine speaks to the worker; it differs between "
	      "releases. auto: found out from the bundle." },
	{ .name = "propagate", .args = { 1, 255 }, .set = apw_conf_set_propagate,
	  .offset = ENGINE(propagate), .many = true,
	  .reload = APW_NEW_SLOTS, .arg_help = "NAME ...",
	  .help = "Variables of apworkerd's own environment that engines get "
	      "to see, beside those that the app's settings name." },
	{ .name = NULL }
};

static const struct apw_enum stock_jails[] = {
	{ "on", APW_JAIL_ON }, { "off", APW_JAIL_OFF },
	{ "landlock", APW_JAIL_LANDLOCK }, { "require", APW_JAIL_REQUIRE },
	{ NULL, 0 }
};

static const struct apw_directive stock_directives[] = {
	{ .name = "path", .args = { 1, 1 }, .set = apw_set_path,
	  .offset = STOCK(path), .dflt = APW_LOCALSTATEDIR "/cache/apworkerd",
	  .env = "AP_CACHE_BASE_PATH", .reload = APW_NEW_SLOTS, .arg_help = "DIRECTORY",
	  .help = "Where the engine, pieces and built code are kept. Several "
	      "daemons of one host may share it." },
	{ .name = "max_size", .args = { 1, 1 }, .set = apw_set_bytes,
	  .offset = STOCK(max_bytes), .limits = APW_BOUNDS(0, 1024 * 1024 * GB),
	  .dflt = "0", .reload = APW_NEW_SLOTS, .arg_help = "SIZE",
	  .help = "What is not in use is removed, the least recently used "
	      "first, to stay below it. 0: no limit." },
	{ .name = "installer", .args = { 1, 1 }, .set = apw_set_enum,
	  .offset = STOCK(installer), .limits = installers, .dflt = "bun",
	  .reload = APW_NEW_SLOTS, .arg_help = "bun | npm",
	  .help = "What installs npm packages. Where PATH has no bun, npm is "
	      "the default." },
	{ .name = "installer_path", .args = { 1, 1 }, .set = apw_set_path,
	  .offset = STOCK(installer_path), .reload = APW_NEW_SLOTS,
	  .arg_help = "PATH",
	  .help = "The installer's program. Without it it is looked up on "
	      "PATH." },
	{ .name = "bundler", .args = { 1, 1 }, .set = apw_set_enum,
	  .offset = STOCK(bundler), .limits = bundlers, .dflt = "esbuild",
	  .reload = APW_NEW_SLOTS, .arg_help = "esbuild | bun",
	  .help = "What builds code steps. Where PATH has no esbuild, bun is "
	      "the default." },
	{ .name = "bundler_path", .args = { 1, 1 }, .set = apw_set_path,
	  .offset = STOCK(bundler_path), .reload = APW_NEW_SLOTS,
	  .arg_help = "PATH",
	  .help = "The bundler's program. Without it it is looked up on "
	      "PATH." },
	{ .name = "install_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = STOCK(install_timeout_ms),
	  .limits = APW_BOUNDS(SECOND, HOUR), .dflt = "10m",
	  .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "How long an installation may take." },
	{ .name = "build_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = STOCK(build_timeout_ms),
	  .limits = APW_BOUNDS(SECOND, HOUR), .dflt = "1m",
	  .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "How long building one code step may take." },
	{ .name = "build_memory", .args = { 1, 1 }, .set = apw_set_bytes,
	  .offset = STOCK(build_memory), .limits = APW_BOUNDS(0, 1024 * GB),
	  .dflt = "2g", .reload = APW_NEW_SLOTS, .arg_help = "SIZE",
	  .help = "How much memory an installer or bundler may use, with all "
	      "it starts. 0: no limit." },
	{ .name = "build_disk", .args = { 1, 1 }, .set = apw_set_bytes,
	  .offset = STOCK(build_disk), .limits = APW_BOUNDS(0, 1024 * GB),
	  .dflt = "8g", .reload = APW_NEW_SLOTS, .arg_help = "SIZE",
	  .help = "How much one installation or build may put on the disk, "
	      "its part of the installers' cache included; each file counts "
	      "as 4 KB at least. What needs more is the user's fault. 0: no "
	      "limit." },
	{ .name = "negative_ttl", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = STOCK(negative_ttl_ms), .limits = APW_BOUNDS(0, DAY),
	  .dflt = "30s", .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "How long a failed installation is remembered before it is "
	      "tried again." },
	{ .name = "registry", .args = { 1, 1 }, .set = apw_set_url,
	  .offset = STOCK(registry), .reload = APW_NEW_SLOTS,
	  .arg_help = "URL",
	  .help = "The npm registry that packages and pieces come from; without "
	      "it what npm_config_registry or BUN_CONFIG_REGISTRY of the "
	      "daemon's environment say, else the installer's own." },
	{ .name = "proxy", .args = { 1, 1 }, .set = apw_set_url,
	  .offset = STOCK(proxy), .reload = APW_NEW_SLOTS,
	  .arg_help = "URL",
	  .help = "The HTTP proxy by which installers reach the registry "
	      "(https: it is spoken to in TLS); without it what https-proxy "
	      "or proxy of the npmrc say, else HTTPS_PROXY or HTTP_PROXY of "
	      "the daemon's environment. A proxy that wants a password is "
	      "named in one of those." },
	{ .name = "no_proxy", .args = { 1, 255 }, .set = apw_set_list,
	  .offset = STOCK(no_proxy), .reload = APW_NEW_SLOTS,
	  .arg_help = "HOST ...",
	  .help = "Hosts that installers reach without that proxy; without "
	      "\"proxy\", noproxy of the npmrc or NO_PROXY say them." },
	{ .name = "registry_hosts", .args = { 1, 255 }, .set = apw_set_list,
	  .offset = STOCK(registry_hosts), .reload = APW_NEW_SLOTS,
	  .arg_help = "HOST[:PORT] ...",
	  .help = "Hosts that installers may reach from their box beside the "
	      "registries: where a registry keeps its archives elsewhere. "
	      "Without a port: 443." },
	{ .name = "npmrc", .args = { 1, 1 }, .set = apw_set_path,
	  .offset = STOCK(npmrc), .reload = APW_NEW_SLOTS,
	  .arg_help = "FILE",
	  .help = "An .npmrc for the installer: credentials and scopes of a "
	      "private registry, and the way there (https-proxy, proxy, "
	      "noproxy, cafile). The .npmrc of the user who runs the daemon "
	      "is not read." },
	{ .name = "jail", .args = { 1, 1 }, .set = apw_set_enum,
	  .offset = STOCK(jail), .limits = stock_jails, .dflt = "on",
	  .reload = APW_NEW_SLOTS,
	  .arg_help = "on | off | landlock | require",
	  .help = "What installers and bundlers work in. on: a box of their "
	      "own, with nothing of the host but the tools and the system's "
	      "libraries, and no network but the registry; where the host "
	      "allows no boxes, Landlock's rules for files and ports. "
	      "landlock: these even where there could be boxes, for tools "
	      "that cannot live in one. require: a box or no job. off: "
	      "neither, for tools that live in unusual places." },
	{ .name = "warm", .args = { 1, 1 }, .set = apw_set_flag,
	  .offset = STOCK(warm), .dflt = "on", .reload = APW_NEW_SLOTS,
	  .arg_help = "on | off",
	  .help = "Whether what flows need is made ready before a job asks "
	      "for it, at low priority and only while the first slot has "
	      "nothing to do: up to 0.85 the pieces that flows of this group "
	      "have used, after the start; from 0.86.2 on each flow that is "
	      "published." },
	{ .name = "warm_all", .args = { 1, 1 }, .set = apw_set_flag,
	  .offset = STOCK(warm_all), .dflt = "off", .reload = APW_NEW_SLOTS,
	  .env = "AP_PREWARM_CACHE_ON_STARTUP", .arg_help = "on | off",
	  .help = "Whether all flows that are enabled are made ready after the "
	      "start, as warm does with one that is published. From 0.86.2 "
	      "on." },
	{ .name = NULL }
};

static const struct apw_directive monitor_directives[] = {
	{ .name = "listen", .args = { 1, 1 }, .set = apw_conf_set_listen,
	  .offset = offsetof(struct apw_monitor_conf, listen), .many = true,
	  .env = "AP_PORT", .reload = APW_NOW,
	  .arg_help = "ADDRESS:PORT | unix:PATH",
	  .help = "Where health, readiness and status are served over HTTP. "
	      "May be given several times." },
	{ .name = NULL }
};

const struct apw_conf_block apw_conf_blocks[] = {
	{ .name = "source", .kind = APW_BLOCK_SOURCE, .arg_help = "NAME",
	  .help = "Where jobs come from: exactly one. Without it, "
	      "AP_FRONTEND_URL and AP_WORKER_TOKEN in the environment mean "
	      "source app." },
	{ .name = "engine", .kind = APW_BLOCK_PLAIN,
	  .directives = engine_directives,
	  .offset = offsetof(struct apw_cycle, engine),
	  .help = "The program that executes flows, and its limits." },
	{ .name = "sandbox", .kind = APW_BLOCK_SANDBOX,
	  .arg_help = "MODE",
	  .help = "How engines are kept apart from the host and from each "
	      "other. With \"sandbox auto;\", the default, the app's settings "
	      "choose the mode, and blocks beside it are the settings of the "
	      "modes they name. AP_EXECUTION_MODE is the default." },
	{ .name = "network", .kind = APW_BLOCK_HEAD, .head = apw_conf_network_head,
	  .directives = apw_conf_network_directives,
	  .offset = offsetof(struct apw_cycle, network),
	  .arg_help = "auto | unrestricted | private | strict",
	  .help = "What engines can reach: everything the host can, the same "
	      "without the host's own loopback (private), or only public "
	      "addresses through a proxy that checks them (strict). auto, the "
	      "default: what the app's settings say." },
	{ .name = "stock", .kind = APW_BLOCK_PLAIN,
	  .directives = stock_directives,
	  .offset = offsetof(struct apw_cycle, stock),
	  .help = "The cache on disk: engine, pieces, built code, flow "
	      "versions." },
	{ .name = "monitor", .kind = APW_BLOCK_PLAIN,
	  .directives = monitor_directives,
	  .offset = offsetof(struct apw_cycle, monitor),
	  .help = "Health, readiness and status over HTTP. Without a listen "
	      "apworkerctl alone gets them, by the socket control.sock (mode "
	      "0600) in the directory \"state\", which is always there; "
	      "AP_CONTAINER_TYPE=WORKER listens on AP_PORT of all addresses "
	      "as the Node worker does." },
	{ .name = NULL }
};
