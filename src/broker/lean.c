/* What the copies of a broker need not have.  Room: broker.
 *
 * The first process of a box starts as a copy of its broker, and for each
 * mapping that is in the copy the kernel pays twice: when it is made and when
 * it goes.  That process and its engine, until this executes its command,
 * call the C library and what is in our program, and nothing else; so other
 * libraries (a daemon has a dozen) are kept out of it, and so is memory that
 * only making the template took.  The broker itself keeps all of it.
 *
 * All names are bound when the program is loaded (-z now): nothing is looked
 * up later in what is not there. */
#include "config.h"

#include <link.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/broker_priv.h"

#ifndef APW_DEVELOPER
static bool
lean_needs(const char *path)
{
	static const char *const	needed[] = { "libc.", "libpthread.",
					    "ld-", "linux-" };
	const char			*name = strrchr(path, '/');
	size_t				 i;

	name = name == NULL ? path : name + 1;
	if (*name == '\0')		/* our program */
		return true;
	for (i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (strncmp(name, needed[i], strlen(needed[i])) == 0)
			return true;
	return false;
}

static int
lean_object(struct dl_phdr_info *o, size_t size, void *arg)
{
	uintptr_t		page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t		from, to;
	const ElfW(Phdr)	*p;

	(void)size;
	(void)arg;
	if (lean_needs(o->dlpi_name))
		return 0;
	for (p = o->dlpi_phdr; p < o->dlpi_phdr + o->dlpi_phnum; p++) {
		if (p->p_type != PT_LOAD)
			continue;
		from = (o->dlpi_addr + p->p_vaddr) & ~(page - 1);
		to = (o->dlpi_addr + p->p_vaddr + p->p_memsz + page - 1) &
		    ~(page - 1);
		/* where it does not work a box costs a little more */
		madvise((void *)from, to - from, MADV_DONTFORK);
	}
	return 0;
}
#endif

void
broker_lean(struct broker *b)
{
	/* of others some copies drop capabilities by a library */
	if (b->lean || (!b->conf->only_boxes && !b->conf->builds))
		return;
	b->lean = true;
	/* sanitizers are libraries, too */
#ifndef APW_DEVELOPER
	dl_iterate_phdr(lean_object, NULL);
#ifdef __GLIBC__
	malloc_trim(0);
#endif
#endif
}
