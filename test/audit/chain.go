package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// chain checks versions, ids, keys and hashes of one stream.
func (r *Report) chain(name string, stream []Document) {
	prev := digest("ordersaga/genesis/v1\n" + name)
	keys := map[string]bool{}
	for i, d := range stream {
		want := int64(i) + 1
		if d.Version < want {
			r.violate("stream %s has version %d twice", name, d.Version)
			return
		}
		if d.Version != want {
			r.violate("stream %s has version %d where %d should be", name, d.Version, want)
			return
		}
		if d.ID != fmt.Sprintf("%s@%010d", name, want) {
			r.violate("version %d of stream %s has the _id %q", want, name, d.ID)
		}
		if d.Key == "" || keys[d.Key] {
			r.violate("stream %s has the key %q twice, or it is empty", name, d.Key)
		}
		keys[d.Key] = true
		if d.PrevHash != prev {
			r.violate("version %d of stream %s does not follow the record before it", want, name)
		}
		if got := digest("ordersaga/record/v1\n" + d.PrevHash + "\n" + canonical(d)); got != d.Hash {
			r.violate("version %d of stream %s does not have the hash that it claims", want, name)
		}
		prev = d.Hash
	}
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// canonical is the envelope as RFC 8785 wants it: members sorted by their names in UTF-16, no white space,
// shortest escapes. Numbers are integers.
func canonical(d Document) string {
	var b strings.Builder
	writeValue(&b, bson.D{
		{Key: "stream", Value: d.Stream}, {Key: "version", Value: d.Version}, {Key: "key", Value: d.Key},
		{Key: "id", Value: d.EventID}, {Key: "type", Value: d.Type}, {Key: "source", Value: d.Source},
		{Key: "subject", Value: d.Subject}, {Key: "time", Value: d.Time.UTC().Format("2006-01-02T15:04:05.000Z")},
		{Key: "correlationId", Value: d.CorrelationID}, {Key: "causationId", Value: d.CausationID},
		{Key: "schemaVersion", Value: d.SchemaVersion}, {Key: "data", Value: d.Data},
	})
	return b.String()
}

func writeValue(b *strings.Builder, value any) {
	switch v := value.(type) {
	case bson.D:
		members := append(bson.D(nil), v...)
		sort.Slice(members, func(i, j int) bool {
			return slices.Compare(utf16.Encode([]rune(members[i].Key)), utf16.Encode([]rune(members[j].Key))) < 0
		})
		b.WriteByte('{')
		for i, m := range members {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, m.Key)
			b.WriteByte(':')
			writeValue(b, m.Value)
		}
		b.WriteByte('}')
	case bson.A:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			writeValue(b, item)
		}
		b.WriteByte(']')
	case string:
		writeString(b, v)
	case int32:
		b.WriteString(strconv.FormatInt(int64(v), 10))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case nil:
		b.WriteString("null")
	default:
		fmt.Fprintf(b, "!%T", v)
	}
}

func writeString(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
