package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ordersaga/ordersaga/internal/config"
)

// FuzzLoad: any value of any setting is accepted or refused with a problem that names a setting, and secrets are never printed.
func FuzzLoad(f *testing.F) {
	variables := config.Variables()
	for i, v := range variables {
		for _, value := range []string{v.Default, "-1", "\x00", "a,b,,a", "mongodb://user:hunter2hunter2@host:1/%zz", "9999999999d", "1d1d", "[::1]:0", "*.*"} {
			f.Add(uint8(i), value)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, value string) {
		v := variables[int(which)%len(variables)]
		name := strings.Replace(v.Name, "*", "A", 1)
		if strings.ContainsRune(value, 0) { // an environment cannot have it
			return
		}
		c, err := config.Load([]string{name + "=" + value})
		var printed strings.Builder
		if err != nil {
			var problems *config.Error
			if !errors.As(err, &problems) || len(problems.Problems) == 0 || problems.Problems[0].Name == "" {
				t.Fatalf("%s=%q: %v", name, value, err)
			}
			printed.WriteString(err.Error())
		} else if err := c.Print(&printed); err != nil {
			t.Fatal(err)
		}
		if v.Secret && len(value) > 12 && !strings.Contains(value, "://") && strings.Contains(printed.String(), value) {
			t.Fatalf("%s=%q is printed:\n%s", name, value, &printed)
		}
	})
}

// FuzzDuration: what is read survives being written.
func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"6d", "1d12h", "90m", "0", "-1s", "106751d", "1d-1h", "1d+1h", "1.5h", "d", "1d1d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := config.ParseDuration(text)
		if err != nil {
			return
		}
		again, err := config.ParseDuration(config.FormatDuration(d))
		if err != nil || again != d {
			t.Fatalf("%q is %s, which becomes %s: %v", text, d, again, err)
		}
	})
}
