/* Names of the ways to keep an engine's network.  Room: modules/sandbox. */
#include "modules/sandbox/sandbox.h"

#define FENCE_NAME(name, text)	text,

const char *
apw_fence_name(enum apw_fence fence)
{
	static const char *const	names[] = { APW_FENCES(FENCE_NAME) };

	return names[fence];
}
