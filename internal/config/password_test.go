package config

import "testing"

func TestFromCommand(t *testing.T) {
	for _, c := range []struct{ command, want, fault string }{
		{"printf 'secret\\nlogin: alice\\n'", "secret", ""},
		{"printf 'secret\\r\\n'", "secret", ""},
		{"printf secret", "secret", ""},
		{"true", "", "password_command: wrote nothing"},
		{"exit 3", "", "password_command: exit status 3"},
		{"echo no such entry >&2; exit 1", "", `password_command: exit status 1: "no such entry"`},
	} {
		got, err := fromCommand(c.command)()
		fault := ""
		if err != nil {
			fault = err.Error()
		}
		if got != c.want || fault != c.fault {
			t.Errorf("%s: got %q, %q; want %q, %q", c.command, got, fault, c.want, c.fault)
		}
	}
}

func TestFromEnv(t *testing.T) {
	t.Setenv("REGWATCH_TEST_PASSWORD", "secret")
	if got, err := FromEnv("REGWATCH_TEST_PASSWORD")(); got != "secret" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := FromEnv("REGWATCH_TEST_UNSET")(); err == nil {
		t.Error("an unset variable gave a password")
	}
}
