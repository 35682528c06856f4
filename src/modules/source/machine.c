/* Machine information; see machine.h.  Room: source, in a slot. */
#include "modules/source/machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"

#define MACHINE_READ_MS		15000
#define MACHINE_LIMIT_MAX	((uint64_t)4 << 40)	/* above: no limit */

/* A small file's first line; false when it cannot be read. */
static bool
read_line(const char *path, char *line, size_t size)
{
	apw_autofd int	fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t		n = fd == -1 ? -1 : read(fd, line, size - 1);

	if (n <= 0)
		return false;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return true;
}

static bool
read_number(const char *path, uint64_t *value)
{
	char	line[64], *end;

	if (!read_line(path, line, sizeof(line)))
		return false;
	*value = strtoull(line, &end, 10);
	return end != line && *end == '\0';
}

/* The container's limit where there is one, else the host's memory. */
static void
machine_read_memory(struct machine *m)
{
	struct sysinfo	si;
	uint64_t	limit, used;

	if (read_number("/sys/fs/cgroup/memory.max", &limit) &&
	    limit < MACHINE_LIMIT_MAX &&
	    read_number("/sys/fs/cgroup/memory.current", &used))
		;
	else if (read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes",
	    &limit) && limit < MACHINE_LIMIT_MAX &&
	    read_number("/sys/fs/cgroup/memory/memory.usage_in_bytes", &used))
		;
	else if (sysinfo(&si) == 0) {
		limit = (uint64_t)si.totalram * si.mem_unit;
		used = limit - (uint64_t)(si.freeram + si.bufferram) *
		    si.mem_unit;
	} else
		return;
	m->ram_bytes = limit;
	m->ram_percent = limit == 0 ? 0 : 100.0 * used / limit;
}

static void
machine_read_cores(struct machine *m)
{
	char			line[64];
	unsigned long long	quota, period;

	m->cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (read_line("/sys/fs/cgroup/cpu.max", line, sizeof(line)) &&
	    sscanf(line, "%llu %llu", &quota, &period) == 2 && period != 0)
		m->cores = (double)quota / period;
}

static void
machine_read_cpu(struct machine *m, int64_t now_ms)
{
	struct rusage	ru;
	int64_t		cpu_us, span_ms = now_ms - m->read_ms;

	getrusage(RUSAGE_SELF, &ru);
	cpu_us = (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * INT64_C(1000000) +
	    ru.ru_utime.tv_usec + ru.ru_stime.tv_usec;
	if (m->read_ms != 0 && span_ms > 0)
		m->cpu_percent = (cpu_us - m->cpu_us) / 10.0 / span_ms;
	if (m->cpu_percent > 100)
		m->cpu_percent = 100;
	m->cpu_us = cpu_us;
}

static void
machine_read(struct machine *m)
{
	struct statvfs	vfs;
	int64_t		now_ms = apw_now_ms();

	if (m->read_ms != 0 && now_ms - m->read_ms < MACHINE_READ_MS)
		return;
	if (m->host[0] == '\0') {
		gethostname(m->host, sizeof(m->host) - 1);
		machine_read_cores(m);
	}
	machine_read_cpu(m, now_ms);
	machine_read_memory(m);
	if (statvfs("/", &vfs) == 0) {
		m->disk_total = (uint64_t)vfs.f_blocks * vfs.f_frsize;
		m->disk_free = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	}
	m->read_ms = now_ms;
}

static void
machine_sandbox(struct apw_buf *out, unsigned slot, bool busy, uint64_t bytes)
{
	apw_buf_puts(out, out->len > 0 && out->data[out->len - 1] == '}' ?
	    ",{\"sandboxId\":\"" : "{\"sandboxId\":\"");
	if (slot == APW_SCORE_ERRAND)
		apw_buf_puts(out, "errand");
	else
		apw_buf_printf(out, "slot-%u", slot);
	apw_buf_printf(out, "\",\"boxId\":%u,\"busy\":%s,"
	    "\"memoryUsageBytes\":%llu}", slot, busy ? "true" : "false",
	    (unsigned long long)bytes);
}

/* All slots are one machine to the app, and what a poll says of it takes the
 * place of what the last one said: each of them names all. */
static void
machine_sandboxes(const struct machine_props *p, struct apw_buf *out)
{
	const struct apw_score_sandbox	*s;
	uint32_t			 i, n = 0;

	if (p->engine_pid > 0)
		machine_sandbox(out, p->slot, p->busy, p->engine_bytes);
	if (p->others != NULL)
		n = atomic_load(&p->others->n);
	for (i = 0; i < n && i < APW_SCORE_SANDBOXES; i++) {
		s = &p->others->sandbox[i];
		if (atomic_load(&s->number) != p->slot &&
		    atomic_load(&s->cycle) == p->cycle)
			machine_sandbox(out, atomic_load(&s->number),
			    atomic_load(&s->busy) != 0,
			    atomic_load(&s->bytes));
	}
}

int
machine_json(struct machine *m, const struct machine_props *p,
    struct apw_buf *out)
{
	uint64_t	used;

	machine_read(m);
	used = m->disk_total - m->disk_free;
	apw_buf_puts(out, "{\"workerId\":");
	apw_buf_json_c(out, p->worker_id);
	apw_buf_printf(out, ",\"cpuUsagePercentage\":%.2f,\"diskInfo\":{"
	    "\"total\":%llu,\"free\":%llu,\"used\":%llu,\"percentage\":%.2f}",
	    m->cpu_percent, (unsigned long long)m->disk_total,
	    (unsigned long long)m->disk_free, (unsigned long long)used,
	    m->disk_total == 0 ? 0 : 100.0 * used / m->disk_total);
	apw_buf_puts(out, ",\"workerProps\":{");
	/* the first word of a worker is what the app counts on: it does not
	 * look again before another one comes or goes */
	apw_buf_printf(out, "\"WORKER_CONCURRENCY\":\"%u\"", p->slots);
	if (p->mode != NULL) {
		apw_buf_puts(out, ",\"EXECUTION_MODE\":");
		apw_buf_json_c(out, p->mode);
		apw_buf_puts(out, ",\"SANDBOX_MEMORY_LIMIT\":");
		apw_buf_json_c(out, p->memory_kib);
		apw_buf_printf(out, ",\"REUSE_SANDBOX\":\"%s\"",
		    p->reuse ? "true" : "false");
		if (p->version != NULL && !p->sparse) {
			apw_buf_puts(out, ",\"version\":");
			apw_buf_json_c(out, p->version);
		}
	}
	apw_buf_printf(out, "},\"ramUsagePercentage\":%.2f,"
	    "\"totalAvailableRamInBytes\":%llu,\"totalCpuCores\":%g,\"ip\":",
	    m->ram_percent, (unsigned long long)m->ram_bytes, m->cores);
	apw_buf_json_c(out, m->host);	/* the app shows this as the host */
	if (p->sparse)
		return apw_buf_puts(out, "}");
	if (p->ping_ms >= 0)
		apw_buf_printf(out, ",\"serverPingMs\":%d", (int)p->ping_ms);
	apw_buf_puts(out, ",\"sandboxes\":[");
	machine_sandboxes(p, out);
	return apw_buf_puts(out, "]}");
}
