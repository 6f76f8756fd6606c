package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the files below
	"encoding/hex"
	"fmt"
	"html/template"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"go.yaml.in/yaml/v3"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// specification is the OpenAPI document. It is written by hand, and a test holds the routes to it.
//
//go:embed openapi.yaml
var specification []byte

// asyncAPI describes the events on the bus. It is generated from the catalog: make docs.
//
//go:embed asyncapi.yaml
var asyncAPI []byte

//go:embed docs.html
var docsTemplate string

// docsPolicy lets the page of /docs do nothing but show itself.
const docsPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// part is a part of the specification, for the template: references are followed, and everything is in the order of the file.
type part struct{ node, document *yaml.Node }

// followed is the part, or the one that it refers to.
func (p part) followed() part {
	if p.node != nil && len(p.node.Content) == 2 && p.node.Content[0].Value == "$ref" {
		path := strings.TrimPrefix(p.node.Content[1].Value, "#/")
		return part{p.document, p.document}.At(strings.Split(path, "/")...)
	}
	return p
}

// Members yields the members of an object.
func (p part) Members() iter.Seq2[string, part] {
	return func(yield func(string, part) bool) {
		items := p.followed().items()
		for i := 0; i+1 < len(items); i += 2 {
			if !yield(items[i].node.Value, items[i+1]) {
				return
			}
		}
	}
}

func (p part) items() []part {
	var items []part
	for i := 0; p.node != nil && i < len(p.node.Content); i++ {
		items = append(items, part{p.node.Content[i], p.document})
	}
	return items
}

// At returns what is under names; the empty part when nothing is.
func (p part) At(names ...string) part {
	for _, wanted := range names {
		var found part
		for name, member := range p.Members() {
			if name == wanted {
				found = member
			}
		}
		p = found
	}
	return p
}

// Text is At for a scalar.
func (p part) Text(names ...string) string {
	if p = p.At(names...); p.node == nil {
		return ""
	}
	return p.node.Value
}

// Tags are the sections of the page.
func (p part) Tags() []part { return p.At("tags").items() }

type operation struct {
	part
	Method, Path string
	Parameters   []part
}

// Tagged are the operations of a tag.
func (p part) Tagged(tag string) []operation {
	var some []operation
	for path, item := range p.At("paths").Members() {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			op := item.At(strings.ToLower(method))
			if slices.ContainsFunc(op.At("tags").items(), func(t part) bool { return t.Text() == tag }) {
				some = append(some, operation{op, method, path, append(item.At("parameters").items(), op.At("parameters").items()...)})
			}
		}
	}
	return some
}

// Scope is what a caller needs for the operation; empty when it is open to everyone.
func (o operation) Scope() string {
	for _, alternative := range o.At("security").items() {
		for _, scope := range alternative.At("bearer").items() {
			return scope.Text()
		}
	}
	return ""
}

// Example shows the example of a medium as JSON.
func (p part) Example() string {
	var b strings.Builder
	if example := p.At("example"); example.node != nil {
		writeExample(&b, example.node, "")
	}
	return b.String()
}

type problemDoc struct {
	Code fault.Code
	Spec fault.Spec
}

// docsPage is the page of /docs, made once a process: every operation of the specification and every problem, without scripts,
// fonts or styles from elsewhere.
var docsPage = sync.OnceValues(func() ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(specification, &doc); err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	page, err := template.New("docs").Funcs(template.FuncMap{"problems": problemDocs}).Parse(docsTemplate)
	if err != nil {
		return nil, fmt.Errorf("parse docs.html: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, part{doc.Content[0], doc.Content[0]}); err != nil {
		return nil, fmt.Errorf("render docs.html: %w", err)
	}
	return out.Bytes(), nil
})

// writeExample writes a YAML value as JSON, indented. Short objects and arrays of one level stay on a line.
func writeExample(b *strings.Builder, n *yaml.Node, indent string) {
	switch n.Kind {
	case yaml.MappingNode:
		writeNested(b, n, indent, '{', '}', 2)
	case yaml.SequenceNode:
		writeNested(b, n, indent, '[', ']', 1)
	default:
		writeScalar(b, n)
	}
}

// writeNested writes the elements of a mapping (pairs of nodes) or a sequence.
func writeNested(b *strings.Builder, n *yaml.Node, indent string, begin, end byte, step int) {
	flat := n.Style&yaml.FlowStyle != 0
	inner := indent + "  "
	b.WriteByte(begin)
	for i := 0; i+step <= len(n.Content); i += step {
		switch {
		case i > 0 && flat:
			b.WriteString(", ")
		case i > 0:
			b.WriteString(",\n" + inner)
		case !flat:
			b.WriteString("\n" + inner)
		}
		if step == 2 {
			writeScalar(b, n.Content[i])
			b.WriteString(": ")
		}
		writeExample(b, n.Content[i+step-1], inner)
	}
	if !flat && len(n.Content) > 0 {
		b.WriteString("\n" + indent)
	}
	b.WriteByte(end)
}

func writeScalar(b *strings.Builder, n *yaml.Node) {
	if n.Tag != "!!str" {
		b.WriteString(n.Value)
		return
	}
	text, err := encodeJSON(n.Value)
	if err == nil {
		b.Write(text[:len(text)-1])
	}
}

// problemDocs lists the codes by status and name.
func problemDocs() []problemDoc {
	var docs []problemDoc
	for _, code := range fault.Codes() {
		docs = append(docs, problemDoc{Code: code, Spec: fault.Lookup(code)})
	}
	slices.SortFunc(docs, func(a, b problemDoc) int {
		if a.Spec.HTTPStatus != b.Spec.HTTPStatus {
			return a.Spec.HTTPStatus - b.Spec.HTTPStatus
		}
		return strings.Compare(string(a.Code), string(b.Code))
	})
	return docs
}

func (s *Server) serveSpecification(c echo.Context) error {
	return writeDocument(c, "application/yaml", specification)
}

// writeDocument answers with a document that changes only with the version of the service: caches may keep it, and ask each
// time whether it is still the same.
func writeDocument(c echo.Context, contentType string, document []byte) error {
	hash := sha256.Sum256(document)
	h := c.Response().Header()
	h.Set(echo.HeaderCacheControl, "no-cache")
	h.Set(echo.HeaderContentType, contentType)
	h.Set("ETag", `"`+hex.EncodeToString(hash[:16])+`"`)
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(document))
	return nil
}

func (s *Server) serveDocs(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderContentSecurityPolicy, docsPolicy)
	return writeDocument(c, echo.MIMETextHTMLCharsetUTF8, s.docs)
}

func (s *Server) serveAsyncAPI(c echo.Context) error {
	return writeDocument(c, "application/yaml", asyncAPI)
}

// serveSchema is GET /schemas/{type}/{version}, which is what the dataschema of every event names.
func (s *Server) serveSchema(c echo.Context) error {
	version, err := strconv.Atoi(c.Param("version"))
	if err == nil && strconv.Itoa(version) == c.Param("version") {
		if schema, ok := event.Schema(c.Param("type"), version); ok {
			return writeDocument(c, "application/schema+json", schema)
		}
	}
	return fault.New(fault.NotFound, "the schema does not exist")
}

// toStart leads browsers to the console, everything else to /docs.
func (s *Server) toStart(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderVary, echo.HeaderAccept)
	if s.cfg.Console != nil && preferredType(c.Request().Header, echo.MIMEApplicationJSON, echo.MIMETextHTML) == echo.MIMETextHTML {
		return c.Redirect(http.StatusFound, consolePath)
	}
	return c.Redirect(http.StatusFound, "/docs")
}

// explainProblem is GET /problems/{code}, the type of every problem: it leads to its section of /docs.
func (s *Server) explainProblem(c echo.Context) error {
	code := fault.Code(c.Param("code"))
	if !slices.Contains(fault.Codes(), code) {
		return fault.New(fault.NotFound, "the problem code does not exist")
	}
	return c.Redirect(http.StatusSeeOther, "/docs#problem-"+string(code))
}
