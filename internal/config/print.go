package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Print writes the effective settings as an aligned table, secrets masked.
func (c Config) Print(w io.Writer) error {
	_, err := io.WriteString(w, render(c.settings))
	return err
}

func render(settings []Setting) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VARIABLE\tVALUE\tFROM")
	for _, s := range settings {
		value := quote(s.Value)
		if s.Source == Unset {
			value = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Name, value, s.Source)
	}
	_ = t.Flush() // A strings.Builder takes everything.
	return b.String()
}

// WriteMarkdown writes the table of variables for the documentation.
func WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| variable | default | value | meaning |\n|---|---|---|---|\n")
	for _, v := range Variables() {
		fallback := ""
		if v.Default != "" {
			fallback = "`" + v.Default + "`"
		}
		meaning := v.Meaning
		if v.Secret {
			meaning += " Secret"
			if !strings.HasSuffix(v.Name, "*") {
				meaning += "; may stand in the file that `" + v.Name + fileSuffix + "` names"
			}
			meaning += "."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", v.Name, fallback, v.Unit, meaning)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
