package cli

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testdoc"
)

// command begins a command line of ordersaga in code.
var command = regexp.MustCompile(`(?:^|[\s;&|(])(?:bin/)?ordersaga\s+([a-z-][^\n]*)`)

// TestDocumentedCommandsExist: every command and flag of ordersaga that a page of the documentation has as code.
func TestDocumentedCommandsExist(t *testing.T) {
	checked := 0
	for _, p := range testdoc.Pages(t, filepath.Join("..", "..")) {
		for _, code := range p.Code() {
			code = strings.ReplaceAll(code, "\\\n", " ")
			for _, match := range command.FindAllStringSubmatch(code, -1) {
				words := words(match[1])
				if len(words) == 0 {
					continue
				}
				checked++
				if problem := unknown(words); problem != "" {
					assert.Fail(t, problem, "%s: ordersaga %s", p.Path, match[1])
				}
			}
		}
	}
	require.Greater(t, checked, 50)
}

// unknown says which of the words of a command line does not exist.
func unknown(words []string) string {
	cmd := root("test")
	cmd.InitDefaultHelpCmd()
	cmd.InitDefaultCompletionCmd(words...)
	for i, word := range words {
		name, flag := strings.CutPrefix(word, "--")
		name, _, _ = strings.Cut(name, "=")
		switch {
		case flag && (name == "help" || name == "version"):
		case flag && cmd.Flags().Lookup(name) == nil:
			return cmd.CommandPath() + " has no flag --" + name
		case flag, strings.HasPrefix(word, "-"):
		case cmd.HasSubCommands() && i < 3:
			sub := subcommand(cmd, word)
			if sub == nil && cmd.Runnable() {
				continue // an argument
			}
			if sub == nil {
				return cmd.CommandPath() + " has no command " + word
			}
			cmd = sub
		}
	}
	return ""
}

func subcommand(cmd *cobra.Command, name string) *cobra.Command {
	for _, sub := range cmd.Commands() {
		if sub.Name() == name {
			return sub
		}
	}
	return nil
}

// words splits a command line as a shell does, up to what ends the command.
func words(line string) []string {
	var found []string
	var word strings.Builder
	var quote rune
	flush := func() {
		if word.Len() > 0 {
			found = append(found, word.String())
		}
		word.Reset()
	}
	for _, r := range line {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
			word.WriteRune('x') // its content is no flag
		case r == '\'', r == '"':
			quote = r
		case strings.ContainsRune("|;&>#)", r):
			flush()
			return found
		case r == ' ', r == '\t':
			flush()
		default:
			word.WriteRune(r)
		}
	}
	flush()
	return found
}

func TestUnknownCommandsAndFlagsAreFound(t *testing.T) {
	for line, want := range map[string]string{
		"tail --order shop-1 --from-start":                "",
		"dead-letters replay ID --body f.json --dry-run":  "",
		"publish order.created --data '{\"a\": \"--b\"}'": "",
		"completion bash":              "",
		"--version":                    "",
		"tails":                        "ordersaga has no command tails",
		"tail --all":                   "ordersaga tail has no flag --all",
		"dead-letters mend ID":         "ordersaga dead-letters has no command mend",
		"reconcile --repair; rm --all": "",
	} {
		assert.Equal(t, want, unknown(words(line)), line)
	}
}
