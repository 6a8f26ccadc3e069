/*
 * test_pattern.c: the bytes that every match of a pattern holds, and lines that are found by them.
 */
#include "testing.h"

#include "jobs/pattern.h"

static void literals_are_found(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"", ""},
		{"abc", "abc"},
		{"a]b}c", "a]b}c"},
		{"abc*d", "ab"},
		{"ab?cde", "cde"},
		{"abc+d", "abc"},
		{"abc{2,3}", "ab"},
		{"abc{0}def", "def"},
		{"ab{x", ""},
		{"abc{", ""},
		{"a.bcd", "bcd"},
		{"^abc$", "abc"},
		{"abc|d", ""},
		{"(a|bcd)ef", "ef"},
		{"(abc)?d", "d"},
		{"(abcd)*ef", "ef"},
		{"ab(c", "ab"},
		{"ab)cd", ""},
		{"[abc]de", "de"},
		{"[]abc]de", ""},
		{"[^]abc]de", ""},
		{"[a\\]bc]de", "de"},
		{"[[:alpha:]]de", "de"},
		{"[[:alpha:]|]de", "de"},
		{"[[.a.]]de", ""},
		{"[a\\Qbc]\\Ede]f", ""},
		{"[a", ""},
		{"\\dabc", "abc"},
		{"ab\\.cde", "cde"},
		{"ab\\bcde", "cde"},
		{"\\x41bc", ""},
		{"\\Qab\\E", ""},
		{"\\p{Lu}bc", ""},
		{"(?i)abc", ""},
		{"abc(?=d)", ""},
		{"(*UTF)abc", ""},
		{"(.)\\1abc", ""},
		{"ab\\", ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const pj_bytes found = pj__pattern_literal(pj_bytes_of(cases[i][0]));
		if (!pj_bytes_equal(found, pj_bytes_of(cases[i][1])))
			fail_msg("\"%s\" is taken for \"%.*s\"", cases[i][0], (int)found.len, found.ptr);
	}
}

/* The lines that match, one behind another, each with a comma. */
static void assert_lines(const char *patterns, bool ignores_case, const char *text, const char *expected)
{
	char found[256] = "";
	pj__pattern *pattern;
	pj_error error = {.status = PJ_OK};
	pj_bytes rest = pj_bytes_of(text), line;
	assert_good(pj__pattern_create(patterns, (pj__pattern_kind){.ignores_case = ignores_case}, &pattern, &error),
		    error);
	for (int next; (next = pj__pattern_next(pattern, &rest, &line)) != 0;) {
		const int matches = pj__pattern_matches(pattern, line);
		assert_true(matches >= 0 && (next == 1 || matches));
		if (matches)
			snprintf(found + strlen(found), sizeof found - strlen(found), "%.*s,", (int)line.len, line.ptr);
	}
	pj__pattern_destroy(pattern);
	assert_string_equal(found, expected);
}

static void lines_are_found(void **state)
{
	(void)state;
	assert_lines("ab", false, "ab\nxaby ab\n\nAb\nb\nab", "ab,xaby ab,ab,");
	assert_lines("ab", true, "ab\nAB\nb\naB", "ab,AB,aB,");
	assert_lines("ab$", false, "abab\nabx\nab", "abab,ab,");
	assert_lines("", false, "a\n\nb", "a,,b,");
	assert_lines("^$", false, "a\n\nb\n", ",");
	assert_lines("a\nb\n^c", false, "xa\nxb\nxc\nc", "xa,xb,c,");
	assert_lines("ab", false, "", "");
	assert_lines("a\\nb|c", false, "a\nb\nc\n", "c,");
}

static void wrong_patterns_are_named(void **state)
{
	(void)state;
	pj__pattern *pattern;
	pj_error error;
	assert_fails(pj__pattern_create("good\nba(d", (pj__pattern_kind){0}, &pattern, &error), PJ_ERR_USAGE, error);
	assert_non_null(strstr(error.reason, "at byte 4 of ba(d"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(literals_are_found),
		cmocka_unit_test(lines_are_found),
		cmocka_unit_test(wrong_patterns_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
