package notify_test

import (
	"net/mail"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/notify"
)

func TestAcceptedAddresses(t *testing.T) {
	for text, sent := range map[string]string{
		"ada@example.com":                         "<ada@example.com>",
		"o'brien+tag@mail.example.com":            "<o'brien+tag@mail.example.com>",
		"a..b@docomo.example":                     `<"a..b"@docomo.example>`,
		"a.@docomo.example":                       `<"a."@docomo.example>`,
		".a...b.@docomo.example":                  `<".a...b."@docomo.example>`,
		`"a..b"@docomo.example`:                   `<"a..b"@docomo.example>`,
		`"ada lovelace"@example.com`:              `<"ada lovelace"@example.com>`,
		"üser@example.com":                        "<üser@example.com>",
		"ü..ser@exämple.com":                      `<"ü..ser"@xn--exmple-cua.com>`,
		"ada@exämple.com":                         "<ada@xn--exmple-cua.com>",
		"用户@例子.广告":                                "<用户@xn--fsqu00a.xn--4rr70v>",
		"ada@[192.0.2.1]":                         "<ada@[192.0.2.1]>",
		strings.Repeat("a", 242) + "@example.com": "<" + strings.Repeat("a", 242) + "@example.com>",
	} {
		a, err := notify.ParseAddress(text)
		require.NoError(t, err, text)
		require.Empty(t, a.Name)
		recipient := notify.ASCIIDomain(*a)
		require.Equal(t, sent, recipient.String(), text)
		_, err = mail.ParseAddress(recipient.String())
		require.NoError(t, err, "what is sent is an address of RFC 5322")
	}
}

func TestRefusedAddresses(t *testing.T) {
	for _, text := range []string{
		"", "ada", "@", "@example.com", "ada@", "..@example.com", "ada@example..com", "ada@.example.com", "ada lovelace@example.com",
		"Ada <ada@example.com>", "<ada@example.com>", "ada@example.com (Ada)", "ada@example.com, bob@example.com", "a..b@c@example.com",
		"ada@example.com\r\nBcc: bob@example.com", "a..b\r\n@example.com", "\"a\x00b\"@example.com", "ada@example.com\u202e", "\xff@example.com",
		strings.Repeat("a", 243) + "@example.com", strings.Repeat("ü", 122) + "@example.com",
	} {
		_, err := notify.ParseAddress(text)
		require.ErrorIs(t, err, fault.Invalid, "%q", text)
	}
}

func TestNamesWithLinksAreOmitted(t *testing.T) {
	for _, name := range []string{
		"", "Ada", "Ada Lovelace", "J. R. R. Tolkien", "J.R.R. Tolkien", "Dr. Müller", "Martin Luther King, Jr.", "O'Brien-Smith", "王小明", "Ada: the first",
		"Ada · Lovelace", "1. FC Köln", "R2-D2", "Ada & Bob", "<Ada>",
	} {
		require.Equal(t, name, notify.Salutation(name))
	}
	for _, name := range []string{
		"http://evil.example", "Click https://evil.example/now", "HTTPS://EVIL.EXAMPLE", "evil.example", "You won: evil.example", "www.evil", "Ada www. evil",
		"//evil", "bob@evil", "mailto:bob", "tel:+49123456", "evil。example", "evil．example", "evil｡example", "ｅｖｉｌ．ｅｘａｍｐｌｅ", "evil․example",
		"192.0.2.17", "evil.\u00adexample", "evil.xn--p1ai", "bit.ly/1234", "Ada\nhttp://evil.example", "ⓔvil.example",
	} {
		require.Empty(t, notify.Salutation(name), name)
	}
}

// TestNamesAddNoLinksToMessages, whatever the template.
func TestNamesAddNoLinksToMessages(t *testing.T) {
	f := facts
	f.Name = "your prize is at https://evil.example/?id=7"
	folder := write(t, "welcome.txt.tmpl", `{{define "subject"}}For {{.Name}}{{end}}{{define "body"}}{{.Name}}{{end}}`)
	for _, templates := range []*notify.Templates{load(t, ""), load(t, folder)} {
		for _, kind := range kinds {
			m, err := templates.Render(kind, f)
			require.NoError(t, err)
			for _, text := range []string{m.Subject, m.Text, m.HTML} {
				require.NotContains(t, text, "evil")
			}
		}
	}
}
