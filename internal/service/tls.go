package service

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/ordersaga/ordersaga/internal/config"
)

// certificateCheck is how often, at most, the files of the certificate are looked at.
const certificateCheck = 10 * time.Second

// certificate is a certificate with its key, which is read again when its files change: certificates are renewed while processes run.
type certificate struct {
	certFile, keyFile string
	// settings are the settings that name the files.
	settings string
	logger   *slog.Logger
	clock    func() time.Time

	mu      sync.Mutex
	checked time.Time
	// changed are the times of the files that loaded was read from, or could not be.
	changed [2]time.Time
	loaded  *tls.Certificate
}

// newCertificate reads a certificate. The error says which file is wrong.
func newCertificate(settings, certFile, keyFile string, logger *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, settings: settings, logger: logger, clock: time.Now}
	changed, err := c.times()
	if err == nil {
		err = c.load(changed)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", settings, err)
	}
	c.checked = c.clock()
	return c, nil
}

func (c *certificate) times() (changed [2]time.Time, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return changed, err
		}
		changed[i] = info.ModTime()
	}
	return changed, nil
}

// load reads the files. An expired certificate is used, because a process does more than serve HTTP; clients refuse it.
func (c *certificate) load(changed [2]time.Time) error {
	loaded, err := config.LoadKeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.loaded, c.changed = &loaded, changed
	if until := c.loaded.Leaf.NotAfter; c.clock().After(until) {
		c.log(slog.LevelError, "the certificate has expired: clients refuse it", slog.Time("valid_until", until))
	}
	return nil
}

func (c *certificate) log(level slog.Level, message string, attr slog.Attr) {
	c.logger.LogAttrs(context.Background(), level, message, slog.String("settings", c.settings), attr)
}

// get is for tls.Config.GetCertificate. Files that cannot be read, or do not fit together while they are replaced, leave the certificate as it
// is; they are tried again.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.clock(); now.Sub(c.checked) >= certificateCheck {
		c.checked = now
		changed, err := c.times()
		if err == nil && changed != c.changed {
			if err = c.load(changed); err == nil {
				c.log(slog.LevelInfo, "the certificate was read again", slog.Time("valid_until", c.loaded.Leaf.NotAfter))
			}
		}
		if err != nil {
			c.log(slog.LevelError, "the certificate cannot be read again", slog.Any("error", err))
		}
	}
	return c.loaded, nil
}

// tlsConfig is that of a listener. HTTP/2 is left out: the deadlines of connections are made for HTTP/1.1.
func (c *certificate) tlsConfig() *tls.Config {
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}
