package notify_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/notify"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var kinds = []string{"welcome", "confirmed", "completed", "cancelled", "rejected", "failed"}

func load(t *testing.T, folder string) *notify.Templates {
	t.Helper()
	templates, err := notify.LoadTemplates(folder, kinds)
	require.NoError(t, err)
	return templates
}

var facts = notify.Facts{
	Name: "Ada", OrderID: "42", Lines: []notify.Item{{SKU: "tea", Quantity: 2, Amount: "9.00 EUR"}}, Total: "9.00 EUR",
	Reason: "out_of_stock", Why: "something in it is out of stock",
}

func TestTemplatesNameTheirSubject(t *testing.T) {
	templates := load(t, "")
	for _, kind := range kinds {
		m, err := templates.Render(kind, facts)
		require.NoError(t, err)
		require.NotEmpty(t, m.Subject)
		require.NotContains(t, m.Subject, "\n")
		for _, text := range []string{m.Text, m.HTML} {
			require.Contains(t, text, "Hello Ada,")
			if kind != "welcome" {
				require.Contains(t, m.Subject, "42")
				require.Contains(t, text, "9.00 EUR")
				require.Contains(t, text, "tea")
			}
			if kind == "rejected" || kind == "failed" {
				require.Contains(t, text, facts.Why)
			}
		}
		nameless, err := templates.Render(kind, notify.Facts{OrderID: "42"})
		require.NoError(t, err)
		require.Contains(t, nameless.Text, "Hello,\n")
	}
}

// TestHTMLIsEscaped: what people call themselves is text.
func TestHTMLIsEscaped(t *testing.T) {
	f := facts
	f.Name = `<script>alert("x")</script>`
	f.Lines = []notify.Item{{SKU: "<b>", Quantity: 2, Amount: "9.00 EUR"}}
	m, err := load(t, "").Render("completed", f)
	require.NoError(t, err)
	require.NotContains(t, m.HTML, "<script>")
	require.NotContains(t, m.HTML, "<td><b></td>")
	require.Contains(t, m.HTML, "&lt;script&gt;")
	require.Contains(t, m.Text, f.Name, "plain text is plain")
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	return folder
}

func TestFolderOverridesBuiltInTemplates(t *testing.T) {
	folder := write(t, "welcome.txt.tmpl", "{{define \"subject\"}}Moin {{.Name}}\r\nBcc: everybody{{end}}{{define \"body\"}}Moin{{end}}")
	templates := load(t, folder)
	m, err := templates.Render("welcome", facts)
	require.NoError(t, err)
	require.Equal(t, "Moin Ada Bcc: everybody", m.Subject, "a subject is one line, whatever the template says")
	require.Equal(t, "Moin", m.Text)
	m, err = templates.Render("completed", facts)
	require.NoError(t, err)
	require.Contains(t, m.Subject, "complete")
	_, err = templates.Render("unheard", facts)
	require.ErrorIs(t, err, fault.Invalid)
}

func TestAllInvalidTemplatesAreReported(t *testing.T) {
	folder := write(t, "welcome.txt.tmpl", `{{define "subject"}}{{.Nobody}}{{end}}{{define "body"}}{{end}}`)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "failed.html.tmpl"), []byte("{{"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "rejected.txt.tmpl"), []byte(`{{define "subject"}} {{end}}{{define "body"}}{{end}}`), 0o600))
	_, err := notify.LoadTemplates(folder, kinds)
	for _, name := range []string{"welcome.txt.tmpl", "failed.html.tmpl", "rejected.txt.tmpl"} {
		require.ErrorContains(t, err, name)
	}
}

func TestLineBreaksAreRemoved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := notify.Line(rapid.String().Draw(t, "text"))
		if strings.ContainsAny(line, "\r\n\x00\u2028\u2029") || len([]rune(line)) > 200 {
			t.Fatalf("%q", line)
		}
	})
	require.Equal(t, "a b", notify.Line(" a\r\n\tb\u2028"))
	require.Len(t, []rune(notify.Line(strings.Repeat("ü", 500))), 200)
}
