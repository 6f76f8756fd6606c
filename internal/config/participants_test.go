package config_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/config"
)

// TestParticipantSettingsFitTogether: a service needs a URL, a URL needs its service, and requests to other machines are signed.
func TestParticipantSettingsFitTogether(t *testing.T) {
	const secret = "PARTICIPANT_SECRET=whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
	for name, test := range map[string]struct {
		environ []string
		problem string
	}{
		"no payment URL":    {[]string{"PAYMENT_GATEWAY=http"}, "PAYMENT_URL"},
		"no inventory URL":  {[]string{"INVENTORY=http"}, "INVENTORY_URL"},
		"payment URL":       {[]string{"PAYMENT_URL=http://127.0.0.1:1"}, "PAYMENT_GATEWAY"},
		"inventory URL":     {[]string{"INVENTORY_URL=http://127.0.0.1:1"}, "INVENTORY"},
		"not a URL":         {[]string{"INVENTORY=http", "INVENTORY_URL=warehouse:80"}, "INVENTORY_URL"},
		"unsigned payment":  {[]string{"PAYMENT_GATEWAY=http", "PAYMENT_URL=https://pay.example"}, "PARTICIPANT_SECRET"},
		"unsigned stock":    {[]string{"INVENTORY=http", "INVENTORY_URL=https://stock.example"}, "PARTICIPANT_SECRET"},
		"files without TLS": {[]string{"INVENTORY=http", "INVENTORY_URL=http://[::1]:80", "PARTICIPANT_TLS_CA_FILE=participants_test.go"}, "INVENTORY_URL"},
	} {
		problems := problemsOf(t, test.environ...)
		if assert.NotEmpty(t, problems, name) {
			assert.Equal(t, test.problem, problems[0].Name, name)
		}
	}
	for _, environ := range [][]string{
		{"PAYMENT_GATEWAY=http", "PAYMENT_URL=http://localhost:1"},
		{"PAYMENT_GATEWAY=http", "PAYMENT_URL=https://pay.example/sagas/", secret},
		{"INVENTORY=http", "INVENTORY_URL=https://stock.example", secret + " whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"},
	} {
		_, err := config.Load(environ)
		require.NoError(t, err, "%v", environ)
	}
}
