package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// asDevstack makes this test binary behave as devstack: the tests then run the
// real program, and so does everything that it starts.
const asDevstack = "DEVSTACK_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asDevstack) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestCommandLines(t *testing.T) {
	t.Setenv("DEVSTACK_CONTROL", "")
	t.Setenv("DEVSTACK_HOME", t.TempDir())
	for _, test := range []struct {
		args   string
		code   int
		output string
	}{
		{"", exitUsage, "devstack up"},
		{"help", 0, "devstack exec"},
		{"frobnicate", exitUsage, `no command "frobnicate"`},
		{"exec", exitUsage, "which command?"},
		{"exec --", exitUsage, "which command?"},
		{"exec true", exitUsage, "goes after --"},
		{"exec --only nothing -- true", 1, `there is no component "nothing"; there are: temporal, ui, mongodb, rabbitmq`},
		{"exec --unknown -- true", exitUsage, "unknown"},
		{"kill", exitUsage, "which component?"},
		{"kill temporal", 1, "no devstack is running"},
		{"start temporal now", exitUsage, "goes after --"},
		{"env", 1, "no devstack is running"},
		{"internal-serve", exitUsage, "for devstack itself"},
	} {
		var output bytes.Buffer
		if code := run(strings.Fields(test.args), &output, &output); code != test.code || !strings.Contains(output.String(), test.output) {
			t.Errorf("devstack %s: exit code %d, want %d with %q:\n%s", test.args, code, test.code, test.output, &output)
		}
	}
}

func TestExternalNeedsAddresses(t *testing.T) {
	t.Setenv("DEVSTACK_EXTERNAL", "mongodb,rabbitmq")
	t.Setenv("MONGODB_URI", "")
	t.Setenv("AMQP_URL", "")
	var output bytes.Buffer
	if code := run([]string{"exec", "--", "true"}, &output, &output); code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, variable := range []string{"MONGODB_URI", "AMQP_URL"} {
		if !strings.Contains(output.String(), variable) {
			t.Errorf("%s is not named:\n%s", variable, &output)
		}
	}
}
