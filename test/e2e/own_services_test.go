package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testdoc"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// checkParticipant runs ordersaga participant-check on a service.
func checkParticipant(t *testing.T, url string) {
	t.Helper()
	for _, service := range []string{"inventory", "payment"} {
		cmd := exec.CommandContext(t.Context(), binary, "participant-check", service, url, "--timeout", "1m")
		cmd.Env = append(environ(), "PARTICIPANT_SECRET="+participantSecret)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}

// TestOwnServicesPage executes the blocks of docs/how-to/your-own-services.md that are marked `sh run`, in a folder of its own: with the example
// service in Go, and the service of the test instead of a stack of its own.
func TestOwnServicesPage(t *testing.T) {
	s := newStack(t)
	const path = "docs/how-to/your-own-services.md"
	const participant, serve = "go run ./examples/participant", "bin/devstack up -- bin/ordersaga serve"
	dir, run := t.TempDir(), testenv.Unique("own")+"-"
	replacements := []string{"bin/ordersaga", binary, "shop-", run + "shop-"}
	env := append(environ(), "MONGODB_DATABASE="+s.database)
	var output string
	executed, started := 0, 0
	for _, page := range testdoc.Pages(t, filepath.Join("..", "..")) {
		if page.Path != path {
			continue
		}
		blocks, _ := page.Split()
		for _, b := range blocks {
			text := strings.TrimSpace(strings.ReplaceAll(b.Text, "\\\n", " "))
			switch {
			case b.Info == "sh run" && strings.HasSuffix(text, participant):
				command := strings.TrimSuffix(text, participant) + "exec " + goBuild(t, "../../examples/participant") + " -addr 127.0.0.1:0"
				url := startProgram(t, nil, "sh", "-c", "cd "+dir+" && "+command).await(`listening on (http://\S+)$`)
				replacements = append(replacements, "http://127.0.0.1:9000", url)
				started++
			case b.Info == "sh run" && strings.HasSuffix(text, serve):
				settings := strings.TrimSuffix(text, serve)
				settings = strings.NewReplacer(replacements...).Replace(strings.ReplaceAll(settings, "participant.secret", filepath.Join(dir, "participant.secret")))
				s.start(strings.Fields(settings)...)
				replacements = append(replacements, "http://127.0.0.1:8080", s.service.URL)
				started++
			case b.Info == "sh run":
				cmd := exec.CommandContext(s.ctx, "sh", "-euc", strings.NewReplacer(replacements...).Replace(b.Text))
				cmd.Dir, cmd.Env = dir, env
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s:%d: %s", path, b.Line, out)
				output = string(out)
				executed++
			case output != "" && (b.Info == "json" || b.Info == "text"):
				require.Regexp(t, documented(strings.NewReplacer(replacements...).Replace(b.Text)), output, "%s:%d", path, b.Line)
				output = ""
			}
		}
	}
	require.Equal(t, 2, started)
	require.Greater(t, executed, 4)
}
