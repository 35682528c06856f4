/* The syscall filter of boxes and slots: what is refused, and why.  One list.
 *
 * What is not here works: a box promises ordinary programs an ordinary
 * system.  Everything here is either of no use to an engine or a door that
 * kernels have had trouble with.  Numbers that are newer than this list are
 * refused as unknown, so that a new kernel opens no new door. */
#ifndef APW_BROKER_FILTER_H
#define APW_BROKER_FILTER_H

#include <errno.h>

/* The newest call this list was made with (x86-64 and arm64 share numbers
 * from 424 on); up to FILTER_UNKNOWN are answered ENOSYS.  x32's own numbers
 * are 512 to 547, which kernels before 5.4 took without x32's bit, too. */
#define FILTER_NEWEST	470
#define FILTER_UNKNOWN	560

/* name, error the caller gets */
#define FILTER_CALLS(X)							\
	/* rings do file and socket work that no filter sees */		\
	X(io_uring_setup, ENOSYS)					\
	X(io_uring_enter, ENOSYS)					\
	X(io_uring_register, ENOSYS)					\
	/* programs in the kernel, and measuring it: side channels */	\
	X(bpf, EPERM)							\
	X(perf_event_open, EPERM)					\
	X(lookup_dcookie, EPERM)					\
	/* keyrings are not of the namespaces that boxes have */	\
	X(add_key, EPERM)						\
	X(request_key, EPERM)						\
	X(keyctl, EPERM)						\
	/* stops the kernel in the middle of a copy: exploits' helper */ \
	X(userfaultfd, EPERM)						\
	X(vmsplice, EPERM)						\
	/* kernels, modules, the machine */				\
	X(kexec_load, EPERM)						\
	X(kexec_file_load, EPERM)					\
	X(init_module, EPERM)						\
	X(finit_module, EPERM)						\
	X(delete_module, EPERM)						\
	X(reboot, EPERM)						\
	X(swapon, EPERM)						\
	X(swapoff, EPERM)						\
	X(acct, EPERM)							\
	X(syslog, EPERM)						\
	X(settimeofday, EPERM)						\
	X(clock_settime, EPERM)						\
	X(clock_adjtime, EPERM)						\
	X(adjtimex, EPERM)						\
	X(sethostname, EPERM)						\
	X(setdomainname, EPERM)						\
	X(iopl, EPERM)							\
	X(ioperm, EPERM)						\
	X(modify_ldt, EPERM)						\
	X(vhangup, EPERM)						\
	X(quotactl, EPERM)						\
	X(quotactl_fd, EPERM)						\
	X(nfsservctl, EPERM)						\
	X(uselib, EPERM)						\
	X(ustat, EPERM)							\
	X(sysfs, EPERM)							\
	/* mounts and roots: a box's are final */			\
	X(mount, EPERM)							\
	X(umount2, EPERM)						\
	X(pivot_root, EPERM)						\
	X(chroot, EPERM)						\
	X(open_tree, EPERM)						\
	X(open_tree_attr, EPERM)					\
	X(move_mount, EPERM)						\
	X(mount_setattr, EPERM)						\
	X(fsopen, EPERM)						\
	X(fsconfig, EPERM)						\
	X(fsmount, EPERM)						\
	X(fspick, EPERM)						\
	X(statmount, EPERM)						\
	X(listmount, EPERM)						\
	/* new namespaces would give new capabilities inside them; the C	\
	 * library falls back from clone3, whose flags no filter sees, to	\
	 * clone, whose flags are filtered */				\
	X(setns, EPERM)							\
	X(unshare, EPERM)						\
	X(clone3, ENOSYS)						\
	/* into other processes: init has the same uid */		\
	X(ptrace, EPERM)						\
	X(process_vm_readv, EPERM)					\
	X(process_vm_writev, EPERM)					\
	X(process_madvise, EPERM)					\
	X(process_mrelease, EPERM)					\
	X(pidfd_getfd, EPERM)						\
	X(kcmp, EPERM)							\
	X(migrate_pages, EPERM)						\
	X(move_pages, EPERM)						\
	/* requests of all users together are counted, and are few */	\
	X(io_setup, ENOSYS)						\
	/* opens by handle past the mounts; watches whole file systems */ \
	X(name_to_handle_at, EPERM)					\
	X(open_by_handle_at, EPERM)					\
	X(fanotify_init, EPERM)						\
	X(fanotify_mark, EPERM)						\
	/* memory that no limit of ours counts */			\
	X(memfd_secret, ENOSYS)						\
	X(mq_open, ENOSYS)						\
	X(remap_file_pages, ENOSYS)

/* Of the above what a broker, or the first process of a box, itself calls to
 * make one.  A broker that makes nothing but boxes gives up all the rest for
 * good; each box then inherits that, and adds these.  (Compiling the whole
 * list in the kernel is a tenth of what a box costs.) */
#define FILTER_BROKER_NEEDS(X)						\
	X(keyctl) X(sethostname)					\
	X(mount) X(umount2) X(pivot_root) X(open_tree) X(move_mount)	\
	X(mount_setattr) X(fsopen) X(fsconfig) X(fsmount)		\
	X(setns) X(unshare) X(clone3)

/* Memory that outlives its process or is counted by no rlimit: refused where
 * no control group holds the box's memory. */
#define FILTER_CALLS_NO_MEMORY_GROUP(X)					\
	X(memfd_create, ENOSYS)						\
	X(shmget, ENOSYS)						\
	X(shmat, ENOSYS)						\
	X(msgget, ENOSYS)						\
	X(semget, ENOSYS)

/* Without namespaces these would outlive an engine, and be seen by others. */
#define FILTER_CALLS_SHARED(X)						\
	X(shmget, ENOSYS)						\
	X(msgget, ENOSYS)						\
	X(semget, ENOSYS)

/* How much a socket or a pipe may hold is not for a box to choose where
 * nothing counts it: the call has no effect, as beyond the host's limit. */
#define FILTER_SOCKET_OPTIONS(X)					\
	X(SO_SNDBUF) X(SO_RCVBUF) X(SO_SNDBUFFORCE) X(SO_RCVBUFFORCE)

/* Families of sockets that go: all above netlink (vsock to the hypervisor,
 * packets, alg, bluetooth, …) and these below it; local, IPv4, IPv6 and
 * netlink's list of addresses stay. */
#define FILTER_FAMILY_LAST	AF_NETLINK
#define FILTER_FAMILIES(X)						\
	X(AF_UNSPEC) X(AF_AX25) X(AF_IPX) X(AF_APPLETALK) X(AF_NETROM)	\
	X(AF_BRIDGE) X(AF_ATMPVC) X(AF_X25) X(AF_ROSE) X(AF_DECnet)	\
	X(AF_NETBEUI) X(AF_SECURITY) X(AF_KEY)

#endif
