// Package keyset is a set of named AES-256 keys, as a setting has it: the first key encrypts, every key decrypts. A key is replaced by putting a
// new one before it, and removed when nothing that it encrypted is left.
//
// It imports only internal/fault and the standard library.
//
// # Contract
//
// Concurrency: a Set is immutable and safe for concurrent use.
//
// Errors: Unavailable for data of a key that is not in the set, Corrupt for data that was changed. Errors have key IDs, never keys or data.
package keyset

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// KeyBytes is the length of a key: AES-256.
const KeyBytes = 32

// Plain is the first line of a set with which nothing is encrypted; what the keys after it have encrypted stays readable.
const Plain = "plain"

// Set is a set of keys. Its zero value has none.
type Set struct {
	active string
	// keys have a random nonce at the beginning of each ciphertext.
	keys map[string]cipher.AEAD
}

var keyID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Parse reads a set: one key a line, its ID and the base64 of its 32 bytes with a space between them. Empty lines and lines that begin with # are
// skipped. The error has the number of the line, never its content.
func Parse(text string) (Set, error) {
	set := Set{keys: make(map[string]cipher.AEAD)}
	first := true
	n := 0
	for line := range strings.Lines(text) {
		n++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		id := fields[0]
		if first && len(fields) == 1 && id == Plain {
			first = false
			continue
		}
		if len(fields) != 2 || !keyID.MatchString(id) || id == Plain {
			return Set{}, fmt.Errorf("line %d is not a key ID and a key", n)
		}
		key, err := Key(fields[1])
		switch {
		case err != nil:
			return Set{}, fmt.Errorf("line %d: %w", n, err)
		case set.keys[id] != nil:
			return Set{}, fmt.Errorf("line %d repeats a key ID", n)
		case first:
			set.active = id
		}
		set.keys[id], first = key, false
	}
	if first {
		return Set{}, fmt.Errorf("there is no key")
	}
	return set, nil
}

// Key is the cipher of a key in base64.
func Key(text string) (cipher.AEAD, error) {
	secret, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(secret) != KeyBytes {
		return nil, fmt.Errorf("a key is the base64 of %d bytes", KeyBytes)
	}
	return New(secret)
}

// New is the cipher of a key: AES-256-GCM, with a random nonce at the beginning of each ciphertext.
func New(secret []byte) (cipher.AEAD, error) {
	if len(secret) != KeyBytes {
		return nil, fmt.Errorf("a key has %d bytes, not %d", KeyBytes, len(secret))
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Active is the ID of the key that encrypts; empty when none does.
func (s Set) Active() string { return s.active }

// Empty reports that there is no key, not even one that only decrypts.
func (s Set) Empty() bool { return len(s.keys) == 0 }

// Seal encrypts data with the active key, which must be there. The purpose and the ID of the key are authenticated.
func (s Set) Seal(purpose string, data []byte) (id string, text []byte) {
	return s.active, s.keys[s.active].Seal(nil, nil, data, bound(purpose, s.active))
}

// Open decrypts what was encrypted for a purpose with a key. Errors: Unavailable when the key is not in the set; Corrupt.
func (s Set) Open(purpose, id string, text []byte) ([]byte, error) {
	key := s.keys[id]
	if key == nil {
		return nil, fault.New(fault.Unavailable, "the key %q is not configured", id)
	}
	data, err := key.Open(nil, nil, text, bound(purpose, id))
	if err != nil {
		return nil, fault.New(fault.Corrupt, "what the key %q has encrypted was changed", id)
	}
	return data, nil
}

func bound(purpose, id string) []byte { return []byte(purpose + "\n" + id) }

// String keeps keys out of texts.
func (Set) String() string { return "***" }

// GoString keeps keys out of %#v.
func (Set) GoString() string { return "***" }

// LogValue keeps keys out of logs.
func (Set) LogValue() slog.Value { return slog.StringValue("***") }
