/* Exit statuses of every process of the daemon. */
#ifndef APW_EXIT_H
#define APW_EXIT_H

enum apw_exit {
	APW_EXIT_OK	= 0,	/* drained, or nothing to do */
	APW_EXIT_CONF	= 1,	/* bad configuration or command line */
	APW_EXIT_BUG	= 70,	/* a rule of our own is broken */
	APW_EXIT_OS	= 71,	/* the system refused something we need */
	APW_EXIT_TEMP	= 75,	/* retry later */
	APW_EXIT_NOCONF	= 78,	/* needs another configuration: not retried */
};

#endif
