/* apworkerd: options, checks, then the master.  Room: master. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/doctor.h"
#include "core/apw_conf.h"
#include "core/apw_exit.h"
#include "core/apw_module.h"
#include "core/apw_start.h"
#include "dial/check.h"
#include "master/child.h"
#include "master/daemon.h"
#include "master/fit.h"
#include "master/handoff.h"
#include "master/master_priv.h"
#include "master/options.h"
#include "master/pidfile.h"
#include "stock/check.h"

static FILE	*complaints;	/* stderr, or one like it that never waits */

static const char *
file_name(const struct apw_options *o)
{
	return o->conf.file == NULL ? "environment" : o->conf.file;
}

static int
complain(const struct apw_err *err)
{
	fprintf(complaints, "apworkerd: %s\n", err->text);
	return -1;
}

static int
test(const struct apw_options *o, struct apw_cycle *cycle)
{
	apw_start_daemon(complaints);
	if ((master_check(cycle, complaints) |
	    master_fit_start(cycle, complaints)) != 0) {
		fprintf(complaints, "apworkerd: %s: configuration is not "
		    "good\n", file_name(o));
		return APW_EXIT_CONF;
	}
	if (o->dump) {
		apw_conf_dump(cycle, stdout);
		return APW_EXIT_OK;
	}
	apw_dial_check(cycle, complaints);
	apw_stock_check(cycle, complaints);
	apw_sockets_check(cycle, complaints);
	fprintf(complaints, "%s: configuration is good\n", file_name(o));
	return APW_EXIT_OK;
}

static int
send_signal(const struct apw_options *o, const struct apw_cycle *cycle)
{
	struct apw_err	err = APW_ERR_NONE;
	pid_t		pid;

	if (apw_pidfile_owner(cycle->main.pid_path, &pid, &err) == -1) {
		complain(&err);
		return APW_EXIT_TEMP;
	}
	if (kill(pid, o->signal) == -1) {
		apw_err_set(&err, errno, "cannot send \"%s\" to pid %d",
		    o->signal_name, (int)pid);
		complain(&err);
		return APW_EXIT_OS;
	}
	return APW_EXIT_OK;
}

/* Reloads read the file again, from another directory: made absolute, but
 * not resolved (a link may point elsewhere by then).  Lives as long as we. */
static int
make_absolute(const char **path, struct apw_err *err)
{
	static char	buf[2][PATH_MAX];
	static unsigned	used;
	char		*b = buf[used % 2], cwd[PATH_MAX];

	if (*path == NULL || **path == '/')
		return 0;
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return apw_err_set(err, errno, "current directory");
	if (snprintf(b, PATH_MAX, "%s/%s", cwd, *path) >= PATH_MAX)
		return apw_err_set(err, ENAMETOOLONG, "%s", *path);
	used++;
	*path = b;
	return 0;
}

/* The starter of a daemon waits for `report`: it is told of success and of
 * failure. */
static int
serve(struct apw_options *o, struct apw_cycle *cycle,
    const struct apw_handoff *old)
{
	static struct master master;	/* children see it until they end */
	struct apw_err	 err = APW_ERR_NONE;
	int		 keep = apw_log_std(cycle->main.log_path);
	int		 report = -1, rc;

	apw_start_daemon(complaints);
	if (master_check(cycle, complaints) == -1) {
		apw_cycle_free(cycle);
		return APW_EXIT_CONF;
	}
	if (make_absolute(&o->conf.file, &err) == -1 ||
	    make_absolute(&o->conf.prefix, &err) == -1 ||
	    (cycle->main.daemon && !old->given && apw_daemon_detach(&report, &err) == -1)) {
		complain(&err);
		apw_cycle_free(cycle);
		return APW_EXIT_OS;
	}
	master.options = &o->conf;
	master.daemon = cycle->main.daemon;
	apw_title_set("apworkerd: master %s", file_name(o));
	if (apw_master_start(&master, cycle, old, &err) == -1) {
		complain(&err);
		if (!apw_log_is_stderr())
			apw_error("cannot start", APW_E(&err));
		if (master.cycle == NULL)
			apw_cycle_free(cycle);
		rc = master.exit_code != 0 ? master.exit_code : APW_EXIT_OS;
		apw_master_free(&master);
		if (report != -1)
			apw_daemon_up(&report, rc, keep);
		return rc;
	}
	if (report != -1)
		apw_daemon_up(&report, APW_EXIT_OK, keep);
	if (old->given)
		master_upgrade_tell(&master, old->ready_fd);
	master_notify(&master, "READY=1\nMAINPID=%d", (int)getpid());
	rc = apw_master_run(&master);
	apw_master_free(&master);
	return rc;
}

/* Who only wants to send a signal hears of errors, not of warnings. */
static struct apw_cycle *
read_conf(const struct apw_options *o)
{
	struct apw_cycle	*cycle;

	cycle = o->signal_name != NULL ? apw_conf_read_again(&o->conf) :
	    apw_conf_read(&o->conf, complaints);
	if (cycle == NULL)
		fprintf(complaints, "apworkerd: %s: %s\n", file_name(o),
		    o->test ? "configuration is not good" :
		    o->signal_name != NULL ? "no signal sent" : "not started");
	return cycle;
}

static struct apw_cycle *
read_conf_quietly(const struct apw_options *o)
{
	struct apw_cycle	*cycle;
	FILE			*null = fopen("/dev/null", "w");

	if (null == NULL)
		return NULL;
	cycle = apw_conf_read(&o->conf, null);
	fclose(null);
	return cycle;
}

/* apworkerd doctor [-c FILE] [-p DIR] [-g TEXT]: a configuration is welcome,
 * and not needed. */
static int
doctor(int argc, char **argv)
{
	struct apw_options	 o;
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_cycle	*cycle;
	int			 ok;

	if (apw_options_parse(&o, argc, argv, &err) == -1) {
		complain(&err);
		return APW_EXIT_CONF;
	}
	apw_modules_init();
	/* what it asks of the host is what the doctor looks into */
	o.conf.trust_host = true;
	cycle = read_conf_quietly(&o);
	ok = apw_doctor(cycle, stdout);
	if (cycle == NULL)
		printf("\nNo usable configuration was read: \"apworkerd -t\" "
		    "says why.\n");
	apw_cycle_free(cycle);
	return ok ? APW_EXIT_OK : APW_EXIT_OS;
}

/* Who started us may not read what we say, and signals that are for the daemon
 * may come before it is up. */
static void
become_daemon(void)
{
	FILE	*patient = apw_log_stream();

	if (patient != NULL)
		complaints = patient;
	apw_start_defer();
}

int
main(int argc, char **argv)
{
	struct apw_options	 o;
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_cycle	*cycle;
	static struct apw_handoff old;	/* its texts live as long as we */
	int			 rc;

	apw_start();
	complaints = stderr;
	apw_title_init(argc, argv);
	if (argc > 1 && strcmp(argv[1], "doctor") == 0)
		return doctor(argc - 1, argv + 1);
	if (apw_options_parse(&o, argc, argv, &err) == -1) {
		complain(&err);
		return APW_EXIT_CONF;
	}
	if (apw_handoff_read(&old, &err) == -1) {
		complain(&err);
		return APW_EXIT_OS;
	}
	if (old.given) {
		o.conf = old.conf;
		o.conf.cycle = 1;
	}
	apw_modules_init();
	if (o.help || o.version || o.build) {
		if (o.help)
			apw_options_help();
		else if (o.build)
			apw_version_build();
		else
			apw_version_print();
		return APW_EXIT_OK;
	}
	if (!o.test && o.signal_name == NULL)
		become_daemon();
	if ((cycle = read_conf(&o)) == NULL)
		return APW_EXIT_CONF;
	if (!o.test && o.signal_name == NULL)
		return serve(&o, cycle, &old);
	rc = o.test ? test(&o, cycle) : send_signal(&o, cycle);
	apw_cycle_free(cycle);
	return rc;
}
