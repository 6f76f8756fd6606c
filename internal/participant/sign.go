package participant

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// SecretRule is the rule of ValidSecret in words.
const SecretRule = "must be whsec_ and the base64 of 24 to 64 bytes"

// ValidSecret reports whether secret is one of Standard Webhooks.
func ValidSecret(secret string) bool {
	encoded, prefixed := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	return prefixed && err == nil && len(key) >= 24 && len(key) <= 64
}

// sign adds the headers of a signature. Both methods have their own operations, so that id says to what the request is sent.
func (p *client) sign(h http.Header, id string, body []byte) error {
	if len(p.signers) == 0 {
		return nil
	}
	now := time.Now()
	signatures := make([]string, len(p.signers))
	for i, signer := range p.signers {
		var err error
		if signatures[i], err = signer.Sign(id, now, body); err != nil {
			return err
		}
	}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}
