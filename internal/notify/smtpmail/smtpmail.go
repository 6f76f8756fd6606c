// Package smtpmail is a Notifier that sends e-mail over SMTP, with one connection per message.
//
// It imports internal/{notify,fault}, github.com/wneessen/go-mail and the standard library.
//
// # Outcomes
//
// Before the end of the data nothing can have been delivered: without a connection, without TLS, after a refused login or a temporary error the
// message was certainly not accepted. The same holds for a temporary error after the data. A permanent error about the message or its recipient
// refuses it; one about the connection, the login or the sender may be a configuration error, so the message is retried. If the connection is
// lost during the data, or there is no answer after it, the outcome is unknown.
//
// The Message-ID is derived from the key of the message, so that duplicates can be recognized.
package smtpmail

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"
	netmail "net/mail"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/notify"
)

// TLSPolicy is when a connection is encrypted.
type TLSPolicy string

// The policies.
const (
	// Implicit uses TLS from the first byte: smtps.
	Implicit TLSPolicy = "implicit"
	// Mandatory requires STARTTLS.
	Mandatory TLSPolicy = "mandatory"
	// Opportunistic uses STARTTLS if the server offers it.
	Opportunistic TLSPolicy = "opportunistic"

	// None never encrypts. A password is then sent only to the same machine.
	None TLSPolicy = "none"
)

// Config configures a Notifier.
type Config struct {
	Host string
	Port int
	// TLS default: Mandatory. TLSConfig default: the certificate authorities of the system.
	TLS       TLSPolicy
	TLSConfig *tls.Config
	// User and Password are for the login; there is none if User is empty.
	User, Password string
	// From is the sender, with or without a name.
	From string
	// Timeout bounds sending one message. Default 10 s.
	Timeout time.Duration
	// Now default: time.Now.
	Now func() time.Time
}

// Notifier implements notify.Notifier.
type Notifier struct {
	cfg    Config
	from   *netmail.Address
	domain string
}

var _ notify.Notifier = (*Notifier)(nil)

// New returns a Notifier. It does no I/O. The error is Invalid.
func New(c Config) (*Notifier, error) {
	var fields []fault.Field
	c.TLS = cmp.Or(c.TLS, Mandatory)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Host == "" || c.Port < 1 || c.Port > 65535 {
		fields = append(fields, fault.Fieldf("/host", "host and port are required"))
	}
	switch c.TLS {
	case Implicit, Mandatory, Opportunistic, None:
	default:
		fields = append(fields, fault.Fieldf("/tls", "%q is not a TLS policy", c.TLS))
	}
	if c.Timeout < 0 {
		fields = append(fields, fault.Fieldf("/timeout", "must not be below 0"))
	}
	from, err := netmail.ParseAddress(c.From)
	if err != nil {
		fields = append(fields, fault.Fieldf("/from", "must be an e-mail address"))
		return nil, fault.NewInvalid("smtp", fields)
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	return &Notifier{cfg: c, from: from, domain: domain}, fault.NewInvalid("smtp", fields)
}

// MessageID returns the Message-ID for a key.
func (n *Notifier) MessageID(key string) string {
	sum := sha256.Sum256([]byte("ordersaga/message/v1\n" + key))
	return hex.EncodeToString(sum[:16]) + "@" + n.domain
}

// Send implements notify.Notifier.
func (n *Notifier) Send(ctx context.Context, m notify.Message) notify.Result {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Timeout)
	defer cancel()
	msg, err := n.message(m)
	if err != nil {
		// The address or a header is invalid: no server would accept it.
		return notify.Result{Outcome: notify.Refused}
	}
	var dialed connection
	client, err := n.client(&dialed)
	if err != nil {
		return notify.Result{Outcome: notify.NotAccepted}
	}
	// The connection is closed when ctx or this call ends, whatever the library does.
	defer dialed.close()
	defer context.AfterFunc(ctx, dialed.close)()
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		r := notify.Result{Outcome: notify.NotAccepted, Code: codeOf(err)}
		// Other errors may quote the server.
		if wrong := new(tls.CertificateVerificationError); errors.As(err, &wrong) {
			r.Err = wrong
		}
		return r
	}
	err = client.SendWithSMTPClient(session, msg)
	if err == nil || msg.IsDelivered() {
		_ = session.Quit()
		return notify.Result{Outcome: notify.Accepted}
	}
	return outcomeOf(err)
}

// aboutLogin are permanent errors that are about configuration, not the message. So is every error after MAIL FROM, before the recipient is sent.
var aboutLogin = []int{530, 534, 535, 538}

// outcomeOf returns the outcome of a failed attempt.
func outcomeOf(err error) notify.Result {
	r := notify.Result{Outcome: notify.Unknown, Code: codeOf(err)}
	var failed *mail.SendError
	if !errors.As(err, &failed) {
		return r
	}
	answer := statusOf(err)
	switch {
	case failed.Reason == mail.ErrWriteContent:
	case slices.Contains(aboutLogin, answer), failed.Reason == mail.ErrSMTPMailFrom:
		r.Outcome = notify.NotAccepted
	case answer >= 500 && answer < 600:
		r.Outcome = notify.Refused
	case answer >= 400 && answer < 500:
		r.Outcome = notify.NotAccepted
	case failed.Reason == mail.ErrSMTPDataClose, failed.Reason == mail.ErrSMTPReset, failed.Reason == mail.ErrAmbiguous:
	default:
		// The failure was before the data.
		r.Outcome = notify.NotAccepted
	}
	return r
}

// message returns the message in MIME.
func (n *Notifier) message(m notify.Message) (*mail.Msg, error) {
	to, err := notify.ParseAddress(m.To)
	if err != nil {
		return nil, err
	}
	msg := mail.NewMsg()
	msg.FromMailAddress(n.from)
	// The library quotes local parts that RFC 5322 requires to be quoted.
	recipient := notify.ASCIIDomain(*to)
	msg.ToMailAddress(&recipient)
	msg.Subject(notify.Line(m.Subject))
	msg.SetMessageIDWithValue(n.MessageID(m.Key))
	msg.SetDateWithValue(n.cfg.Now())
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetUserAgent("ordersaga")
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

// client returns a client for one connection.
func (n *Notifier) client(dialed *connection) (*mail.Client, error) {
	options := []mail.Option{
		mail.WithPort(n.cfg.Port), mail.WithTimeout(n.cfg.Timeout), mail.WithoutNoop(), mail.WithoutRset(),
		mail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialed.dial(ctx, n, network, address)
		}),
	}
	switch n.cfg.TLS {
	case Implicit:
		options = append(options, mail.WithSSL())
	case Mandatory:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	case Opportunistic:
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	default:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	options = append(options, mail.WithTLSConfig(n.tls()))
	if n.cfg.User != "" {
		// With these mechanisms the library never sends a password over an unencrypted connection to another machine.
		options = append(options, mail.WithUsername(n.cfg.User), mail.WithPassword(n.cfg.Password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	return mail.NewClient(n.cfg.Host, options...)
}

func (n *Notifier) tls() *tls.Config {
	if n.cfg.TLSConfig != nil {
		return n.cfg.TLSConfig.Clone()
	}
	return &tls.Config{ServerName: n.cfg.Host, MinVersion: tls.VersionTLS12}
}

// answerPattern matches the enhanced status code at the beginning of an answer.
var answerPattern = regexp.MustCompile(`^([245])\.\d{1,3}\.\d{1,3}\b`)

// statusOf returns the status code of the server's answer, 0 if there was none.
func statusOf(err error) int {
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return answer.Code
	}
	var failed *mail.SendError
	if errors.As(err, &failed) {
		return failed.ErrorCode()
	}
	return 0
}

// codeOf returns the status codes of the server's answer. Its text may contain the address.
func codeOf(err error) string {
	status := statusOf(err)
	if status < 200 || status > 599 {
		return ""
	}
	code := strconv.Itoa(status)
	var answer *textproto.Error
	var failed *mail.SendError
	switch {
	case errors.As(err, &answer) && answerPattern.MatchString(answer.Msg):
		code += " " + answerPattern.FindString(answer.Msg)
	case errors.As(err, &failed) && failed.EnhancedStatusCode() != "":
		code += " " + failed.EnhancedStatusCode()
	}
	return code
}
