/* What can be said about boxes in the configuration.  Room: modules/sandbox. */
#include <stddef.h>

#include "modules/sandbox/box.h"

#define BOX(field)	offsetof(struct apw_box_conf, field)
#define MIB		(INT64_C(1) << 20)

const struct apw_directive apw_box_directives[] = {
	{ .name = "tmp_size", .args = { 1, 1 }, .set = apw_set_bytes,
	  .offset = BOX(tmp_bytes), .limits = APW_BOUNDS(MIB, 1024 * 1024 * MIB),
	  .dflt = "256m", .reload = APW_NEW_SLOTS, .arg_help = "SIZE",
	  .help = "The size of /tmp, the one place an engine may write to. "
	      "What is in it counts as the engine's memory, too." },
	{ .name = "tmp_files", .args = { 1, 1 }, .set = apw_set_unsigned,
	  .offset = BOX(tmp_files), .limits = APW_BOUNDS(16, 100000000),
	  .dflt = "65536", .reload = APW_NEW_SLOTS, .arg_help = "NUMBER",
	  .help = "How many files and folders /tmp may hold." },
	{ .name = "file_size", .args = { 1, 1 }, .set = apw_set_bytes,
	  .offset = BOX(file_bytes), .limits = APW_BOUNDS(MIB, 1024 * 1024 * MIB),
	  .dflt = "256m", .reload = APW_NEW_SLOTS, .arg_help = "SIZE",
	  .help = "The size of the largest file an engine may write." },
	{ .name = "pids", .args = { 1, 1 }, .set = apw_set_unsigned,
	  .offset = BOX(pids), .limits = APW_BOUNDS(16, 1000000),
	  .dflt = "256", .reload = APW_NEW_SLOTS, .arg_help = "NUMBER",
	  .help = "How many processes and threads an engine and what it "
	      "starts may be. Node alone has about a dozen." },
	{ .name = "open_files", .args = { 1, 1 }, .set = apw_set_unsigned,
	  .offset = BOX(open_files), .limits = APW_BOUNDS(64, 1048576),
	  .dflt = "4096", .reload = APW_NEW_SLOTS, .arg_help = "NUMBER",
	  .help = "How many files each process may have open." },
	{ .name = "cpu", .args = { 1, 1 }, .set = apw_set_unsigned,
	  .offset = BOX(cpu_percent), .limits = APW_BOUNDS(0, 100000),
	  .dflt = "0", .reload = APW_NEW_SLOTS, .arg_help = "PERCENT",
	  .help = "The most processor time an engine gets, in percent of one "
	      "core; 0 is no quota. Needs a control group." },
	{ .name = "cpu_weight", .args = { 1, 1 }, .set = apw_set_unsigned,
	  .offset = BOX(cpu_weight), .limits = APW_BOUNDS(1, 10000),
	  .dflt = "100", .reload = APW_NEW_SLOTS, .arg_help = "NUMBER",
	  .help = "An engine's share of the processors when they are busy; "
	      "everybody else has 100. Needs a control group." },
	{ .name = NULL }
};
