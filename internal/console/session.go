package console

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/keyset"
)

const (
	sessionCookie = "ordersaga_session"
	formCookie    = "ordersaga_form"
	// formField is the field of forms with the value of formCookie.
	formField = "csrf"
	// sessionAge is how long a login is valid.
	sessionAge = 12 * time.Hour
	// maxToken bounds the key or token of a login: browsers keep cookies of 4 KB.
	maxToken = 2500
	// sessionPurpose is authenticated with the content of the cookie.
	sessionPurpose = "console session"
)

// sessions keep the credentials of logins in cookies, encrypted: a cookie that is stolen is no API key, and no other service can use it.
type sessions struct {
	keys  keyset.Set
	clock func() time.Time
}

func newSessions(c Config) (sessions, error) {
	if c.Keys.Active() != "" {
		return sessions{c.Keys, c.Clock}, nil
	}
	secret := make([]byte, keyset.KeyBytes)
	_, _ = rand.Read(secret) // never fails
	keys, err := keyset.Parse("process " + base64.StdEncoding.EncodeToString(secret))
	return sessions{keys, c.Clock}, err
}

// session is the content of the cookie.
type session struct {
	Token string    `json:"token"`
	Since time.Time `json:"since"`
}

func (s sessions) seal(token string) (string, error) {
	content, err := json.Marshal(session{token, s.clock()})
	if err != nil {
		return "", err
	}
	id, text := s.keys.Seal(sessionPurpose, content)
	return id + "." + base64.RawURLEncoding.EncodeToString(text), nil
}

// token returns the credentials of the cookie. The error is Unauthenticated.
func (s sessions) token(r *http.Request) (string, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return "", auth.Refused("log in with an API key")
	}
	// A key ID may have dots, base64 has none.
	at := strings.LastIndexByte(cookie.Value, '.')
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value[at+1:])
	if at < 0 || err != nil {
		return "", auth.Refused("the session is not valid")
	}
	content, err := s.keys.Open(sessionPurpose, cookie.Value[:at], text)
	var found session
	if err != nil || json.Unmarshal(content, &found) != nil {
		return "", auth.Refused("the session is not valid")
	}
	if age := s.clock().Sub(found.Since); age > sessionAge || age < -time.Minute {
		return "", auth.Refused("the session has expired")
	}
	return found.Token, nil
}

// setCookie sets a cookie that scripts cannot read and that browsers send with requests of this site's pages only.
func setCookie(w http.ResponseWriter, r *http.Request, name, value string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/console", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(age / time.Second),
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	})
}

// formToken returns the token of forms: that of the browser's cookie, or a new one.
func formToken(w http.ResponseWriter, r *http.Request) string {
	if cookie, err := r.Cookie(formCookie); err == nil && len(cookie.Value) == len(rand.Text()) {
		return cookie.Value
	}
	token := rand.Text()
	setCookie(w, r, formCookie, token, 0)
	return token
}

// validToken reports whether a form has the token of the browser's cookie.
func validToken(r *http.Request, token string) bool {
	_, err := r.Cookie(formCookie)
	return err == nil && subtle.ConstantTimeCompare([]byte(r.PostForm.Get(formField)), []byte(token)) == 1
}

type loginPage struct{ Next, Error string }

func askLogin(p *request) error {
	if p.cfg.Auth == nil || p.caller.Authenticated() {
		return p.redirect("/console/sagas")
	}
	return p.render(http.StatusOK, "login", "Log in", loginPage{Next: ownPath(p.r.URL.Query().Get("next"))})
}

func login(p *request) error {
	if p.cfg.Auth == nil {
		return p.redirect("/console/sagas")
	}
	page := loginPage{Next: ownPath(p.r.PostForm.Get("next"))}
	token := strings.TrimSpace(p.r.PostForm.Get("key"))
	if token == "" || len(token) > maxToken {
		page.Error = "Enter an API key."
		return p.render(http.StatusUnprocessableEntity, "login", "Log in", page)
	}
	if _, err := p.authenticate(token); err != nil {
		f := failureOf(err)
		page.Error = f.Title + "."
		return p.render(f.Status, "login", "Log in", page)
	}
	value, err := p.sessions.seal(token)
	if err != nil {
		return err
	}
	setCookie(p.w, p.r, sessionCookie, value, sessionAge)
	return p.redirect(page.Next)
}

func logout(p *request) error {
	setCookie(p.w, p.r, sessionCookie, "", -time.Second)
	if p.cfg.Auth == nil {
		return p.redirect("/console/sagas")
	}
	return p.redirect("/console/login?done=logout")
}

// ownPath returns an address of the console, or its start: a login leads to no other site.
func ownPath(next string) string {
	if next == "/console" || strings.HasPrefix(next, "/console/") && !strings.HasPrefix(next, "/console/log") && !strings.ContainsAny(next, "\\\r\n") {
		return next
	}
	return "/console/sagas"
}
