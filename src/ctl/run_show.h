/* The result of a run, for people and for programs.  Room: ctl. */
#ifndef APW_CTL_RUN_SHOW_H
#define APW_CTL_RUN_SHOW_H

/* result_fd: the run's folder in the spool, path: its name, for people who
 * are to look there themselves.  The value is the exit status of
 * `apworkerctl run`. */
int	ctl_show_text(int result_fd, const char *path, const char *id,
	    const char *flow_name);
int	ctl_show_json(int result_fd, const char *path, const char *id);

#endif
