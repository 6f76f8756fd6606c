package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/config"
)

func TestMailServers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("from a file\n"), 0o600))
	for name, test := range map[string]struct {
		environ []string
		want    config.MailServer
	}{
		"a host":                {[]string{"SMTP_URL=smtp://mail.example.com"}, config.MailServer{Host: "mail.example.com", Port: 587}},
		"encrypted":             {[]string{"SMTP_URL=smtps://mail.example.com"}, config.MailServer{Host: "mail.example.com", Port: 465, Implicit: true}},
		"everything in the URL": {[]string{"SMTP_URL=smtp://shop:a%40b@[::1]:2525/"}, config.MailServer{Host: "::1", Port: 2525, User: "shop", Password: "a@b"}},
		"a password apart":      {[]string{"SMTP_URL=smtp://shop@mail", "SMTP_PASSWORD=secret"}, config.MailServer{Host: "mail", Port: 587, User: "shop", Password: "secret"}},
		"a password in a file":  {[]string{"SMTP_URL=smtp://shop@mail", "SMTP_PASSWORD_FILE=" + file}, config.MailServer{Host: "mail", Port: 587, User: "shop", Password: "from a file"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(append(test.environ, "NOTIFICATIONS=smtp", "MAIL_FROM=Shop <orders@example.com>"))
			require.NoError(t, err)
			require.Equal(t, test.want, c.MailServer())
			require.NotContains(t, c.String(), "secret")
			require.NotContains(t, c.String(), "a%40b")
			require.NotContains(t, c.String(), "from a file")
		})
	}
}

func TestSettingsOfNotifications(t *testing.T) {
	c, err := config.Load(nil)
	require.NoError(t, err)
	require.Equal(t, config.NotificationsLog, c.Notifications)
	require.Equal(t, 24*time.Hour, c.NotificationWindow)
	require.Equal(t, "mandatory", c.SMTPTLS)
	for name, test := range map[string]struct {
		environ []string
		want    []string
	}{
		"nothing is said":             {[]string{"NOTIFICATIONS=smtp"}, []string{"SMTP_URL", "MAIL_FROM"}},
		"everything is wrong":         {[]string{"NOTIFICATIONS=pigeon", "NOTIFICATION_TEMPLATES=/nowhere", "NOTIFICATION_WINDOW=0", "SMTP_URL=http://mail", "SMTP_TLS=perhaps", "SMTP_TIMEOUT=26s", "MAIL_FROM=shop"}, []string{"NOTIFICATIONS", "NOTIFICATION_TEMPLATES", "NOTIFICATION_WINDOW", "SMTP_URL", "SMTP_TLS", "SMTP_TIMEOUT", "MAIL_FROM"}},
		"a query":                     {[]string{"SMTP_URL=smtp://mail?tls=no"}, []string{"SMTP_URL"}},
		"a password without a user":   {[]string{"SMTP_URL=smtp://mail", "SMTP_PASSWORD=secret"}, []string{"SMTP_PASSWORD"}},
		"two passwords":               {[]string{"SMTP_URL=smtp://shop:one@mail", "SMTP_PASSWORD=two"}, []string{"SMTP_PASSWORD"}},
		"a file that is not a folder": {[]string{"NOTIFICATION_TEMPLATES=" + os.Args[0]}, []string{"NOTIFICATION_TEMPLATES"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(test.environ)
			var wrong *config.Error
			require.ErrorAs(t, err, &wrong)
			var names []string
			for _, p := range wrong.Problems {
				names = append(names, p.Name)
				require.NotContains(t, p.String(), "secret")
			}
			require.Equal(t, test.want, names)
		})
	}
}
