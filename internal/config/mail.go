package config

import (
	"net/url"
	"strconv"
)

// MailServer is the server of SMTP_URL and SMTP_PASSWORD.
type MailServer struct {
	Host           string
	Port           int
	User, Password string
	// Implicit means TLS from the first byte.
	Implicit bool
}

// MailServer returns the mail server, which Load has validated.
func (c Config) MailServer() MailServer {
	server, _ := mailServer(c.SMTPURL.Reveal())
	if c.SMTPPassword != "" {
		server.Password = c.SMTPPassword.Reveal()
	}
	return server
}

var mailURL = rule{
	unitURI, "smtp://host:port or smtps://host:port, optionally with percent-encoded user and password before the host, and nothing after the port",
	func(value string) bool { _, ok := mailServer(value); return ok },
}

func mailServer(raw string) (s MailServer, ok bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return s, false
	}
	s = MailServer{Host: u.Hostname(), Port: 587, User: u.User.Username(), Implicit: u.Scheme == "smtps"}
	if s.Implicit {
		s.Port = 465
	}
	if port := u.Port(); port != "" {
		if !isPort(port) {
			return s, false
		}
		s.Port, _ = strconv.Atoi(port)
	}
	s.Password, _ = u.User.Password()
	return s, true
}

func (l *loader) checkMail() {
	c := &l.config
	if c.SMTPURL != "" && c.SMTPPassword != "" {
		if server, _ := mailServer(c.SMTPURL.Reveal()); server.User == "" || server.Password != "" {
			l.problem("SMTP_PASSWORD", masked, "a user in SMTP_URL, without a password there")
		}
	}
	if c.Notifications != NotificationsSMTP {
		return
	}
	if l.environment["SMTP_URL"] == "" && l.environment["SMTP_URL"+fileSuffix] == "" {
		l.problem("SMTP_URL", "", "the mail server, because NOTIFICATIONS=smtp")
	}
	if l.environment["MAIL_FROM"] == "" {
		l.problem("MAIL_FROM", "", "the sender's address, because NOTIFICATIONS=smtp")
	}
}
