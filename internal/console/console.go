package console

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/keyset"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

//go:embed templates assets
var files embed.FS

// policy lets pages load scripts, styles and images of this service only, and nothing inline.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// maxForm bounds a form: a payload of a dead letter, percent-encoded.
const maxForm = 4 << 20

// Config is what a Console needs.
type Config struct {
	// REST is the API of this process.
	REST http.Handler
	// Auth authenticates callers; nil when callers are not authenticated.
	Auth auth.Authenticator
	// Keys encrypt the cookies of logins. Without a key, each process has its own: a login is valid in one process, until it stops.
	Keys keyset.Set
	// Flows describe the flows, for filters and drawings.
	Flows []saga.Info
	// Clock returns the current time. Default: time.Now.
	Clock func() time.Time
}

// Console is an http.Handler for /console. Call New.
type Console struct {
	cfg      Config
	sessions sessions
	pages    map[string]*template.Template
	mux      *http.ServeMux
	// version changes with the assets: browsers load them again.
	version string
}

// New returns a Console. It does no I/O.
func New(c Config) (*Console, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	s, err := newSessions(c)
	if err != nil {
		return nil, err
	}
	con := &Console{cfg: c, sessions: s, pages: make(map[string]*template.Template), mux: http.NewServeMux()}
	if con.version, err = assetsVersion(); err != nil {
		return nil, err
	}
	if err := con.parse(); err != nil {
		return nil, err
	}
	con.route()
	return con, nil
}

// assetsVersion is a hash of all assets.
func assetsVersion() (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(files, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		hash.Write(content)
		return err
	})
	return hex.EncodeToString(hash.Sum(nil))[:12], err
}

// parse reads the templates: each page with the layout that all share.
func (c *Console) parse() error {
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return err
	}
	layout, err := template.New("layout").Funcs(functions).ParseFS(files, "templates/layout.html")
	if err != nil {
		return err
	}
	for _, name := range names {
		base := strings.TrimSuffix(path.Base(name), ".html")
		if base == "layout" {
			continue
		}
		page, err := layout.Clone()
		if err == nil {
			page, err = page.ParseFS(files, name)
		}
		if err != nil {
			return err
		}
		c.pages[base] = page
	}
	return nil
}

func (c *Console) route() {
	pages := map[string]func(*request) error{
		"GET /console":        func(r *request) error { return r.redirect("/console/sagas") },
		"GET /console/sagas":  listSagas,
		"GET /console/health": showHealth,

		"GET /console/sagas/{flow}/{id}":          showSaga,
		"GET /console/sagas/{flow}/{id}/live":     followSaga,
		"GET /console/sagas/{flow}/{id}/cancel":   askCancel,
		"POST /console/sagas/{flow}/{id}/cancel":  cancelSaga,
		"GET /console/sagas/{flow}/{id}/resolve":  askResolve,
		"POST /console/sagas/{flow}/{id}/resolve": resolveSaga,

		"GET /console/attention": listAttention,

		"GET /console/dead-letters":               listDead,
		"GET /console/dead-letters/{id}":          showDead,
		"POST /console/dead-letters/{id}":         replayDead,
		"GET /console/dead-letters/{id}/discard":  askDiscard,
		"POST /console/dead-letters/{id}/discard": discardDead,

		"GET /console/stock":        listStock,
		"POST /console/stock":       newStock,
		"GET /console/stock/{sku}":  showStock,
		"POST /console/stock/{sku}": changeStock,
	}
	for _, a := range goodsActions {
		pages["GET /console/sagas/order/{id}/"+a.name] = func(p *request) error { return a.show(p, nil) }
		pages["POST /console/sagas/order/{id}/"+a.name] = a.send
	}
	for pattern, serve := range pages {
		c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, serve, true) })
	}
	c.mux.HandleFunc("GET /console/login", func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, askLogin, false) })
	c.mux.HandleFunc("POST /console/login", func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, login, false) })
	c.mux.HandleFunc("POST /console/logout", func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, logout, false) })
	c.mux.HandleFunc("GET /console/assets/{name}", serveAsset)
	c.mux.HandleFunc("/console/", func(w http.ResponseWriter, r *http.Request) {
		c.serve(w, r, func(*request) error { return fault.New(fault.NotFound, "the page does not exist") }, true)
	})
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	// Without the referrer's origin, browsers send no origin with a form.
	h.Set("Referrer-Policy", "same-origin")
	c.mux.ServeHTTP(w, r)
}

// request is a request for a page.
type request struct {
	*Console
	w http.ResponseWriter
	r *http.Request
	// caller has sent the request, and token is its API key; empty when callers are not authenticated.
	caller auth.Caller
	token  string
	// csrf is the token of forms.
	csrf string
}

// serve authenticates the caller if the page needs one, checks the token of a form, and answers with the page or with its error.
func (c *Console) serve(w http.ResponseWriter, r *http.Request, page func(*request) error, authenticated bool) {
	p := &request{Console: c, w: w, r: r, csrf: formToken(w, r)}
	err := p.admit(authenticated)
	if err == nil {
		err = page(p)
	}
	switch {
	case err == nil:
	case errors.Is(err, errAnswered):
	case errors.Is(err, fault.Unauthenticated) && authenticated:
		p.toLogin()
	default:
		p.fail(err)
	}
}

// errAnswered reports that the request has its answer.
var errAnswered = errors.New("answered")

// admit finds the caller and checks the form's token.
func (p *request) admit(authenticated bool) error {
	if p.r.Method == http.MethodPost {
		p.r.Body = http.MaxBytesReader(p.w, p.r.Body, maxForm)
		if err := p.r.ParseForm(); err != nil {
			return &fault.Error{Code: fault.Malformed, Message: "the form cannot be read", Err: err}
		}
		if !validToken(p.r, p.csrf) {
			return fault.New(fault.CrossSite, "the form is out of date: load its page again")
		}
	}
	if p.cfg.Auth == nil {
		p.caller = auth.Anonymous()
		return nil
	}
	token, err := p.sessions.token(p.r)
	if err == nil {
		p.caller, err = p.authenticate(token)
		p.token = token
	}
	if err != nil && authenticated {
		return err
	}
	return nil
}

// authenticateWithin bounds how long the store of API keys, or the provider of tokens, is asked.
const authenticateWithin = 10 * time.Second

func (p *request) authenticate(token string) (auth.Caller, error) {
	ctx, cancel := context.WithTimeout(p.r.Context(), authenticateWithin)
	defer cancel()
	return p.cfg.Auth.Authenticate(ctx, token)
}

// toLogin asks for an API key. A browser that follows a link of another site sends no cookie with SameSite=Strict: a page of this site that loads
// the address again makes it send it.
func (p *request) toLogin() {
	if p.r.Method == http.MethodGet && p.r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		_ = p.render(http.StatusOK, "reload", "Console", p.r.URL.RequestURI())
		return
	}
	to := "/console/login"
	if p.r.Method == http.MethodGet {
		to += "?next=" + url.QueryEscape(p.r.URL.RequestURI())
	}
	if p.r.Header.Get("HX-Request") != "" {
		p.w.Header().Set("HX-Redirect", "/console/login")
		p.w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.Redirect(p.w, p.r, to, http.StatusSeeOther)
}

// failure is what the page of an error shows.
type failure struct {
	Status        int
	Title, Detail string
	Errors        []complaint
	CorrelationID string
}

func (p *request) fail(err error) {
	f := failureOf(err)
	f.CorrelationID = p.w.Header().Get("X-Correlation-Id")
	_ = p.render(f.Status, "error", f.Title, f)
}

// failureOf describes an error: a problem that REST has answered with, or one of this package.
func failureOf(err error) failure {
	var answer *problem
	if errors.As(err, &answer) {
		return failure{Status: answer.Status, Title: answer.Title, Detail: answer.Detail, Errors: answer.Errors}
	}
	spec := fault.Lookup(fault.CodeOf(err))
	f := failure{Status: spec.HTTPStatus, Title: spec.Title}
	if detail := fault.SafeMessage(err); detail != spec.Title && f.Status != http.StatusInternalServerError {
		f.Detail = detail
	}
	return f
}

func (p *request) redirect(to string) error {
	http.Redirect(p.w, p.r, to, http.StatusSeeOther)
	return nil
}

// view is what every template gets.
type view struct {
	Title   string
	Nav     []navItem
	Caller  string
	CSRF    string
	Self    string
	Version string
	// Login reports that callers have credentials: there is a logout.
	Login bool
	// Done is what the form before has come to.
	Done string
	Data any
}

type navItem struct {
	Path, Name string
	Current    bool
}

// navigation is every page, and the scope that it needs.
var navigation = []struct {
	path, name string
	scope      auth.Scope
}{
	{"/console/sagas", "Sagas", auth.OrdersRead},
	{"/console/attention", "Attention", auth.Operate},
	{"/console/dead-letters", "Dead letters", auth.Operate},
	{"/console/stock", "Stock", auth.StockRead},
	{"/console/health", "Health", auth.Operate},
}

// render writes a page.
func (p *request) render(status int, name, title string, data any) error {
	v := view{
		Title: title, Caller: p.caller.Actor, CSRF: p.csrf, Self: p.r.URL.RequestURI(), Version: p.version, Login: p.cfg.Auth != nil && p.caller.Authenticated(),
		Done: doneTexts[p.r.URL.Query().Get("done")], Data: data,
	}
	for _, n := range navigation {
		if p.caller.Has(n.scope) {
			v.Nav = append(v.Nav, navItem{n.path, n.name, p.r.URL.Path == n.path || strings.HasPrefix(p.r.URL.Path, n.path+"/")})
		}
	}
	var page bytes.Buffer
	if err := p.pages[name].ExecuteTemplate(&page, "layout.html", v); err != nil {
		http.Error(p.w, "the page cannot be rendered", http.StatusInternalServerError)
		return errors.Join(errAnswered, err)
	}
	p.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	p.w.WriteHeader(status)
	_, _ = p.w.Write(page.Bytes())
	return nil
}

// doneTexts are what pages say after a form was accepted.
var doneTexts = map[string]string{
	"cancelled": "The cancellation is recorded.",
	"resolved":  "The decision is recorded.",
	"refunded":  "The refund is accepted.",
	"returned":  "The return is accepted.",
	"arrived":   "The receipt of the returned goods is reported.",
	"replayed":  "The message was sent to its queue again.",
	"discarded": "The dead letter is discarded.",
	"received":  "The receipt is in the ledger.",
	"counted":   "The count is in the ledger.",
	"adjusted":  "The adjustment is in the ledger.",
	"logout":    "You are logged out.",
}

// types are the media types of the assets.
var types = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// serveAsset serves a file that changes with the version of the service only: its address has the version.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	content, err := files.ReadFile("assets/" + name)
	kind := types[path.Ext(name)]
	if err != nil || kind == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", cmp.Or(map[bool]string{true: "max-age=31536000, immutable"}[r.URL.Query().Has("v")], "no-cache"))
	_, _ = w.Write(content)
}
