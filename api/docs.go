package api

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

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

// docsFiles are the page of /docs and its files. RapiDoc (https://rapidocweb.com) draws openapi.yaml; it is the unchanged build of version 9.3.8 with
// its licences.
//
//go:embed docs
var docsFiles embed.FS

// docsPolicy lets the page of /docs run its own scripts and call this service, and nothing else. RapiDoc sets styles inline.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

type problemDoc struct {
	Code fault.Code
	Spec fault.Spec
}

// docsPage is the page of /docs, made once a process.
var docsPage = sync.OnceValues(func() ([]byte, error) {
	page, err := template.ParseFS(docsFiles, "docs/index.html")
	if err != nil {
		return nil, fmt.Errorf("parse the page of /docs: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, problemDocs()); err != nil {
		return nil, fmt.Errorf("render the page of /docs: %w", err)
	}
	return out.Bytes(), nil
})

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

// docsTypes are the files that the page of /docs loads.
var docsTypes = map[string]string{"rapidoc-min.js": "text/javascript; charset=utf-8", "docs.js": "text/javascript; charset=utf-8", "docs.css": "text/css; charset=utf-8"}

// serveDocsFile is GET /docs/{file}.
func (s *Server) serveDocsFile(c echo.Context) error {
	name := c.Param("file")
	contentType, ok := docsTypes[name]
	if !ok {
		return fault.New(fault.NotFound, "the file does not exist")
	}
	content, err := docsFiles.ReadFile("docs/" + name)
	if err != nil {
		return err
	}
	return writeDocument(c, contentType, content)
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
