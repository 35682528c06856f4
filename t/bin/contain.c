/* contain: a command under a container's syscall filter, for tests of what
 * the doctor says in containers.
 *
 *	contain profile FILE COMMAND...		the profile, as a container
 *						engine would install it
 *	contain default FILE COMMAND...		without what it adds: what engines
 *						bring by default
 *	contain sysadmin FILE COMMAND...	the default of a container with
 *						CAP_SYS_ADMIN
 *
 * Reads a profile of the OCI form: names, actions, errnoRet, args. */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#define NAMESPACES	0x7e020000UL	/* clone's flags that make them */
#define OURS		"what apworkerd's brokers"

static const char *const sysadmin[] = { "bpf", "clone", "clone3",
    "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick",
    "lookup_dcookie", "mount", "mount_setattr", "move_mount", "open_tree",
    "perf_event_open", "quotactl", "quotactl_fd", "setdomainname",
    "sethostname", "setns", "syslog", "umount", "umount2", "unshare", NULL };

_Noreturn static void
die(const char *what, const char *which)
{
	fprintf(stderr, "contain: %s: %s\n", what, which);
	exit(125);
}

static uint32_t
action(const char *name, json_t *error, unsigned dflt)
{
	if (strcmp(name, "SCMP_ACT_ALLOW") == 0)
		return SCMP_ACT_ALLOW;
	if (strcmp(name, "SCMP_ACT_ERRNO") != 0)
		die("unknown action", name);
	return SCMP_ACT_ERRNO(error == NULL ? dflt :
	    (unsigned)json_integer_value(error));
}

static enum scmp_compare
comparison(const char *name)
{
	if (strcmp(name, "SCMP_CMP_EQ") == 0)
		return SCMP_CMP_EQ;
	if (strcmp(name, "SCMP_CMP_NE") == 0)
		return SCMP_CMP_NE;
	if (strcmp(name, "SCMP_CMP_MASKED_EQ") == 0)
		return SCMP_CMP_MASKED_EQ;
	die("unknown comparison", name);
}

/* A name that this library does not know cannot be called by it: fail only
 * when the name is nobody's. */
static void
add(scmp_filter_ctx ctx, uint32_t act, const char *name, json_t *args,
    uint32_t dflt)
{
	struct scmp_arg_cmp	cmp[6];
	json_t			*a;
	size_t			 i, n = 0;
	int			 nr = seccomp_syscall_resolve_name(name), rc;

	if (nr < 0 || act == dflt)
		return;
	json_array_foreach(args, i, a) {
		uint64_t	v = (uint64_t)json_integer_value(
				    json_object_get(a, "value"));
		uint64_t	two = (uint64_t)json_integer_value(
				    json_object_get(a, "valueTwo"));

		if (n == 6)
			die("too many arguments", name);
		cmp[n++] = (struct scmp_arg_cmp){ (unsigned)json_integer_value(
		    json_object_get(a, "index")), comparison(json_string_value(
		    json_object_get(a, "op"))), v, two };
	}
	rc = seccomp_rule_add_array(ctx, act, nr, (unsigned)n, cmp);
	if (rc < 0 && rc != -EEXIST)
		die(name, strerror(-rc));
}

static void
add_group(scmp_filter_ctx ctx, json_t *group, uint32_t dflt, bool whole)
{
	const char	*comment = json_string_value(json_object_get(group,
			    "comment"));
	uint32_t	 act = action(json_string_value(json_object_get(group,
			    "action")), json_object_get(group, "errnoRet"),
			    EPERM);
	json_t		*name;
	size_t		 i;

	if (!whole && comment != NULL &&
	    strncmp(comment, OURS, strlen(OURS)) == 0)
		return;
	json_array_foreach(json_object_get(group, "names"), i, name)
		add(ctx, act, json_string_value(name),
		    json_object_get(group, "args"), dflt);
}

/* What engines do about processes, threads, and roots by default. */
static void
add_default(scmp_filter_ctx ctx, bool admin)
{
	const char *const	*name;

	seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(chroot), 0);
	if (admin) {
		for (name = sysadmin; *name != NULL; name++)
			add(ctx, SCMP_ACT_ALLOW, *name, NULL, 0);
		return;
	}
	seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
	    SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, NAMESPACES, 0));
	seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

int
main(int argc, char **argv)
{
	json_error_t	 error;
	json_t		*profile, *group;
	scmp_filter_ctx	 ctx;
	uint32_t	 dflt;
	size_t		 i;
	int		 rc;

	if (argc < 4 || (profile = json_load_file(argv[2], 0, &error)) == NULL)
		die("usage: contain profile|default|sysadmin FILE COMMAND...",
		    argc < 4 ? "" : error.text);
	dflt = action(json_string_value(json_object_get(profile,
	    "defaultAction")), json_object_get(profile, "defaultErrnoRet"),
	    EPERM);
	if ((ctx = seccomp_init(dflt)) == NULL)
		die("seccomp_init", "");
	/* as engines do: the container's privileges decide, not the filter */
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, geteuid() != 0);
	json_array_foreach(json_object_get(profile, "syscalls"), i, group)
		add_group(ctx, group, dflt, strcmp(argv[1], "profile") == 0);
	if (strcmp(argv[1], "profile") != 0)
		add_default(ctx, strcmp(argv[1], "sysadmin") == 0);
	if ((rc = seccomp_load(ctx)) < 0)
		die("seccomp_load", strerror(-rc));
	seccomp_release(ctx);
	json_decref(profile);
	execvp(argv[3], argv + 3);
	die(argv[3], strerror(errno));
}
