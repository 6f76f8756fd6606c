package hostile

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

// texts are strings that a careless program does not expect, in a parameter, a header or a body.
var texts = []string{
	"", " ", "\x00", "a\x00b", "a\nb", "\r\nX-Injected: 1", "\xff\xfe", "\xc3\x28", "\xed\xa0\x80", "..", ".", "../../../etc/passwd", "%2e%2e", "%00", "%", "%zz",
	"'; DROP TABLE orders; --", `{"$ne":null}`, "$where", "__proto__", "_id", "<script>alert(1)</script>", "${jndi:ldap://127.0.0.1/a}", "\u202e", "\u2028", "\u0085",
	"\u00a0", "\ufffd", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "e\u0301", "-1", "0", "1", "007", "1.5", "9223372036854775808", "1e309", "NaN", "null", "true",
	"2026-13-45T99:99:99Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "2026-01-01T00:00:00+99:99", "2026-01-01T00:00:00Z", "2026-01-01", "~", "~AA", "~AAAA",
	"a,b,,c", ",", "*", `"`, `"x"`, strings.Repeat("x", 129), strings.Repeat("x", 256), strings.Repeat("ü", 501), strings.Repeat("%2e/", 300), strings.Repeat(",", 2000),
	strings.Repeat("\U0001F600", 4000),
}

// plain are strings that are valid in many places.
var plain = []string{
	"a", "tea", "customer-7", "EUR", "JPY", "tok_visa", "tok_declined", "a note", "ü", "1", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5+02:00", "order.created", "completed",
	"open", "invalid", "order",
}

// junk are JSON values of the wrong type, out of bounds, or not JSON at all.
var junk = []string{
	"null", "true", "0", "-0", "-1", "1.5", "1e2", "2.0", "1e309", "-1e309", "1e-400", "9007199254740993", "9223372036854775808", strings.Repeat("9", 5000),
	"0." + strings.Repeat("0", 5000) + "1", `""`, `"x"`, `"\u0000"`, `"\ud800"`, `"\udc00\ud800"`, "\"\xff\"", "\"\x01\"", `"\x"`, "[]", "{}", `[null]`, `{"":""}`,
	`{"$ne":null}`, `{"__proto__":{"a":1}}`, "NaN", "Infinity", "'a'", "undefined", "// a comment\n1", "01", "+1", ".5", "1.", "", "[1,]", `{"a":1,}`, `{"a":1,"a":2}`,
	"[" + strings.Repeat("0,", 5000) + "0]", strings.Repeat("[", 5000) + strings.Repeat("]", 5000), strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000),
	strings.Repeat("[", 20000), `"` + strings.Repeat("x", 20000) + `"`, `"` + strings.Repeat(`\u0041`, 4000) + `"`,
}

// generator draws one request.
type generator struct {
	*rand.Rand
	// flaws is how many flaws the request may still get, and share how likely each place is to get one.
	flaws int
	share float64
}

func newGenerator(seed uint64, number int) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(number)))}
	switch n := g.IntN(10); {
	case n < 4: // valid
	case n < 8:
		g.flaws, g.share = 1, 0.2
	default:
		g.flaws, g.share = 1000, 0.3
	}
	return g
}

// chance reports true with a probability.
func (g *generator) chance(p float64) bool { return g.Float64() < p }

// flaw reports whether this place gets a flaw.
func (g *generator) flaw() bool {
	if g.flaws == 0 || !g.chance(g.share) {
		return false
	}
	g.flaws--
	return true
}

func pick[T any](g *generator, of []T) T { return of[g.IntN(len(of))] }

// text draws a string for a schema.
func (g *generator) text(s *openapi3.Schema) string {
	switch {
	case g.flaw():
		return pick(g, texts)
	case len(s.Enum) > 0:
		return fmt.Sprint(pick(g, s.Enum))
	case s.Const != nil:
		return fmt.Sprint(s.Const)
	case len(s.AnyOf) > 0:
		return g.text(pick(g, s.AnyOf).Value)
	case s.Type.Is("integer"):
		return fmt.Sprint(g.integer(s))
	case s.Type.Is("array"):
		return g.text(s.Items.Value)
	case s.Format == "date-time":
		return "2026-01-31T12:00:00Z"
	}
	for range 20 {
		if text := pick(g, plain); fits(s, text) {
			return text
		}
	}
	return "a"
}

// patterns are compiled once.
var patterns sync.Map

func fits(s *openapi3.Schema, text string) bool {
	if s.Pattern == "" {
		return true
	}
	compiled, ok := patterns.Load(s.Pattern)
	if !ok {
		compiled, _ = patterns.LoadOrStore(s.Pattern, regexp.MustCompile(s.Pattern))
	}
	return compiled.(*regexp.Regexp).MatchString(text)
}

// integer draws a number within the bounds of a schema, often one of them.
func (g *generator) integer(s *openapi3.Schema) int64 {
	low, high := int64(-5), int64(100)
	if s.Min != nil {
		low = int64(*s.Min)
	}
	if s.Max != nil {
		high = int64(*s.Max)
	}
	high = max(low, high)
	return pick(g, []int64{low, high, min(low+1, high), min(low+g.Int64N(20), high)})
}

// json draws a JSON value for a schema, as text: what is not JSON must be possible, too.
func (g *generator) json(s *openapi3.Schema) string {
	switch {
	case g.flaw():
		return pick(g, junk)
	case len(s.AnyOf) > 0:
		return g.json(pick(g, s.AnyOf).Value)
	case s.Type.Is("object") || s.Type.Includes("object"):
		return g.object(s)
	case s.Type.Is("array"):
		items := make([]string, g.IntN(4)+1)
		for i := range items {
			items[i] = g.json(s.Items.Value)
		}
		return "[" + strings.Join(items, ",") + "]"
	case s.Type.Is("integer"):
		return fmt.Sprint(g.integer(s))
	case s.Type.Is("boolean"):
		return pick(g, []string{"true", "false"})
	}
	raw, _ := json.Marshal(g.text(s)) // cannot fail
	return string(raw)
}

func (g *generator) object(s *openapi3.Schema) string {
	var members []string
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		required := slices.Contains(s.Required, name)
		if required && g.flaw() || !required && g.chance(0.5) {
			continue
		}
		member := fmt.Sprintf("%q:%s", name, g.json(s.Properties[name].Value))
		members = append(members, member)
		if g.chance(0.3) && g.flaw() {
			members = append(members, member) // a duplicated name
		}
	}
	if len(s.Properties) == 0 {
		members = append(members, `"a":"b"`)
	}
	if g.chance(0.3) && g.flaw() {
		name, _ := json.Marshal(pick(g, texts)) // cannot fail
		members = append(members, string(name)+":"+pick(g, junk))
	}
	g.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return "{" + strings.Join(members, ",") + "}"
}

// damage changes a body as text.
func (g *generator) damage(body string) string {
	switch g.IntN(9) {
	case 0:
		return ""
	case 1:
		return body[:g.IntN(len(body)+1)]
	case 2:
		return body + pick(g, junk)
	case 3:
		return pick(g, junk)
	case 4:
		at := g.IntN(len(body) + 1)
		return body[:at] + string([]byte{byte(g.IntN(256))}) + body[at:]
	case 5:
		return "\ufeff" + body
	case 6:
		return "[" + body + "]"
	case 7:
		return body + strings.Repeat(" ", 2<<20) // more than a body may have
	default:
		return strings.Repeat("[", 100_000)
	}
}
