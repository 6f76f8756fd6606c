package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/ordersaga/ordersaga/internal/config"
)

// readInput reads a file, or standard input for -.
func readInput(stdin io.Reader, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(file)
}

func printTable(w io.Writer, rows ...[]string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, cells := range rows {
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// printValue prints a value as JSON, or in words.
func printValue[T any](w io.Writer, asJSON bool, value T, inWords func(io.Writer, T) error) error {
	if asJSON {
		return printJSON(w, value)
	}
	return inWords(w, value)
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && config.IsTerminal(f)
}

// printable keeps texts that others sent from controlling the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, text)
}

// shorten cuts a text that has more characters than that.
func shorten(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
