package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the files below
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

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

// openAPI is the part of the specification that /docs shows.
type openAPI struct {
	Info struct {
		Title       string `yaml:"title"`
		Version     string `yaml:"version"`
		Description string `yaml:"description"`
	} `yaml:"info"`
	Tags []struct {
		Name        string `yaml:"name"`
		Description string `yaml:"description"`
	} `yaml:"tags"`
	Paths      yaml.Node `yaml:"paths"`
	Components struct {
		Parameters map[string]parameter `yaml:"parameters"`
		Responses  map[string]response  `yaml:"responses"`
	} `yaml:"components"`
}

type pathItem struct {
	Parameters []parameter `yaml:"parameters"`
	Get        *operation  `yaml:"get"`
	Post       *operation  `yaml:"post"`
}

type operation struct {
	ID          string      `yaml:"operationId"`
	Tags        []string    `yaml:"tags"`
	Summary     string      `yaml:"summary"`
	Description string      `yaml:"description"`
	Parameters  []parameter `yaml:"parameters"`
	RequestBody struct {
		Content map[string]media `yaml:"content"`
	} `yaml:"requestBody"`
	Responses map[string]response `yaml:"responses"`

	// Method and Path are filled in.
	Method, Path string `yaml:"-"`
}

type media struct {
	Example yaml.Node `yaml:"example"`
}

type parameter struct {
	Ref         string `yaml:"$ref"`
	Name        string `yaml:"name"`
	In          string `yaml:"in"`
	Description string `yaml:"description"`
}

type response struct {
	Ref         string           `yaml:"$ref"`
	Description string           `yaml:"description"`
	Content     map[string]media `yaml:"content"`
}

// problemDoc is a code and what it means.
type problemDoc struct {
	Code fault.Code
	Spec fault.Spec
}

// docsPage is the page of /docs, made once a process.
var docsPage = sync.OnceValues(func() ([]byte, error) { return renderDocs(specification) })

// renderDocs makes the page of /docs: every operation of the specification and every problem, without scripts,
// fonts or styles from elsewhere.
func renderDocs(spec []byte) ([]byte, error) {
	var doc openAPI
	if err := yaml.Unmarshal(spec, &doc); err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	operations, err := doc.operations()
	if err != nil {
		return nil, fmt.Errorf("read the paths of openapi.yaml: %w", err)
	}
	page, err := template.New("docs").Funcs(template.FuncMap{
		"example": example, "tagged": func(tag string) []operation { return tagged(operations, tag) },
		"problems": problemDocs,
	}).Parse(docsTemplate)
	if err != nil {
		return nil, fmt.Errorf("parse docs.html: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, doc); err != nil {
		return nil, fmt.Errorf("render docs.html: %w", err)
	}
	return out.Bytes(), nil
}

// operations lists the operations in the order of the file, with their references resolved.
func (d *openAPI) operations() ([]operation, error) {
	var all []operation
	for i := 0; i+1 < len(d.Paths.Content); i += 2 {
		var item pathItem
		if err := d.Paths.Content[i+1].Decode(&item); err != nil {
			return nil, err
		}
		for _, m := range []struct {
			method string
			op     *operation
		}{{http.MethodPost, item.Post}, {http.MethodGet, item.Get}} {
			if m.op == nil {
				continue
			}
			op := *m.op
			op.Method, op.Path = m.method, d.Paths.Content[i].Value
			op.Parameters = append(slices.Clone(item.Parameters), op.Parameters...)
			for k, p := range op.Parameters {
				if name, isRef := strings.CutPrefix(p.Ref, "#/components/parameters/"); isRef {
					op.Parameters[k] = d.Components.Parameters[name]
				}
			}
			for status, r := range op.Responses {
				if name, isRef := strings.CutPrefix(r.Ref, "#/components/responses/"); isRef {
					op.Responses[status] = d.Components.Responses[name]
				}
			}
			all = append(all, op)
		}
	}
	return all, nil
}

func tagged(operations []operation, tag string) []operation {
	var some []operation
	for _, op := range operations {
		if slices.Contains(op.Tags, tag) {
			some = append(some, op)
		}
	}
	return some
}

// example shows a medium's example as JSON, in the order of the file.
func example(m media) string {
	if m.Example.Kind == 0 {
		return ""
	}
	var b strings.Builder
	writeExample(&b, &m.Example, "")
	return b.String()
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
	tag := `"` + hex.EncodeToString(hash[:16]) + `"`
	h := c.Response().Header()
	h.Set(echo.HeaderCacheControl, "no-cache")
	h.Set("ETag", tag)
	for _, known := range c.Request().Header.Values("If-None-Match") {
		if known == "*" || strings.Contains(known, tag) {
			return c.NoContent(http.StatusNotModified)
		}
	}
	return c.Blob(http.StatusOK, contentType, document)
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
	return fault.New(fault.NotFound, "there is no such schema")
}

func (s *Server) toDocs(c echo.Context) error { return c.Redirect(http.StatusFound, "/docs") }

// explainProblem is GET /problems/{code}, the type of every problem: it leads to its section of /docs.
func (s *Server) explainProblem(c echo.Context) error {
	code := fault.Code(c.Param("code"))
	if !slices.Contains(fault.Codes(), code) {
		return fault.New(fault.NotFound, "there is no such problem")
	}
	return c.Redirect(http.StatusSeeOther, "/docs#problem-"+string(code))
}
