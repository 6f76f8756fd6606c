package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Print writes the effective settings as an aligned table, with secrets masked.
func (c Config) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VARIABLE\tVALUE\tFROM")
	for _, s := range c.settings {
		value := quote(s.Value)
		if s.Source == Unset {
			value = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Name, value, s.Source)
	}
	return t.Flush()
}

// String returns the output of Print.
func (c Config) String() string {
	var b strings.Builder
	_ = c.Print(&b) // cannot fail
	return b.String()
}

// WriteMarkdown writes the table of settings for the documentation.
func WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	writeTable(&b, Variables())
	b.WriteString("\n## Commands over REST\n\nThese variables are for [commands](commands.md) that call a service. They are no settings of the service.\n\n")
	writeTable(&b, remoteTable(new(Remote)))
	_, err := io.WriteString(w, b.String())
	return err
}

func writeTable(b *strings.Builder, settings []Setting) {
	b.WriteString("| variable | default | value | meaning |\n|---|---|---|---|\n")
	for _, s := range settings {
		fallback := ""
		if s.Default != "" {
			fallback = "`" + s.Default + "`"
		}
		meaning := s.Meaning
		switch {
		case s.Secret && strings.HasSuffix(s.Name, "*"):
			meaning += " Secret."
		case s.Secret:
			meaning += " Secret; `" + s.Name + fileSuffix + "` may name a file that contains it."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", s.Name, fallback, s.Unit, meaning)
	}
}
