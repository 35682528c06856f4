/* What a hardened plain child is given; for plain.c. */
#ifndef APW_SANDBOX_PLAIN_HARDEN_H
#define APW_SANDBOX_PLAIN_HARDEN_H

#include "broker/harden.h"
#include "broker/ports.h"
#include "modules/sandbox/plain.h"

#define PLAIN_ENV_MAX	512

struct plain_hard {
	bool			 on;
	struct apw_harden	 rules;
	bool			 fenced;
	struct apw_ports	 ports;
	char			 tmpdir[4200];		/* "TMPDIR=..." */
	const char		*envp[PLAIN_ENV_MAX];	/* with TMPDIR */
};

/* Rules for this engine: its node, bundle, code and modules to read. */
int	plain_harden(const struct apw_plain_conf *,
	    const struct apw_box_spec *, struct plain_hard *,
	    struct apw_err *);
void	plain_harden_close(struct plain_hard *);

#endif
