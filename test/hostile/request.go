package hostile

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Request is a request as bytes: no library has made it valid.
type Request struct {
	Method, Target, Version string
	Headers                 []Header
	Body                    []byte
	// Chunked sends the body in chunks, Cut not all of what is announced.
	Chunked, Cut bool
}

// Header is a header as it is sent.
type Header struct{ Name, Value string }

// Values are what a request may refer to.
type Values struct {
	// Tokens are sent as credentials, mostly the first one.
	Tokens []string
	// Known returns existing values of a parameter of a path.
	Known func(path, parameter string) []string
}

// methods that no operation has.
var methods = []string{
	http.MethodHead, http.MethodOptions, http.MethodDelete, http.MethodPut, http.MethodPatch, http.MethodTrace, http.MethodConnect, http.MethodPost, http.MethodGet, "PURGE", "get",
	"G\tET", "", strings.Repeat("A", 9000),
}

// extras are headers that no operation describes.
var extras = []Header{
	{"Accept", "text/event-stream"},
	{"Accept", "application/x-ndjson"},
	{"Accept", "*/*;q=0, application/json;q=NaN"},
	{"Accept", strings.Repeat("a/b,", 4000)},
	{"If-None-Match", "*"},
	{"If-None-Match", strings.Repeat(`"x",`, 4000)},
	{"If-Match", `"x"`},
	{"If-Modified-Since", "yesterday"},
	{"Range", "bytes=0-,-1,5-2"},
	{"Content-Encoding", "gzip"},
	{"Content-Type", "text/plain"},
	{"Content-Type", "application/json; charset=utf-16"},
	{"Content-Type", "multipart/form-data; boundary=x"},
	{"Content-Type", strings.Repeat(";", 3000)},
	{"Content-Length", "-1"},
	{"Content-Length", "99999999999999999999"},
	{"Transfer-Encoding", "gzip, chunked"},
	{"Transfer-Encoding", "identity"},
	{"Expect", "100-continue"},
	{"Expect", "a miracle"},
	{"Host", "evil.example"},
	{"Host", "a b"},
	{"Origin", "https://evil.example"},
	{"Sec-Fetch-Site", "cross-site"},
	{"Authorization", "Basic YTpi"},
	{"Authorization", "Bearer " + strings.Repeat("a.", 9000)},
	{"Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."},
	{"Cookie", strings.Repeat("a=b; ", 2000)},
	{"X-Http-Method-Override", "DELETE"},
	{"X-Forwarded-For", "' OR 1=1"},
	{"Traceparent", "00-" + strings.Repeat("f", 32) + "-" + strings.Repeat("f", 16) + "-ff"},
	{"Connection", "close"},
	{"Upgrade", "h2c"},
	{"X-Long", strings.Repeat("x", 70_000)},
	{"X-Zero", "a\x00b"},
	{"Bad Name", "x"},
	{"Prefer", "wait=1"},
	{"Prefer", "wait=99999999999999999999"},
	{"Prefer", strings.Repeat("wait,", 5000)},
}

// Request draws a request.
func (s *Spec) Request(seed uint64, number int, v Values) Request {
	g := newGenerator(seed, number)
	o := pick(g, s.operations)
	for range 3 { // documents are large, and have few parameters
		if strings.HasPrefix(o.path, "/v1/") {
			break
		}
		o = pick(g, s.operations)
	}
	r := Request{Method: o.method, Version: "HTTP/1.1", Headers: []Header{{"Host", "localhost"}}}
	if g.chance(0.1) && g.flaw() {
		r.Method = pick(g, methods)
	}
	if g.chance(0.05) && g.flaw() {
		r.Version = pick(g, []string{"HTTP/1.0", "HTTP/2.0", "HTTP/1.9", "HTTP/9", "SMTP/1.1", ""})
	}
	r.Target = g.path(o, v) + g.query(o)
	g.headers(&r, o, v)
	g.body(&r, o)
	return r
}

// path fills in the parameters of a path.
func (g *generator) path(o operation, v Values) string {
	path := o.path
	for _, p := range o.parameters {
		if p.Value.In != "path" {
			continue
		}
		value := g.text(p.Value.Schema.Value)
		if known := v.Known(o.path, p.Value.Name); len(known) > 0 && g.chance(0.8) {
			value = pick(g, known)
		}
		path = strings.Replace(path, "{"+p.Value.Name+"}", g.escape(value, url.PathEscape), 1)
	}
	if g.chance(0.1) && g.flaw() {
		return pick(g, []string{path + "/", "/" + path, path + "/x", path + "%2F", path + "/..", strings.ToUpper(path), path + "#a", "http://localhost" + path, "*", "", "x", path + ";a=b"})
	}
	return path
}

// escape escapes a value, mostly.
func (g *generator) escape(value string, how func(string) string) string {
	if g.chance(0.2) && g.flaw() {
		return oneLine(value)
	}
	return how(value)
}

// oneLine removes what would end a line of the request.
func oneLine(text string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(text) }

func (g *generator) query(o operation) string {
	var parts []string
	for _, p := range o.parameters {
		for p.Value.In == "query" && (g.chance(0.3) || g.chance(0.1) && g.flaw()) {
			parts = append(parts, p.Value.Name+"="+g.escape(g.text(p.Value.Schema.Value), url.QueryEscape))
			if !g.chance(0.1) {
				break
			}
		}
	}
	if g.chance(0.1) && g.flaw() {
		parts = append(parts, pick(g, []string{"a=b", "=", "&&&", ";", "%zz", "limit", "cursor=%00", strings.Repeat("a&", 5000), "x=" + strings.Repeat("y", 20_000)}))
	}
	if len(parts) == 0 {
		return ""
	}
	return "?" + strings.Join(parts, "&")
}

func (g *generator) headers(r *Request, o operation, v Values) {
	add := func(name, value string) { r.Headers = append(r.Headers, Header{name, oneLine(value)}) }
	for _, p := range o.parameters {
		if p.Value.In != "header" || !g.chance(0.4) {
			continue
		}
		value := g.text(p.Value.Schema.Value)
		if p.Value.Name == "Idempotency-Key" && g.chance(0.5) {
			value = "key-" + strconv.Itoa(g.IntN(50)) // one that is used again
		}
		add(p.Value.Name, value)
		if g.chance(0.1) && g.flaw() {
			add(p.Value.Name, value)
		}
	}
	if len(v.Tokens) > 0 {
		token := v.Tokens[0]
		if g.chance(0.1) {
			token = pick(g, v.Tokens)
		}
		add("Authorization", "Bearer "+token)
	}
	for g.chance(0.3) && g.flaw() {
		r.Headers = append(r.Headers, pick(g, extras))
	}
	if g.chance(0.02) && g.flaw() {
		for n := range 2000 {
			add("X-"+strconv.Itoa(n), "x")
		}
	}
}

func (g *generator) body(r *Request, o operation) {
	if o.RequestBody == nil {
		if g.chance(0.05) && g.flaw() {
			r.Body = []byte(pick(g, junk))
		}
		return
	}
	content := o.RequestBody.Value.Content["application/json"]
	if !o.RequestBody.Value.Required && g.chance(0.3) {
		return
	}
	body := g.json(content.Schema.Value)
	if g.chance(0.2) && g.flaw() {
		body = g.damage(body)
	}
	r.Body = []byte(body)
	if !g.chance(0.02) || !g.flaw() {
		r.Headers = append(r.Headers, Header{"Content-Type", "application/json"})
	}
	r.Chunked = g.chance(0.1)
	r.Cut = len(body) > 0 && g.chance(0.02) && g.flaw()
}

// bytes returns the request as it is sent.
func (r Request) bytes() []byte {
	var b bytes.Buffer
	b.WriteString(strings.TrimRight(r.Method+" "+r.Target+" "+r.Version, " ") + "\r\n")
	for _, h := range r.Headers {
		b.WriteString(h.Name + ": " + h.Value + "\r\n")
	}
	sent := r.Body
	if r.Cut {
		sent = sent[:len(sent)/2]
	}
	switch {
	case r.Chunked:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		if len(sent) > 0 {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(sent), sent)
		}
		if !r.Cut {
			b.WriteString("0\r\n\r\n")
		}
	case len(r.Body) > 0:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(r.Body), sent)
	default:
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// String is the beginning of the request, for reports.
func (r Request) String() string {
	text := fmt.Sprintf("%q", r.bytes())
	return text[:min(len(text), 3000)]
}
