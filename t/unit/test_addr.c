/* Which addresses are public, however they are spelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "core/apw_auto.h"
#include "dial/addr.h"

static const char *const blocked[] = {
	/* one in, both ends */
	"0.0.0.0", "0.255.255.255", "10.0.0.1", "10.255.255.255",
	"100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.254",
	"169.254.0.1", "169.254.169.254", "172.16.0.0", "172.31.255.255",
	"192.0.0.1", "192.0.0.255", "192.0.2.1", "192.31.196.1",
	"192.52.193.1", "192.88.99.1", "192.168.0.1", "192.168.255.255",
	"192.175.48.6", "198.18.0.0", "198.19.255.255", "198.51.100.7",
	"203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1",
	"255.255.255.255",
	/* spellings of old */
	"127.1", "127.0.1", "0x7f.1", "0x7f000001", "0X7F000001",
	"2130706433", "017700000001", "0177.0.0.1", "0", "0x0", "0.0",
	"10.1", "0xa9fea9fe", "2852039166", "169.254.43518", "127.0.0.1.",
	"00000177.0.0.1", "0x7f.0x0.0x0.0x1",
	/* IPv6 */
	"::", "::1", "[::1]", "fe80::1", "fe80::1%eth0", "febf::1",
	"fc00::1", "fdff::1", "ff00::1", "ff02::fb", "fec0::1", "feff::1",
	/* IPv4 inside */
	"::ffff:127.0.0.1", "::ffff:10.1.2.3", "::FFFF:a9fe:a9fe",
	"::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1",
	"::ffff:0:8.8.8.8", "64:ff9b::8.8.8.8", "64:ff9b:1::1",
	"2002:7f00:1::", "2002:808:808::",
	/* given to something else */
	"100::1", "2001::1", "2001:0:1::", "2001:2::1", "2001:10::1",
	"2001:20::1", "2001:1ff:ffff::", "2001:db8::1",
	"2620:4f:8000::1", "3fff::1", "3fff:fff::1", "5f00::1",
	"4000::1", "1::1", "e000::1",
};

static const char *const open_[] = {
	"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255",
	"100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
	"169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255",
	"192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0",
	"198.17.255.255", "198.20.0.0", "203.0.112.255", "223.255.255.255",
	"134744072", "0x08080808", "8.8.2056", "::ffff:8.8.8.8",
	"2001:200::1", "2001:4860:4860::8888", "2606:4700::1111",
	"2a00:1450::1", "2620:4f:8001::1", "3ffe::1", "3fff:1000::1",
};

static const char *const names[] = {
	"", ".", "localhost", "example.org", "1.2.3.4.5", "256.1.1.1",
	"1.16777216", "1.2.65536", "4294967296", "0x100000000", "08", "1.08.1.1",
	"0xg", "1..2", ".1", "-1", "+1", " 127.0.0.1", "127.0.0.1 ", "1e3",
	"::1::", "1:2:3", "[::1", "::1]", "12345::", "::ffff:127.1",
	"127.0.0.1/8", "::ffff:256.0.0.1",
};

static void
test_blocked(void **state)
{
	struct apw_addr	a;
	size_t		i;

	(void)state;
	for (i = 0; i < APW_COUNT(blocked); i++) {
		if (apw_addr_parse(blocked[i], &a) == -1)
			fail_msg("%s is not read", blocked[i]);
		if (apw_addr_blocked(&a) == NULL)
			fail_msg("%s is open", blocked[i]);
	}
}

static void
test_open(void **state)
{
	struct apw_addr	a;
	size_t		i;

	(void)state;
	for (i = 0; i < APW_COUNT(open_); i++) {
		if (apw_addr_parse(open_[i], &a) == -1)
			fail_msg("%s is not read", open_[i]);
		if (apw_addr_blocked(&a) != NULL)
			fail_msg("%s is %s", open_[i], apw_addr_blocked(&a));
	}
}

static void
test_names(void **state)
{
	struct apw_addr	a;
	size_t		i;

	(void)state;
	for (i = 0; i < APW_COUNT(names); i++)
		if (apw_addr_parse(names[i], &a) == 0)
			fail_msg("\"%s\" is an address", names[i]);
}

static void
test_canonical(void **state)
{
	static const struct { const char *in, *out; } t[] = {
		{ "127.1", "127.0.0.1" }, { "0x7f000001", "127.0.0.1" },
		{ "1.2.3", "1.2.0.3" }, { "1.2.772", "1.2.3.4" },
		{ "010.010.010.010", "8.8.8.8" },
		{ "[2001:DB8::0001]", "2001:db8::1" },
	};
	struct apw_addr	a;
	char		text[APW_ADDR_TEXT_SIZE];
	size_t		i;

	(void)state;
	for (i = 0; i < APW_COUNT(t); i++) {
		assert_int_equal(apw_addr_parse(t[i].in, &a), 0);
		assert_string_equal(apw_addr_text(&a, text), t[i].out);
	}
}

/* Entries match their own family and nothing else; nonsense matches nothing. */
static void
test_allow(void **state)
{
	const char *v[] = { "10.0.5.12", "192.168.10.0/24", "fd00:1::/32", "::1",
	    "127.0.0.0/33", "example.org", "172.16.0.0/", "169.254.0.0/ 16",
	    "100.64.0.0/-1", "0x7f.2", NULL };
	const struct apw_strlist	allow = { (char **)v,
	    APW_COUNT(v) - 1 };
	const struct apw_strlist	none = { NULL, 0 };
	static const struct { const char *text; bool ok; } t[] = {
		{ "10.0.5.12", true }, { "10.0.5.13", false },
		{ "192.168.10.0", true }, { "192.168.10.255", true },
		{ "192.168.11.0", false }, { "192.168.9.255", false },
		{ "fd00:1:ffff::1", true }, { "fd00:2::1", false },
		{ "::1", true }, { "127.0.0.1", false }, { "127.0.0.2", true },
		{ "172.16.0.1", false }, { "169.254.1.1", false },
		{ "100.64.0.1", false }, { "8.8.8.8", true },
		{ "::ffff:10.0.5.12", false },	/* another family */
	};
	const char	*all[] = { "0.0.0.0/0", NULL };
	const struct apw_strlist	any = { (char **)all, 1 };
	struct apw_addr	a;
	size_t		i;

	(void)state;
	for (i = 0; i < APW_COUNT(t); i++) {
		assert_int_equal(apw_addr_parse(t[i].text, &a), 0);
		if ((apw_addr_refused(&a, &allow) == NULL) != t[i].ok)
			fail_msg("%s: %s", t[i].text, t[i].ok ?
			    "refused" : "allowed");
		assert_int_equal(apw_addr_refused(&a, &none) == NULL,
		    apw_addr_blocked(&a) == NULL);
	}
	apw_addr_parse("10.1.1.1", &a);
	assert_null(apw_addr_refused(&a, &any));
	apw_addr_parse("::1", &a);
	assert_non_null(apw_addr_refused(&a, &any));
}

static void
test_sockaddr(void **state)
{
	struct sockaddr_in	in = { .sin_family = AF_INET };
	struct sockaddr_in6	in6 = { .sin6_family = AF_INET6 };
	struct sockaddr		un = { .sa_family = AF_UNIX };
	struct apw_addr		a;

	(void)state;
	inet_pton(AF_INET, "10.9.8.7", &in.sin_addr);
	assert_int_equal(apw_addr_of((struct sockaddr *)&in, &a), 0);
	assert_string_equal(apw_addr_blocked(&a), "private");
	inet_pton(AF_INET6, "fe80::1", &in6.sin6_addr);
	assert_int_equal(apw_addr_of((struct sockaddr *)&in6, &a), 0);
	assert_string_equal(apw_addr_blocked(&a), "link local");
	assert_int_equal(apw_addr_of(&un, &a), -1);
	assert_non_null(apw_addr_blocked(&a));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_allow),
		cmocka_unit_test(test_sockaddr),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
