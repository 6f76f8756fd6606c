// Package smtpmail is the Notifier that sends e-mail over SMTP, a connection a message.
//
// It imports internal/{notify,fault}, github.com/wneessen/go-mail and the standard library.
//
// # What an answer means
//
// Before the end of the data nothing can have been delivered: no connection, no TLS, a refused login or a temporary answer
// mean that the message was definitely not accepted. So does a temporary answer to the data. A permanent answer about the
// message or its recipient refuses it for good; one about the connection, the login or the sender may be somebody's mistake
// that is mended, so the message is tried again. A connection that is lost while the data is on its way, or that gives no
// answer to its end, leaves it unknown.
//
// The Message-ID is made from the message's key: whoever gets a message twice can tell.
package smtpmail

import (
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

// TLSPolicy says when a connection is encrypted.
type TLSPolicy string

// The policies.
const (
	// Implicit encrypts from the first byte: smtps.
	Implicit TLSPolicy = "implicit"
	// Mandatory goes on only over STARTTLS.
	Mandatory TLSPolicy = "mandatory"
	// Opportunistic uses STARTTLS when it is offered.
	Opportunistic TLSPolicy = "opportunistic"
	// None never encrypts. A password is then sent to this machine only.
	None TLSPolicy = "none"
)

// Config is what a Notifier needs.
type Config struct {
	Host string
	Port int
	// TLS is Mandatory by default; TLSConfig trusts the system's authorities by default.
	TLS       TLSPolicy
	TLSConfig *tls.Config
	// User and Password log in; nobody does when User is empty.
	User, Password string
	// From is the sender, with or without a name.
	From string
	// Timeout bounds sending one message. Default 10 s.
	Timeout time.Duration
	// Now is the clock. Default time.Now.
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
	if c.TLS == "" {
		c.TLS = Mandatory
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Host == "" || c.Port < 1 || c.Port > 65535 {
		fields = append(fields, fault.Fieldf("/host", "host and port are mandatory"))
	}
	switch c.TLS {
	case Implicit, Mandatory, Opportunistic, None:
	default:
		fields = append(fields, fault.Fieldf("/tls", "%q is no policy", c.TLS))
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

// MessageID returns the Message-ID of a message: the same for the same key.
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
		// Nobody was asked, and nobody will take an address or a header that cannot be written.
		return notify.Result{Outcome: notify.Refused}
	}
	var dialed connection
	client, err := n.client(&dialed)
	if err != nil {
		return notify.Result{Outcome: notify.NotAccepted}
	}
	// Whatever the library does: when the time is over, or when this is over, the connection is.
	defer dialed.close()
	defer context.AfterFunc(ctx, dialed.close)()
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return notify.Result{Outcome: notify.NotAccepted, Code: codeOf(err)}
	}
	err = client.SendWithSMTPClient(session, msg)
	if err == nil || msg.IsDelivered() {
		_ = session.Quit()
		return notify.Result{Outcome: notify.Accepted}
	}
	return judge(err)
}

// aboutLogin are permanent answers that are not about the message: who may send is somebody's setting. So is any answer to
// MAIL FROM, before the recipient is mentioned.
var aboutLogin = []int{530, 534, 535, 538}

// judge says what a failure to send means.
func judge(err error) notify.Result {
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
		// It broke before the data was sent.
		r.Outcome = notify.NotAccepted
	}
	return r
}

// message writes the message down as MIME.
func (n *Notifier) message(m notify.Message) (*mail.Msg, error) {
	to, err := notify.ParseAddress(m.To)
	if err != nil {
		return nil, err
	}
	msg := mail.NewMsg()
	msg.FromMailAddress(n.from)
	// The library quotes a local part that RFC 5322 would not read otherwise.
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
		// Among these the library never sends a password over an unencrypted connection to another machine.
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

// answerPattern finds the status and the enhanced status at the beginning of an answer.
var answerPattern = regexp.MustCompile(`^([245])\.\d{1,3}\.\d{1,3}\b`)

// statusOf returns the status of the server's answer, 0 when it gave none.
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

// codeOf returns the codes of the server's answer and nothing else: its words may quote the address.
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
