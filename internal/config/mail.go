package config

import (
	"net/mail"
	"net/url"
	"os"
	"strconv"
	"time"
)

// MailServer is what SMTP_URL and SMTP_PASSWORD say.
type MailServer struct {
	Host           string
	Port           int
	User, Password string
	// Implicit tells that the connection is encrypted from the first byte.
	Implicit bool
}

// MailServer returns the mail server. Load has checked it.
func (c Config) MailServer() MailServer {
	server, _ := mailServer(c.SMTPURL.Reveal())
	if c.SMTPPassword != "" {
		server.Password = c.SMTPPassword.Reveal()
	}
	return server
}

// mailServer reads a URL of a mail server.
func mailServer(raw string) (s MailServer, expected string) {
	const rule = "smtp://host:port or smtps://host:port, with user and password before the host if need be, percent-encoded, and nothing behind"
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return s, rule
	}
	s = MailServer{Host: u.Hostname(), Port: 587, User: u.User.Username(), Implicit: u.Scheme == "smtps"}
	if s.Implicit {
		s.Port = 465
	}
	if port := u.Port(); port != "" {
		if s.Port, err = strconv.Atoi(port); err != nil || !validPort(port) {
			return s, rule
		}
	}
	s.Password, _ = u.User.Password()
	return s, ""
}

// checkMail holds the settings of e-mail against each other.
func (l *loader) checkMail() {
	c := &l.config
	if c.SMTPURL != "" {
		server, expected := mailServer(c.SMTPURL.Reveal())
		if expected != "" {
			l.problem("SMTP_URL", c.SMTPURL.String(), "%s", expected)
		}
		if expected == "" && c.SMTPPassword != "" && (server.User == "" || server.Password != "") {
			l.problem("SMTP_PASSWORD", masked, "a user in SMTP_URL, without a password there")
		}
	}
	if c.Notifications != NotificationsSMTP {
		return
	}
	if _, isSet := l.environment["SMTP_URL"+fileSuffix]; c.SMTPURL == "" && !isSet && l.environment["SMTP_URL"] == "" {
		l.problem("SMTP_URL", "", "the mail server, because NOTIFICATIONS=smtp")
	}
	if l.environment["MAIL_FROM"] == "" {
		l.problem("MAIL_FROM", "", "the sender's address, because NOTIFICATIONS=smtp")
	}
}

// mostSMTPTimeout keeps sending a message below what an attempt may take.
const mostSMTPTimeout = 25 * time.Second

func smtpTimeout(c *Config, value string) string {
	d, err := ParseDuration(value)
	if err != nil || d <= 0 || d > mostSMTPTimeout {
		return "a duration above zero and at most 25s"
	}
	c.SMTPTimeout = d
	return ""
}

func mailAddress(field func(*Config) *string) rule {
	return func(c *Config, value string) string {
		if _, err := mail.ParseAddress(value); err != nil {
			return "an e-mail address, such as orders@example.com or Shop <orders@example.com>"
		}
		*field(c) = value
		return ""
	}
}

// folder takes the path of a folder that is there.
func folder(field func(*Config) *string) rule {
	return func(c *Config, value string) string {
		if info, err := os.Stat(value); err != nil || !info.IsDir() {
			return "the path of a folder that this process may read"
		}
		*field(c) = value
		return ""
	}
}
