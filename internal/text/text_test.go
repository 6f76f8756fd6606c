package text_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/internal/text"
)

func TestClean(t *testing.T) {
	for s, want := range map[string]string{
		"plain": "plain", " two\nlines\r\n": "two lines", "a\x00b\tc": "a b c", "\x1b[31mred": "[31mred", "\u202eabc\u2066": "abc",
		"\ufeffa\u00adb": "ab", "La\u00a0Poste": "La Poste", "\xff": "\ufffd", "a\ufffeb": "ab", "👩\u200d👧": "👩\u200d👧", "  ": "",
		"1234567890x": "1234567890", "123456789 x": "123456789", "üüüüüüüüüüü": "üüüüüüüüüü",
	} {
		require.Equal(t, want, text.Clean(s, 10), "%q", s)
	}
}

func TestValidate(t *testing.T) {
	for s, want := range map[string][]string{
		"": nil, "fine, ü 東京 😀": nil, "a\nb": {"must have printable characters only"}, "\u202e": {"must have printable characters only"},
		"\xff": {"must have printable characters only"}, strings.Repeat("ü", 20): nil, strings.Repeat("ü", 21): {"must have at most 20 characters"},
		strings.Repeat("\t", 21): {"must have at most 20 characters", "must have printable characters only"},
	} {
		require.Equal(t, want, text.Validate(s, 20), "%q", s)
	}
}

// What was cleaned is clean, and short enough.
func TestCleanOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune(" \n\u200d\u202eaü\ufffd")))).Draw(t, "text")
		clean := text.Clean(s, 12)
		require.Equal(t, clean, text.Clean(clean, 12))
		require.LessOrEqual(t, utf8.RuneCountInString(clean), 12)
		require.True(t, utf8.ValidString(clean))
	})
}
