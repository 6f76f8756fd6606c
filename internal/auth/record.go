package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// KeyPrefix begins every API key, so that people and scanners recognize one that was published by mistake.
const KeyPrefix = "osk_"

// secretBytes is the length of a secret: it cannot be guessed.
const secretBytes = 32

// newKey returns a key. rand.Read never fails.
func newKey() string {
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret)
	return KeyPrefix + base64.RawURLEncoding.EncodeToString(secret)
}

// isKey reports whether a text has the form of a key.
func isKey(text string) bool {
	encoded, ok := strings.CutPrefix(text, KeyPrefix)
	if !ok || len(encoded) != base64.RawURLEncoding.EncodedLen(secretBytes) {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	return err == nil
}

// hashOf is what is stored of a key; see the package comment for the choice of the hash.
func hashOf(key string) string {
	hash := sha256.Sum256([]byte(key))
	return hex.EncodeToString(hash[:])
}

// Record is what is stored: a secret of a name, or its revocation. Records are inserted and never changed.
type Record struct {
	Name string
	// Secret is the number of the secret, from 1; 0 for the revocation.
	Secret int
	// Hash is the SHA-256 of the key, in hexadecimal.
	Hash   string
	Scopes []Scope
	// Namespace is that of the caller's idempotency keys.
	Namespace string
	At        time.Time
	// FormerUntil is when the secrets before this one expire.
	FormerUntil time.Time
}

// ID names the record. Two operators cannot insert the same one.
func (r Record) ID() string {
	if r.Secret == 0 {
		return r.Name + "/revoked"
	}
	return r.Name + "/" + strconv.Itoa(r.Secret)
}

// Store keeps records. internal/mongo has it. Errors: Unavailable.
type Store interface {
	// Insert adds a record. It reports false when a record with the same ID exists.
	Insert(ctx context.Context, r Record) (bool, error)
	// All returns every record, in any order.
	All(ctx context.Context) ([]Record, error)
}

// Key is an API key as it is listed, without its secrets.
type Key struct {
	Name   string  `json:"name"`
	Scopes []Scope `json:"scopes"`
	// Caller is the namespace of its idempotency keys.
	Caller    string    `json:"caller"`
	CreatedAt time.Time `json:"createdAt"`
	// RotatedAt is when the newest secret was made; zero for a key that was never rotated.
	RotatedAt time.Time `json:"rotatedAt,omitzero"`
	// FormerUntil is when the last secret before the newest one expires.
	FormerUntil time.Time `json:"formerUntil,omitzero"`
	RevokedAt   time.Time `json:"revokedAt,omitzero"`

	secrets []secret
}

// secret is a hash that identifies a key until it expires; zero is never.
type secret struct {
	hash    string
	expires time.Time
}

// keysOf reads records: the keys, by name.
func keysOf(records []Record) []Key {
	records = slices.Clone(records)
	slices.SortFunc(records, func(a, b Record) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Secret, b.Secret))
	})
	var keys []Key
	for i := 0; i < len(records); {
		var k Key
		for k.Name = records[i].Name; i < len(records) && records[i].Name == k.Name; i++ {
			k = k.with(records[i])
		}
		keys = append(keys, k)
	}
	return keys
}

// with adds the next record of the name: first the revocation comes, if there is one, then the secrets in their order.
func (k Key) with(r Record) Key {
	if r.Secret == 0 {
		k.RevokedAt = r.At
		return k
	}
	if len(k.secrets) == 0 {
		k.CreatedAt = r.At
	} else {
		k.RotatedAt, k.FormerUntil = r.At, r.FormerUntil
	}
	for i, former := range k.secrets {
		if former.expires.IsZero() || r.FormerUntil.Before(former.expires) {
			k.secrets[i].expires = r.FormerUntil
		}
	}
	k.Scopes, k.Caller = r.Scopes, r.Namespace
	k.secrets = append(k.secrets, secret{hash: r.Hash})
	return k
}
