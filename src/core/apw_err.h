/* Errors: filled where the cause is known, wrapped on the way up, logged
 * exactly once, by whoever decides what to do about it. */
#ifndef APW_ERR_H
#define APW_ERR_H

/* Whose failure it is: who can do something about it. */
enum apw_fault {
	APW_FAULT_UNKNOWN,	/* nobody has said */
	APW_FAULT_APP,		/* of who sent the job: another try is no use */
	APW_FAULT_HOST,		/* of this host: disk, descriptors, processes */
	APW_FAULT_OWN,		/* of this slot: its broker, its boxes */
};

struct apw_err {
	int	code;		/* errno value, or 0: errno has nothing to say */
	char	text[1024];	/* for the operator; never holds a secret */
	enum apw_fault fault;
};

#define APW_ERR_NONE { 0, "", APW_FAULT_UNKNOWN }

/* Set the text ("...: strerror" is appended when code is not 0); whose failure
 * it is becomes unknown.
 * A NULL err is allowed.  Always returns -1, for `return apw_err_set(...)`. */
int apw_err_set(struct apw_err *, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "context: " in front of the text that is there.  Returns -1. */
int apw_err_wrap(struct apw_err *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Say whose failure it is.  A NULL err is allowed.  Returns -1. */
int apw_err_blame(struct apw_err *, enum apw_fault);

#endif
