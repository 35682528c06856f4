/* A plain child: the engine as a process of its own session, without
 * privileges, without our descriptors, ending when we end.  Where the host
 * has pid namespaces for us it is in one, and so is all that it starts. */
#ifndef APW_SANDBOX_PLAIN_H
#define APW_SANDBOX_PLAIN_H

#include "broker/harden.h"
#include "core/apw_directive.h"
#include "modules/sandbox/sandbox.h"

enum apw_plain_harden {
	APW_HARDEN_OFF,
	APW_HARDEN_ON,		/* as far as the kernel can */
	APW_HARDEN_REQUIRE,	/* or no job is taken */
};

struct apw_plain_conf {
	enum apw_plain_harden	harden;
};

extern const struct apw_enum apw_plain_hardens[];
#define APW_PLAIN_DIRECTIVES(dflt_)					\
	{ .name = "harden", .args = { 1, 1 }, .set = apw_set_enum,	\
	  .offset = offsetof(struct apw_plain_conf, harden),		\
	  .limits = apw_plain_hardens, .dflt = dflt_,			\
	  .reload = APW_NEW_SLOTS, .arg_help = "on | off | require",	\
	  .help = "Let the kernel keep engines from files of the host, "	\
	      "from system calls they have no use for, and from "	\
	      "processes and abstract sockets outside. With \"on\" as "	\
	      "far as the kernel can, with \"require\" all of it or no "	\
	      "job is taken. They may write to a folder of their own, "	\
	      "named by TMPDIR, which is emptied after each engine." },	\
	{ .name = NULL }

int	apw_plain_probe(const void *conf, const char *mode,
	    struct apw_err *);
int	apw_plain_boot(const void *conf, const struct apw_box_spec *,
	    struct apw_child *, struct apw_err *);
int	apw_plain_fence(const void *conf, enum apw_network, enum apw_fence *,
	    struct apw_err *);
void	apw_plain_kill(const void *conf, const struct apw_child *);
void	apw_plain_end(const void *conf, const struct apw_child *,
	    struct apw_sandbox_end *);
int	apw_plain_watch_fd(const void *conf);
int	apw_plain_admit(const void *conf, const struct apw_child *,
	    const char *flow_version_id, const char *platform_id,
	    struct apw_err *);

/* What both modes of plain children share. */
#define APW_PLAIN_OPS							\
	.warm = true, .boot = apw_plain_boot, .kill = apw_plain_kill,	\
	.fence = apw_plain_fence, .admit = apw_plain_admit,		\
	.end = apw_plain_end, .watch_fd = apw_plain_watch_fd

/* plain_tmp.c: the folder that hardened engines may write to; empty.  NULL
 * and err when it cannot be had. */
const char *apw_plain_tmp(unsigned seat, struct apw_err *);
/* Its engine has ended: what is in there goes, and its space. */
void	apw_plain_tmp_end(unsigned seat);
/* Its path, made or not. */
int	apw_plain_tmp_path(unsigned seat, char *path, size_t size,
	    struct apw_err *);

#endif
