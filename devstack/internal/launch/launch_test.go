package launch

import (
	"os/exec"
	"testing"
)

func TestExportSurvivesAShell(t *testing.T) {
	for _, value := range []string{"plain", "with space", `it's "quoted" $HOME \`, ""} {
		output, err := exec.Command("sh", "-c", Export("NAME="+value)+`; printf %s "$NAME"`).Output()
		if err != nil || string(output) != value {
			t.Errorf("%q became %q, %v", value, output, err)
		}
	}
}
