package keyset_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/keyset"
)

// line is a key of a set.
func line(id string, b byte) string {
	return id + " " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(b), keyset.KeyBytes)))
}

func parse(t *testing.T, lines ...string) keyset.Set {
	t.Helper()
	set, err := keyset.Parse(strings.Join(lines, "\n"))
	require.NoError(t, err)
	return set
}

func TestKeysAreReplaced(t *testing.T) {
	before := parse(t, "# the key of 2026", "", line("a", 'a'))
	id, text := before.Seal("test", []byte("data"))
	require.Equal(t, "a", id)

	both := parse(t, line("b", 'b'), line("a", 'a'))
	require.Equal(t, "b", both.Active())
	data, err := both.Open("test", id, text)
	require.NoError(t, err)
	require.Equal(t, "data", string(data))
	newer, _ := both.Seal("test", []byte("data"))
	require.Equal(t, "b", newer)

	_, err = parse(t, line("b", 'b')).Open("test", id, text)
	require.ErrorIs(t, err, fault.Unavailable)
	data, err = parse(t, keyset.Plain, line("a", 'a')).Open("test", id, text)
	require.NoError(t, err)
	require.Equal(t, "data", string(data))
	require.Empty(t, parse(t, keyset.Plain, line("a", 'a')).Active())
}

// TestLongLinesAreRead: a comment of any length hides no key after it.
func TestLongLinesAreRead(t *testing.T) {
	set := parse(t, line("b", 'b'), "# "+strings.Repeat("x", 1<<17), line("a", 'a'))
	id, text := parse(t, line("a", 'a')).Seal("test", []byte("data"))
	_, err := set.Open("test", id, text)
	require.NoError(t, err)
}

func TestChangedDataIsCorrupt(t *testing.T) {
	set := parse(t, line("a", 'a'), line("twin", 'a'))
	id, text := set.Seal("test", []byte("data"))
	for name, open := range map[string]func() ([]byte, error){
		"purpose": func() ([]byte, error) { return set.Open("another", id, text) },
		"key ID":  func() ([]byte, error) { return set.Open("test", "twin", text) },
		"text": func() ([]byte, error) {
			changed := append([]byte{}, text...)
			changed[len(changed)-1] ^= 1
			return set.Open("test", id, changed)
		},
		"nothing": func() ([]byte, error) { return set.Open("test", id, nil) },
	} {
		_, err := open()
		require.ErrorIs(t, err, fault.Corrupt, name)
	}
}

func TestInvalidSets(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "comment": "# nothing", "no key": "a", "short key": "a c2hvcnQ=", "no base64": "a " + strings.Repeat("!", 44),
		"ID": line("a/b", 'a'), "twice": line("a", 'a') + "\n" + line("a", 'b'), "plain late": line("a", 'a') + "\nplain",
		"plain key": line("plain", 'a'), "three words": line("a", 'a') + " b",
	} {
		_, err := keyset.Parse(text)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "YWFh", name)
	}
}

func TestKeysAreNotPrinted(t *testing.T) {
	set := parse(t, line("a", 'a'))
	for _, text := range []string{fmt.Sprint(set), fmt.Sprintf("%+v", set), fmt.Sprintf("%#v", set), fmt.Sprintf("%v", struct{ S keyset.Set }{set})} {
		require.NotContains(t, text, "aaaa")
		require.NotContains(t, text, "97 97")
	}
	require.Equal(t, "***", set.LogValue().String())
}
